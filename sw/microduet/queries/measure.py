"""System (c): edge unit, link and engine in simulation, checked against the golden models query by query."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

import microduet as md
from microduet.bundle import Bundle
from microduet.channel_load import channel_loads
from microduet.duet import zoo
from microduet.edge.bundle import EdgeBundle
from microduet.errors import InputError
from microduet.memory_settings import dram_settings
from microduet.queries.counts import CardMeter, Counts, edge_counts, joined, link_counts
from microduet.queries.golden import GoldenSystem
from microduet.queries.open import OwnSession
from microduet.queries.questions import Question, Reply, UserMessage
from microduet.queries.ranking import Ranking
from microduet_hw.user_code import shorter

Ids = npt.NDArray[np.int64]

PRECISIONS = ("fixed16", "int8")
"""Of engines that take users."""


def check_precisions(precisions: Iterable[str]) -> None:
    """Raise an `InputError` for a precision in which no engine takes users."""
    for precision in precisions:
        if precision not in PRECISIONS:
            raise InputError(f"precisions must be {' or '.join(PRECISIONS)}, not {precision!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What one model's queries gave.

    Members
    -------
    rankings : of queries alone on the engine
    engine_cycles : from the candidates' first beat to the answer, of a query whose user vector is there from the start
    per_s : queries per second with `users` queries on their way at once
    lookup_share : the least time that the slowest channel needs for its rows, over the time from the first candidate
        to the last one's vector
    counts : of one query, for its energy
    mismatches : queries whose user vector or answer is not the golden model's
    """

    rankings: tuple[Ranking, ...]
    engine_cycles: int
    edge_cycles: int
    per_s: float
    users: int
    lookup_share: float
    counts: Counts
    mismatches: int


