"""Measures an engine that ranks for users: throughput, idle latency, and every result against the golden model."""

import math
import typing
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microduet.bundle import Bundle
from microduet.measure import IDLE_ITEMS, Job, Measured, Mismatch, Progress, array_use, described, simulated
from microduet.queries.device import QueryDevice
from microduet.queries.golden import best_items
from microduet.queries.questions import Question, Reply, UserMessage
from microduet.traffic import make_ids
from microduet_hw.config import EngineConfig, Payload
from microduet_hw.result import OWN_RESULT
from microduet_hw.user_packets import USER_BITS
from microduet_sim.queries import Ranked

if typing.TYPE_CHECKING:
    from microduet.golden import Golden

QUERIES = 4
"""Among which the items of the saturated batch are divided; all of their users are known from the start."""
KEEP = 8
"""Mismatches that are told."""

Ids = npt.NDArray[np.int64]


def measure_users(job: Job, device: QueryDevice, *, progress: Progress | None = None) -> Measured:
    """Run `job` on `device`: queries as fast as their items are taken, then single items in an idle engine.

    Every item's own result and every answer's best items are compared. The throughput counts from result to result,
    first and last eighth left out; an idle item's latency from its first beat to its own result, its user known.
    """
    found = _Comparison(job.bundle)
    questions, users = _saturated(job)
    answered = _ask(device, questions, "saturated", job.items, progress)
    found.compare(questions, users, answered)
    own_ps = np.sort(_own_ps(answered[1]).astype(np.float64))
    ps, edge = 1e6 / job.bundle.config.engine_mhz, len(own_ps) // 8
    steady = np.diff(own_ps[edge : len(own_ps) - edge]) / ps
    cycles = float(steady.mean()) if len(steady) else float(answered[1].engine_cycles)
    latency, lookup_ns = _idle(job, device, found, progress)
    lookup_p50, lookup_p99 = np.percentile(lookup_ns, [50, 99])
    figures = {
        **described(job),
        "queries": len(questions),
        "mismatches": found.count,
        "cycles_per_item": round(cycles, 3),
        "idle_latency_cycles": round(float(latency.mean()), 1),
        "lookup_latency_ns": round(float(lookup_ns.mean()), 1),
        "p50_lookup_latency_ns": round(float(lookup_p50), 1),
        "p99_lookup_latency_ns": round(float(lookup_p99), 1),
        "multiplier_use": array_use(job.bundle, cycles),
        **simulated(cycles=answered[1].engine_cycles, seconds=answered[1].seconds),
    }
    return Measured(figures=figures, mismatches=found.mismatches[:KEEP])


class _Comparison:
    """Results against the golden model of `bundle`: the mismatches, and how many."""

    def __init__(self, bundle: Bundle) -> None:
        self._golden: Golden = bundle.golden()
        self._top_k = bundle.config.user.top_k if bundle.config.user else 0
        self.mismatches: list[Mismatch] = []
        self.count = 0

    def compare(
        self, questions: Sequence[Question], users: npt.NDArray[np.integer], answered: tuple[list[Reply], Ranked]
    ) -> None:
        """Every own result and every answer; items are numbered through all questions."""
        first = 0
        for question, user, reply in zip(questions, users, answered[0], strict=True):
            result = self._golden.run(question.sparse, users=user)
            own = np.full((len(question.tags), 3), -1, np.int64)
            if reply.own is not None:
                own[: len(reply.own)] = reply.own
            expected = np.stack([result.logits, result.scores16, np.zeros_like(result.logits)], axis=1)
            for item, place in np.argwhere(own != expected).tolist():
                what = ("logit", "score", "status")[place]
                self._add(first + item, what, expected[item, place], own[item, place], own[item, 2])
            best = best_items(result, top_k=self._top_k, tags=question.tags)
            if len(best.tags) != len(reply.tags):
                self._add(first, "number of best items", len(best.tags), len(reply.tags), int(reply.status))
            for name in ("tags", "logits", "scores16"):
                for rank, (one, other) in enumerate(zip(getattr(best, name), getattr(reply, name), strict=False)):
                    if one != other:
                        self._add(first, f"{name} of best item {rank}", one, other, int(reply.status))
            first += len(question.tags)

    def _add(self, item: int, what: str, expected: int, actual: int, status: int) -> None:
        self.count += 1
        self.mismatches.append(
            Mismatch(item=item, what=what, expected=int(expected), actual=int(actual), status=int(status) & 0xFF)
        )


