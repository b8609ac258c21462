"""Answers to queries: what an engine that ranks for users sends back, and what it should."""

import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from microduet.errors import DeviceError
from microduet_hw.result import OWN_RESULT
from microduet_hw.status import Status, UserStatus

if typing.TYPE_CHECKING:
    from microduet.golden import GoldenResult

BEAT = np.dtype(
    [
        ("tag", "<u4"), ("logit", "<i4"), ("score", "<u2"), ("slot", "u1"), ("rank", "u1"), ("status", "u1"),
        ("user_status", "u1"), ("count", "u1"), ("reserved", "u1"),
    ]
)  # fmt: skip
"""A beat of 128 bits, lowest field first."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """The best items of a query, best first.

    Members
    -------
    slot : of the query
    tags : uint32 (k,), of the items
    logits : int64 (k,)
    scores16 : int64 (k,), fractions of 2^16
    status : flags of all of the query's items
    user_status : why there is no ranking, or OK
    """

    slot: int
    tags: npt.NDArray[np.uint32]
    logits: npt.NDArray[np.int64]
    scores16: npt.NDArray[np.int64]
    status: Status = Status.OK
    user_status: UserStatus = UserStatus.OK

    def same(self, other: "Answer") -> bool:
        """Whether both say the same."""
        arrays = ("tags", "logits", "scores16")
        plain = ("slot", "status", "user_status")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ItemResults:
    """Items' own results in the order in which they came.

    Members
    -------
    tags : uint32 (n,); logits : int64; scores16 : int64; slots, status : uint8
    """

    tags: npt.NDArray[np.uint32]
    logits: npt.NDArray[np.int64]
    scores16: npt.NDArray[np.int64]
    slots: npt.NDArray[np.uint8]
    status: npt.NDArray[np.uint8]


def parse_answers(
    beats: npt.NDArray[np.uint32], first: npt.NDArray[np.integer]
) -> tuple[tuple[Answer, ...], ItemResults]:
    """Answers in the order in which they came, and items' own results.

    Parameters
    ----------
    beats : uint32 (total beats, 4)
    first : int64 (results + 1,): result k is ``beats[first[k] : first[k + 1]]``

    Raises
    ------
    DeviceError
        If the beats of an answer do not belong together.
    """
    fields = np.ascontiguousarray(beats).astype("<u4").view(BEAT)[:, 0]
    starts = fields[np.asarray(first[:-1], np.int64)]
    own = fields[np.asarray(first[:-1], np.int64)[starts["rank"] == OWN_RESULT]]
    answers = tuple(
        _answer(fields[a:b])
        for a, b, rank in zip(first[:-1], first[1:], starts["rank"], strict=True)
        if rank != OWN_RESULT
    )
    return answers, ItemResults(
        tags=own["tag"].copy(),
        logits=own["logit"].astype(np.int64),
        scores16=own["score"].astype(np.int64),
        slots=own["slot"].copy(),
        status=own["status"].copy(),
    )


def _answer(beats: npt.NDArray[np.void]) -> Answer:
    count = int(beats["count"][0])
    alike = all(len(np.unique(beats[name])) == 1 for name in ("slot", "status", "user_status", "count"))
    if not alike or len(beats) != max(1, count) or (count and beats["rank"].tolist() != list(range(count))):
        raise DeviceError(
            f"an answer of {len(beats)} beats says that it has {count} items, in places {beats['rank'].tolist()}"
        )
    items = beats[:count]
    return Answer(
        slot=int(beats["slot"][0]),
        tags=items["tag"].copy(),
        logits=items["logit"].astype(np.int64),
        scores16=items["score"].astype(np.int64),
        status=Status(int(beats["status"][0])),
        user_status=UserStatus(int(beats["user_status"][0])),
    )


def expected_answer(
    result: "GoldenResult",
    *,
    top_k: int,
    slot: int = 0,
    tags: npt.NDArray[np.integer] | None = None,
    status: npt.NDArray[np.integer] | None = None,
) -> Answer:
    """The answer to a query whose items have the golden `result`.

    Parameters
    ----------
    top_k : of the engine
    tags : of the items; by default 0, 1, 2, ...
    status : flags of the items; one that has any is not ranked
    """
    numbers = np.arange(len(result.logits), dtype=np.uint32) if tags is None else np.asarray(tags).astype(np.uint32)
    flags = np.zeros(len(numbers), np.int64) if status is None else np.asarray(status, np.int64)
    good = np.flatnonzero(flags == 0)
    best = good[best_first(result.logits[good], numbers[good])][:top_k]
    return Answer(
        slot=slot,
        tags=numbers[best],
        logits=result.logits[best],
        scores16=result.scores16[best],
        status=Status(int(np.bitwise_or.reduce(flags, initial=0))),
    )


def best_first(logits: npt.NDArray[np.integer], tags: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Places of items by rank: higher logits first, lower tags first among equals."""
    return np.lexsort((tags, -logits.astype(np.int64)))