class System:
    """A model's edge unit and engine, open, with a user's history on the device.

    Parameters
    ----------
    edge, engine : bundles of one split model
    link : between unit and engine
    seed : of the history, contexts and candidates
    """

    def __init__(self, edge: EdgeBundle, engine: Bundle, *, link: md.Link, seed: int) -> None:
        self.edge_bundle, self.engine_bundle = edge, engine
        self.session: OwnSession = md.query(edge, engine, link)
        self.golden = GoldenSystem(self.edge_bundle, self.engine_bundle)
        self._rng = np.random.default_rng([seed, 77])
        self._histories: list[list[npt.NDArray[np.float64]]] = []
        self._static: npt.NDArray[np.float64] | None = None
        self._begin()

    @classmethod
    def of(cls, name: str, *, link: md.Link, seed: int, precision: str = "fixed16") -> Self:
        """Of rm1 to rm5, whose weights have the same seed; `precision` is the engine's."""
        spec = zoo.spec(name, split="duet", seed=seed)
        return cls(md.compile_edge(spec), md.compile(spec, precision=precision), link=link, seed=seed)

    def close(self) -> None:
        """End the simulations."""
        self.session.close()

    def _begin(self) -> None:
        """A full history, static inputs."""
        config = self.edge_bundle.config
        for group, history in enumerate(config.histories):
            entries = [self._rng.normal(0, 0.1, history.elements) for _ in range(history.slots)]
            self.session.edge.preload(entries, group=group)
            self._histories.append(entries)
        if config.static is not None:
            self._static = self._rng.normal(0, 1, config.static.inputs)
            self.session.set_static(self._static)

    def context(self) -> npt.NDArray[np.float64]:
        """A random context."""
        config = self.edge_bundle.config
        return self._rng.normal(0, 1, config.dynamic.inputs if config.dynamic else 0)

    def candidates(self, n: int) -> Ids:
        """Uniform ids of `n` candidates."""
        shape = self.engine_bundle.shape
        rows = [feature.rows for feature in shape.features for _ in range(feature.lookups)]
        return self._rng.integers(0, rows, (n, len(rows)), dtype=np.int64)

    def user_vector(self, context: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
        """The golden user model's vector."""
        return self.golden.user_vector(self._histories, self._static, context)


def measure(system: System, *, n: int, k: int, queries: int, users: int, trace: Path | None = None) -> Measured:
    """Queries one after the other, one whose timeline is written to `trace`, then `users` at once, all checked."""
    session = system.session
    k = min(k, n, session.engine.user.top_k)
    rankings: list[Ranking] = []
    counts: Counts = {}
    _, bad = _one(system, n=n, k=k, scores=True)
    meter = CardMeter(session.engine)
    for _ in range(queries):
        ranking, differs = _one(system, n=n, k=k)
        bad += differs
        rankings.append(ranking)
        if ranking.timing is not None:
            counts = joined(
                edge_counts(session.edge, ranking), link_counts(ranking), meter.counts(ranking.timing.total_us * 1e-6)
            )
    if trace is not None:
        bad += _one(system, n=n, k=k, trace=trace)[1]
    cycles, share, alone_wrong = _alone(system, n=n, k=k)
    per_s, busy_wrong = _together(system, n=n, k=k, users=users)
    clock = system.edge_bundle.config.clock_mhz
    timing = next((one.timing for one in rankings if one.timing is not None), None)
    return Measured(
        rankings=tuple(rankings),
        engine_cycles=cycles,
        edge_cycles=round(timing.edge_us * clock) if timing else 0,
        per_s=per_s,
        users=users,
        lookup_share=share,
        counts=counts,
        mismatches=bad + alone_wrong + busy_wrong,
    )


def _one(system: System, *, n: int, k: int, scores: bool = False, trace: Path | None = None) -> tuple[Ranking, bool]:
    """A query alone, and whether it was answered wrongly; with every candidate's own result it takes longer."""
    context, candidates = system.context(), system.candidates(n)
    ranking = system.session.rank(candidates, context, k, scores=scores, trace=trace)
    return ranking, system.golden.differs(ranking, system.user_vector(context), candidates, k=k)


def question(system: System, n: int, *, at: int = 0, user_at: int = 0) -> Question:
    """A query whose candidates and user vector come in these engine cycles, the vector as the unit sends it."""
    vector, edge = system.user_vector(system.context()), system.edge_bundle
    message = UserMessage(
        payload=vector,
        coded=shorter(vector),
        version=edge.manifest.version,
        scale=float(edge.model.payload_scale),
        zero_point=edge.model.top[-1].output_zero_point,
        at=user_at,
    )
    return Question(sparse=system.candidates(n), tags=np.arange(n, dtype=np.uint32), user=message, at=at)


def wrong(system: System, asked: Question, reply: Reply, k: int) -> bool:
    """Whether a reply's best `k` are not the golden models'."""
    assert asked.user is not None, "the bench gives one"
    best = system.golden.best(asked.user.payload, asked.sparse, top_k=k)
    return bool((reply.tags[:k] != best.tags).any() or (reply.logits[:k] != best.logits).any())


def _alone(system: System, *, n: int, k: int) -> tuple[int, float, int]:
    """Engine cycles of a query whose user vector is there from the start; the lookups' share of the DRAM's bound."""
    engine, asked = system.session.engine, question(system, n)
    (reply,) = engine.ask([asked])
    ps = 1e6 / engine.bundle.config.engine_mhz
    assert engine.ranked is not None, "the query was asked"
    lookup_ns = float(engine.ranked.vector_ps.max() - engine.ranked.accepted_ps.min()) / 1000
    share = bound_ns(system, asked.sparse) / lookup_ns
    return round((reply.finished_ps - reply.begun_ps) / ps), share, int(wrong(system, asked, reply, k))


def bound_ns(system: System, candidates: Ids) -> float:
    """The least time that the slowest channel needs for the rows of candidates int64 (n, lookups)."""
    bundle = system.engine_bundle
    settings = dram_settings(spread=bundle.config.spread > 0)
    loads = channel_loads(bundle.config, bundle.table_ids(candidates), settings)
    return max(load.bound_ns for load in loads) * len(candidates)


def _together(system: System, *, n: int, k: int, users: int) -> tuple[float, int]:
    """Queries per second in the steady state, with `users` on their way at once."""
    engine = system.session.engine
    questions = [question(system, n) for _ in range(2 * users)]
    replies = engine.ask(questions)
    bad = sum(wrong(system, q, r, k) for q, r in zip(questions, replies, strict=True))
    ends = np.sort([reply.finished_ps for reply in replies])
    span = float(ends[-1] - ends[users - 1]) if len(ends) > users else float(ends[-1])
    return (len(ends) - users) / (span * 1e-12), int(bad)