def _saturated(job: Job) -> tuple[list[Question], npt.NDArray[np.integer]]:
    """The items, divided among a few queries, and their users."""
    count = min(QUERIES, job.items)
    users = random_users(job.bundle, count, seed=job.seed)
    pieces = np.array_split(job.ids(job.items, salt=0), count)
    return [question(job.bundle, ids, user) for ids, user in zip(pieces, users, strict=True)], users


def _idle(
    job: Job, device: QueryDevice, found: _Comparison, progress: Progress | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of items that are alone: engine cycles to the result, nanoseconds of the lookups."""
    items = min(IDLE_ITEMS, job.items)
    config = job.bundle.config
    users = random_users(job.bundle, items, seed=job.seed + 1)
    latency, lookups = np.zeros(items), np.zeros(items)
    for number, ids in enumerate(job.ids(items, salt=1)):
        at = user_cycles(config) + number  # one more each time, for the clocks' phases to differ
        asked = [question(job.bundle, ids[None], users[number], at=at)]
        answered = _ask(device, asked, "idle", items, None)
        found.compare(asked, users[number][None], answered)
        ranked = answered[1]
        begun = int(ranked.accepted_ps[0])
        latency[number] = (int(_own_ps(ranked)[0]) - begun) * config.engine_mhz / 1e6
        lookups[number] = (int(ranked.vector_ps[0]) - begun) / 1000
        if progress is not None:
            progress("idle", number + 1, items)
    return latency, lookups


def _ask(
    device: QueryDevice, questions: list[Question], what: str, items: int, progress: Progress | None
) -> tuple[list[Reply], Ranked]:
    def report(done: int, cycles: int) -> None:
        if progress is not None:
            progress(what, min(done, items), items)

    replies = device.ask(questions, progress=report)
    report(items, 0)
    return replies, typing.cast(Ranked, device.ranked)


def _own_ps(ranked: Ranked) -> npt.NDArray[np.uint64]:
    """When each item's own result was taken."""
    return ranked.finished_ps[ranked.beats[ranked.first[:-1], 2] >> 24 == OWN_RESULT]


def random_users(bundle: Bundle, count: int, *, seed: int) -> npt.NDArray[np.integer]:
    """What devices of random users send: sums of uniform ids and normal dense inputs, or bytes of any value.

    int64 (count, elements) of 32 bits for an engine of an exact split, uint8 (count, elements) otherwise.
    """
    user, exact = bundle.config.user, bundle.manifest.exact
    assert user is not None, "the caller has an engine that ranks for users"
    rng = np.random.default_rng([seed, 3])
    if exact is None:
        return rng.integers(0, 256, (count, user.elements), dtype=np.uint8)
    ids = make_ids(exact.shape, items=count, traffic="uniform", seed=seed)
    dense = rng.standard_normal((count, exact.shape.dense), np.float32) if exact.shape.dense else None
    return bundle.user_sums(ids, dense)


def question(bundle: Bundle, sparse: Ids, user: npt.NDArray[np.integer], *, at: int = 0) -> Question:
    """A query of candidates `sparse` that come `at` an engine cycle, its user there from the start; `user` as
    `random_users` makes one."""
    model = bundle.user
    assert model is not None, "the caller has an engine that ranks for users"
    sums = bundle.manifest.exact is not None
    payload = user.astype("<i4").view(np.uint8) if sums else user.astype(np.uint8)
    message = UserMessage(payload=payload, version=model.version, scale=model.scale, zero_point=model.zero_point)
    return Question(sparse=sparse, tags=np.arange(len(sparse), dtype=np.uint32), user=message, at=at, scores=True)


def user_cycles(config: EngineConfig) -> int:
    """Engine cycles, rather too many, from a user packet's first beat until its slot is ready."""
    user = config.user
    assert user is not None, "the caller has an engine that ranks for users"
    steps = math.ceil(user.elements / user.lanes) if user.payload is Payload.VECTOR else 1
    return math.ceil(user.bytes * 8 / USER_BITS) + steps * config.layers[user.layer].outputs + 64
