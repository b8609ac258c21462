"""What an engine is asked and what it answers, query by query."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet_hw.result import OWN_RESULT
from microduet_hw.status import QUERY, Status, UserStatus
from microduet_hw.user_packets import USER, USER_BYTES, Beats, pack_user
from microduet_sim.queries import Ranked

NUMBERS = 1 << 16
"""Queries are numbered modulo this."""

NUMBER = 1 << 32
"""Tags and ids are below this."""

Ids = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserMessage:
    """A user vector on its way to the engine.

    Members
    -------
    payload : uint8, its bytes
    coded : uint8, what is sent in their place, as `microduet_hw.user_code.shorter` gives it
    version, scale, zero_point : of the model that made it
    at : engine cycle at which it arrives
    crc32 : in place of the bytes' own checksum, for a message that was damaged on its way
    """

    payload: npt.NDArray[np.uint8]
    version: int
    scale: float
    zero_point: int
    coded: npt.NDArray[np.uint8] | None = None
    at: int = 0
    crc32: int | None = None

    def packet(self, *, number: int, slot: int) -> Beats:
        """The beats of its packet."""
        beats = pack_user(
            number=number,
            slot=slot,
            version=self.version,
            scale=self.scale,
            zero_point=self.zero_point,
            payload=self.payload,
            coded=self.coded,
        )
        return beats if self.crc32 is None else _with_checksum(beats, self.crc32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """One query.

    Members
    -------
    sparse : int64 (n, lookups), ids of the candidates
    tags : uint32 (n,), what the host calls them
    user : the user vector, or None if none ever comes
    at : engine cycle at which the candidates come
    abandoned_at : engine cycle at which the host gives the query up, or None
    scores : every candidate's own result is wanted too
    """

    sparse: Ids
    tags: npt.NDArray[np.uint32]
    user: UserMessage | None
    at: int = 0
    abandoned_at: int | None = None
    scores: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """The engine's answer to one query.

    Members
    -------
    tags, logits, scores16 : the best candidates, best first: uint32, int64, int64 fractions of 2^16
    status : flags of all of its items
    user_status : why there is no ranking, or OK
    own : of every candidate in their order, int64 (n, 3) of logit, score, status; None if not asked for
    begun_ps, finished_ps : from the start of the batch: first beat of the first candidate taken, last beat of the
        answer taken
    """

    tags: npt.NDArray[np.uint32]
    logits: Ids
    scores16: Ids
    status: Status
    user_status: UserStatus
    own: Ids | None
    begun_ps: int
    finished_ps: int


def query_words(count: int, *, number: int, slot: int, scores: bool) -> npt.NDArray[np.uint32]:
    """The second header words of a query's item packets."""
    plain: dict[int | str, int] = {"number": number % NUMBERS, "slot": slot, "scores": int(scores), "last": 0}
    words = np.full(count, QUERY.const(plain).as_bits(), np.uint32)
    plain["last"] = 1
    words[-1] = QUERY.const(plain).as_bits()
    return words


def replies(ranked: Ranked, questions: Sequence[Question], slots: Sequence[int], *, start_ps: int = 0) -> list[Reply]:
    """Answers in the order of the questions, whose slots are given: those of one slot come in their order."""
    waiting: dict[int, list[int]] = {}
    for number, slot in enumerate(slots):
        waiting.setdefault(slot, []).append(number)
    own: dict[int, list[tuple[int, int, int, int]]] = {}
    found: dict[int, Reply] = {}
    starts = np.cumsum([0, *(len(question.tags) for question in questions)])
    for number, (first, end) in enumerate(zip(ranked.first[:-1], ranked.first[1:], strict=True)):
        beats = ranked.beats[first:end]
        fields = _fields(beats)
        slot = int(fields["slot"][0])
        question = waiting[slot][0]
        if fields["rank"][0] == OWN_RESULT:
            own.setdefault(question, []).append(
                tuple(int(fields[name][0]) for name in ("tag", "logit", "score", "status"))  # pyright: ignore
            )
            continue
        waiting[slot].pop(0)
        count = int(fields["count"][0])
        results = own.get(question)
        found[question] = Reply(
            tags=fields["tag"][:count].astype(np.uint32),
            logits=fields["logit"][:count],
            scores16=fields["score"][:count],
            status=Status(int(fields["status"][0])),
            user_status=UserStatus(int(fields["user_status"][0])),
            own=None if results is None else np.array([line[1:] for line in results], np.int64),
            begun_ps=int(ranked.accepted_ps[starts[question]]) - start_ps,
            finished_ps=int(ranked.finished_ps[number]) - start_ps,
        )
    return [found[number] for number in range(len(questions))]


def check_question(question: Question, *, lookups: int) -> None:
    """Raise InputError, naming the rule, if a question cannot be sent."""
    n = len(question.tags)
    if question.sparse.shape != (n, lookups) or question.sparse.dtype != np.int64:
        shape = f"{question.sparse.dtype} {question.sparse.shape}"
        raise InputError(f"candidates must be int64 ({n}, {lookups}), not {shape}")
    if n < 1:
        raise InputError("a query has at least one candidate, not 0")
    wrong = question.sparse[(question.sparse < 0) | (question.sparse >= NUMBER)]
    if len(wrong):
        raise InputError(f"ids of candidates must be 0 to 2^32 - 1, not {wrong[0]}")
    check_tags(question.tags, n)
    if len(np.unique(question.tags)) != n:
        values, counts = np.unique(question.tags, return_counts=True)
        raise InputError(f"tags of a query must differ, but {values[counts.argmax()]} comes {counts.max()} times")


def check_tags(tags: npt.NDArray[np.integer], count: int) -> None:
    """Raise InputError unless there is a tag of 32 bits for each of `count` candidates."""
    if tags.dtype.kind not in "iu" or tags.shape != (count,):
        raise InputError(f"tags must be uint32 ({count},), not {tags.dtype} {tags.shape}")
    wrong = tags[(tags < 0) | (tags >= NUMBER)]
    if len(wrong):
        raise InputError(f"tags must be 0 to 2^32 - 1, not {wrong[0]}")


def _with_checksum(beats: Beats, crc32: int) -> Beats:
    text = bytearray(beats.astype("<u4").tobytes())
    offset = USER["crc32"].offset
    header = int.from_bytes(text[:USER_BYTES], "little")
    header = header & ~(0xFFFFFFFF << offset) | crc32 << offset
    text[:USER_BYTES] = header.to_bytes(USER_BYTES, "little")
    return np.frombuffer(bytes(text), "<u4").reshape(beats.shape).astype(np.uint32)


def _fields(beats: npt.NDArray[np.uint32]) -> dict[str, Ids]:
    words = beats.astype(np.int64)
    return {
        "tag": words[:, 0],
        "logit": beats[:, 1].astype(np.int32).astype(np.int64),
        "score": words[:, 2] & 0xFFFF,
        "slot": words[:, 2] >> 16 & 0xFF,
        "rank": words[:, 2] >> 24,
        "status": words[:, 3] & 0xFF,
        "user_status": words[:, 3] >> 8 & 0xFF,
        "count": words[:, 3] >> 16 & 0xFF,
    }
