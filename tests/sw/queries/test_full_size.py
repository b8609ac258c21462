"""Full-size RM1 to RM5 as edge unit, link and engine: queries of 1 to 4,096 candidates, each result the golden models'.

`-k rm3` runs one model's queries, `-k int8` those of one precision. A model's first run builds both its simulators,
which takes some minutes.
"""

import time
from collections.abc import Iterator

import numpy as np
import pytest

import microduet as md
from microduet.duet import zoo
from microduet.queries.measure import System
from microduet.queries.ranking import QueryStatus
from tests.support.environment import require_tool
from tests.sw.test_full_size import chosen_seed

QUERIES = [(1, 0.0), (2, 0.0), (7, 0.0), (64, 0.0), (1024, 0.0), (1024, 0.3), (4096, 0.0)]
"""Candidates, and the probability that a stream of the engine waits in a cycle."""


SYSTEMS = [(name, precision) for name in zoo.RM for precision in ("fixed16", "int8")]


@pytest.fixture(scope="module", params=SYSTEMS, ids=["-".join(system) for system in SYSTEMS])
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    require_tool("verilator")
    began = time.monotonic()
    name, precision = request.param
    opened = System.of(name, precision=precision, link=md.Link(), seed=chosen_seed())
    print(f"{name}, {precision}: compiled, built and loaded in {time.monotonic() - began:.0f} s")
    yield opened
    opened.close()


@pytest.mark.nightly
@pytest.mark.parametrize(("n", "stalls"), QUERIES)
def test_every_candidates_result_and_the_best_are_the_golden_models(system: System, n: int, stalls: float) -> None:
    engine, began = system.session.engine, time.monotonic()
    context, candidates, k = system.context(), system.candidates(n), min(n, engine.user.top_k)
    engine.set_stalls(stalls, seed=n)
    ranking = system.session.rank(candidates, context, k, scores=True)
    engine.set_stalls(0.0, seed=0)
    assert engine.ranked is not None, ranking.detail
    said = f"{engine.ranked.engine_cycles:,} engine cycles in {time.monotonic() - began:.1f} s"
    assert ranking.status is QueryStatus.OK, ranking.detail
    assert ranking.own is not None
    assert len(ranking.own) == n
    assert not system.golden.differs(ranking, system.user_vector(context), candidates, k=k)
    distinct = len(np.unique(ranking.own[:, 0]))
    print(f"{system.engine_bundle.shape.name}: {n} candidates, stalls {stalls}: {said}, {distinct} different logits")
    assert distinct > n // 20, "results that hardly differ prove little"
