"""System (c): edge unit, link and engine in simulation, checked against the golden models query by query."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

import microduet as md
from microduet.duet import zoo
from microduet.duet.golden import GoldenUser
from microduet.queries.counts import CardMeter, Counts, edge_counts, joined, link_counts
from microduet.queries.golden import best_items
from microduet.queries.open import OwnSession
from microduet.queries.questions import Question, UserMessage
from microduet.queries.ranking import QueryStatus, Ranking
from microduet_hw.config import AXI_BYTES, SourceKind

DEEP_QUEUE_GBPS = {64: 4.754, 128: 9.6, 256: 12.6}
"""Of random rows of so many bytes from one HBM pseudo-channel of the card (published, see docs/memory.md)."""

Ids = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What one model's queries gave.

    Members
    -------
    rankings : of queries alone on the engine
    engine_cycles : from the candidates' first beat to the answer, of a query whose user vector is there from the start
    per_s : queries per second with `users` queries on their way at once
    lookup_share : the least time that the DRAM needs for the lookups, over the time that they took
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
    name : rm1 to rm5
    link : between unit and engine
    seed : of the model, the history, contexts and candidates
    """

    def __init__(self, name: str, *, link: md.Link, seed: int) -> None:
        self.spec = zoo.spec(name, split="duet", seed=seed)
        self.edge_bundle = md.compile_edge(self.spec)
        self.engine_bundle = md.compile(self.spec)
        self.session: OwnSession = md.query(self.edge_bundle, self.engine_bundle, link)
        self._rng = np.random.default_rng([seed, 77])
        self._golden_user = GoldenUser(config=self.edge_bundle.config, model=self.edge_bundle.model)
        self._golden = self.engine_bundle.golden()
        self._histories: list[Ids] = []
        self._static: Ids | None = None
        self._begin()

    def close(self) -> None:
        """End the simulations."""
        self.session.close()

    def _begin(self) -> None:
        """A full history, static inputs."""
        edge, config = self.session.edge, self.edge_bundle.config
        for group, history in enumerate(config.histories):
            entries = [self._rng.normal(0, 0.1, history.elements) for _ in range(history.slots)]
            edge.preload(entries, group=group)
            self._histories.append(np.stack([self.edge_bundle.entry(group, one) for one in entries])[None])
        if config.static is not None:
            values = self._rng.normal(0, 1, config.static.inputs)
            edge.set_static(values)
            self._static = self.edge_bundle.static(values)[None]

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
        dynamic = self.edge_bundle.config.dynamic
        given = self.edge_bundle.context(context)[None] if dynamic is not None else None
        return self._golden_user.run(self._histories, self._static, given).payload[0]

    def wrong(self, ranking: Ranking, context: npt.NDArray[np.float64], candidates: Ids, k: int) -> bool:
        """Whether a ranking, or any candidate's own result, is not the golden models'."""
        user = self.user_vector(context)
        if ranking.status is not QueryStatus.OK or ranking.payload is None or (ranking.payload != user).any():
            return True
        result = self._golden.run(candidates, users=user)
        best = best_items(result, top_k=k)
        same = (ranking.tags == best.tags[:k]).all() and (ranking.logits == best.logits[:k]).all()
        if ranking.own is not None:
            same &= bool((ranking.own[:, 0] == result.logits).all() and (ranking.own[:, 1] == result.scores16).all())
        return not same


def measure(system: System, *, n: int, k: int, queries: int, users: int) -> Measured:
    """Queries one after the other, then `users` at once, all checked."""
    session = system.session
    k = min(k, n, session.engine.user.top_k)
    meter = CardMeter(session.engine)
    rankings: list[Ranking] = []
    counts: Counts = {}
    wrong = 0
    for number in range(queries):
        context, candidates = system.context(), system.candidates(n)
        ranking = session.rank(candidates, context, k, scores=number == 0)
        wrong += system.wrong(ranking, context, candidates, k)
        rankings.append(ranking)
        if ranking.timing is not None:
            counts = joined(
                edge_counts(session.edge, ranking), link_counts(ranking), meter.counts(ranking.timing.total_us * 1e-6)
            )
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
        mismatches=wrong + alone_wrong + busy_wrong,
    )


def _question(system: System, n: int) -> Question:
    """A query whose user vector is there at once."""
    vector, edge = system.user_vector(system.context()), system.edge_bundle
    message = UserMessage(
        payload=vector,
        version=edge.manifest.version,
        scale=float(edge.model.payload_scale),
        zero_point=edge.model.top[-1].output_zero_point,
    )
    return Question(sparse=system.candidates(n), tags=np.arange(n, dtype=np.uint32), user=message)


def _check(system: System, question: Question, tags: npt.NDArray[np.uint32], logits: Ids, k: int) -> bool:
    assert question.user is not None, "the bench gives one"
    best = best_items(system.engine_bundle.golden().run(question.sparse, users=question.user.payload), top_k=k)
    return bool((tags[:k] != best.tags).any() or (logits[:k] != best.logits).any())


def _alone(system: System, *, n: int, k: int) -> tuple[int, float, int]:
    """Engine cycles of a query whose user vector is there from the start; the lookups' share of the DRAM's bound."""
    engine, question = system.session.engine, _question(system, n)
    (reply,) = engine.ask([question])
    config = engine.bundle.config
    ps = 1e6 / config.engine_mhz
    assert engine.ranked is not None, "the query was asked"
    lookup_ns = float(engine.ranked.vector_ps.max() - engine.ranked.accepted_ps.min()) / 1000
    wrong = _check(system, question, reply.tags, reply.logits, k)
    return round((reply.finished_ps - reply.begun_ps) / ps), bound_ns(system, n) / lookup_ns, int(wrong)


def bound_ns(system: System, n: int) -> float:
    """The least time that the channels need for the rows of `n` candidates at their deep-queue rate."""
    config = system.engine_bundle.config
    width = config.precision.width
    channels = sum(config.sources[k].kind is SourceKind.HBM for k in config.channels)
    total = 0.0
    for feature in config.features:
        size = 1 << max(6, math.ceil(math.log2(feature.dim * width / 8)))
        rate = DEEP_QUEUE_GBPS[min(256, max(64, size))]
        used = channels if config.spread else 1
        total += n * feature.lookups * max(size, AXI_BYTES) / rate / used
    return total


def _together(system: System, *, n: int, k: int, users: int) -> tuple[float, int]:
    """Queries per second in the steady state, with `users` on their way at once."""
    engine = system.session.engine
    questions = [_question(system, n) for _ in range(2 * users)]
    replies = engine.ask(questions)
    wrong = sum(_check(system, q, r.tags, r.logits, k) for q, r in zip(questions, replies, strict=True))
    ends = np.sort([reply.finished_ps for reply in replies])
    span = float(ends[-1] - ends[users - 1]) if len(ends) > users else float(ends[-1])
    return (len(ends) - users) / (span * 1e-12), int(wrong)
