"""The composite simulator equals the flat one, which Verilator makes of the whole engine, at every clock edge."""

import numpy as np
import numpy.typing as npt
import pytest

from microduet.packets import pack_items
from microduet_hw.config import EngineConfig, Precision
from microduet_hw.generate import generate
from microduet_hw.image import load_beats
from microduet_hw.reference import scores
from microduet_sim.activity import Activity
from microduet_sim.batch import Fault, Results, Stalls
from microduet_sim.build import Structure, build
from microduet_sim.simulator import Simulator
from microduet_sim.tables import StoredTable
from tests.sim.engines import CONTROL, ITEMS, lookup_config, random_tables
from tests.support.by_night import NIGHTLY, by_night
from tests.support.models import random_model

COUNT = 60
EDGES = 60_000

CASES: list[tuple[str, Stalls, dict[int, Fault]]] = [
    ("no stalls", Stalls(), {}),
    ("few stalls", Stalls.everywhere(0.2, seed=1), {}),
    ("many stalls", Stalls.everywhere(0.8, seed=2), {}),
    ("slow results", Stalls(results=0.97, seed=3), {}),
    ("slow memory", Stalls(requests=0.9, responses=0.9, seed=4), {0: Fault(reorder=True)}),
    ("an error, and an answer out of order", Stalls(items=0.5, seed=5), {0: Fault(error_on=7, reorder=True)}),
    ("a read that never comes back", Stalls(), {1: Fault(silent_on=9)}),
]


def vectors(
    config: EngineConfig, tables: tuple[StoredTable, ...], sparse: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Assembled vectors, by the definition of pooling."""
    width, column, parts = config.precision.width, 0, []
    zero = 0 if config.precision.signed else 128
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if config.precision.signed else (0, 255)
    for feature, table in zip(config.features, tables, strict=True):
        rows = table.rows[sparse[:, column : column + feature.lookups]].astype(np.int64)
        parts.append(np.clip((rows - zero).sum(1) + zero, low, high))
        column += feature.lookups
    return np.concatenate(parts, axis=1)


class Bench:
    """One engine in both structures, with the same random model, tables and items."""

    def __init__(self, precision: Precision) -> None:
        self.config = lookup_config(precision).replace(watchdog=300)
        rng = np.random.default_rng(int(precision.width))
        self.model = random_model(self.config, rng)
        self.tables = random_tables(self.config, rng)
        rows = [f.rows for f in self.config.features for _ in range(f.lookups)]
        self.sparse = np.stack([rng.integers(0, count, COUNT) for count in rows], axis=1)
        self.beats = load_beats(
            self.config,
            self.model,
            lambda feature, first, count: self.tables[feature].rows[first : first + count].astype(np.int64),
        )
        verilog = generate(self.config)
        self.activity: dict[int, Activity] = {}
        structures: tuple[Structure, ...] = ("composite", "flat")
        self.libraries = [build(self.config, verilog, structure=name, checks=name == "flat") for name in structures]

    def run(self, number: int, stalls: Stalls, faults: dict[int, Fault]) -> Results:
        flat = number == 1
        with Simulator(self.config, self.libraries[number], tables=self.tables, settle=flat) as simulator:
            simulator.set_stalls(stalls)
            simulator.load(self.beats)
            simulator.set_faults(faults, seed=6)
            simulator.write(ITEMS, COUNT)
            simulator.write(CONTROL, 1)
            with simulator.watching() as activity:
                results = simulator.run(pack_items(self.config, sparse=self.sparse), hashes=EDGES)
                self.activity[number] = activity()
            return results


@pytest.fixture(scope="module", params=by_night(Precision, [Precision.INT8, Precision.FIXED32], marks=NIGHTLY))
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


@pytest.mark.parametrize(("stalls", "faults"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_composite_equals_flat_at_every_edge(bench: Bench, stalls: Stalls, faults: dict[int, Fault]) -> None:
    composite, flat = bench.run(0, stalls, faults), bench.run(1, stalls, faults)
    assert len(composite.hashes) == len(flat.hashes) > COUNT
    different = np.flatnonzero(composite.hashes != flat.hashes)
    assert not different.size, f"first different edge of the batch: {different[0]}"
    assert (composite.logit == flat.logit).all()
    assert (composite.finished_ps == flat.finished_ps).all()
    assert _lists(bench.activity[0]) == _lists(bench.activity[1])


def _lists(activity: Activity) -> list[list[int]]:
    """All intervals of an activity, to compare."""
    intervals = [*activity.counters.values(), *activity.reads.values(), activity.items, activity.results]
    assert sum(len(one) for one in intervals) > COUNT
    return [array.tolist() for one in intervals for array in (one.start_ps, one.end_ps, one.count)]


def test_both_equal_the_reference(bench: Bench) -> None:
    logits, fractions = scores(bench.config, bench.model, vectors(bench.config, bench.tables, bench.sparse))
    for number in range(2):
        results = bench.run(number, Stalls.everywhere(0.3, seed=9), {})
        assert results.tag.tolist() == list(range(COUNT))
        assert not results.status.any()
        assert (results.logit == logits).all()
        assert (results.score == fractions).all()
