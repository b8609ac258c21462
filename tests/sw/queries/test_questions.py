"""What an engine is asked and what its beats say: words of item packets, user packets, answers of several queries."""

import zlib

import numpy as np
import numpy.typing as npt
import pytest

from microduet.errors import InputError
from microduet.queries.questions import Question, UserMessage, check_question, query_words, replies
from microduet_hw.result import BEAT, OWN_RESULT
from microduet_hw.status import QUERY, Status, UserStatus
from microduet_hw.user_code import shorter
from microduet_hw.user_packets import UserKind, unpack_user
from microduet_hw.user_reference import plain_packet
from microduet_sim.queries import Ranked


def question(n: int, *, lookups: int = 3, scores: bool = False, first_tag: int = 0) -> Question:
    tags = np.arange(first_tag, first_tag + n, dtype=np.uint32)
    return Question(sparse=np.zeros((n, lookups), np.int64), tags=tags, user=None, scores=scores)


def beat(**fields: int) -> list[int]:
    plain: dict[int | str, int] = {"reserved": 0, **fields}
    bits = BEAT.const(plain).as_bits()
    return [bits >> 32 * k & 0xFFFFFFFF for k in range(4)]


def answer(slot: int, items: list[tuple[int, int]], *, status: int = 0, user_status: int = 0) -> list[list[int]]:
    shown = items or [(0, 0)]
    return [
        beat(tag=tag, logit=logit, score=900, slot=slot, rank=rank, status=status, user_status=user_status,
             count=len(items))
        for rank, (tag, logit) in enumerate(shown)
    ]  # fmt: skip


def ranked(packets: list[list[list[int]]], items: int) -> Ranked:
    beats = np.array([word for packet in packets for word in packet], np.uint32)
    return Ranked(
        beats=beats,
        first=np.cumsum([0, *map(len, packets)]),
        accepted_ps=np.arange(items, dtype=np.uint64) * np.uint64(10),
        vector_ps=np.zeros(items, np.uint64),
        users_ps=np.zeros(0, np.uint64),
        finished_ps=np.arange(len(packets), dtype=np.uint64) + np.uint64(1000),
        engine_cycles=0,
        memory_cycles=0,
        seconds=0.0,
    )


def test_only_the_last_item_of_a_query_says_so() -> None:
    words = query_words(3, number=65537, slot=5, scores=True)
    fields = [QUERY.from_bits(int(word)) for word in words]
    assert [int(one["last"]) for one in fields] == [0, 0, 1]
    assert {(int(one["number"]), int(one["slot"]), int(one["scores"])) for one in fields} == {(1, 5, 1)}


def test_answers_are_told_apart_by_their_slots_and_their_order_in_one() -> None:
    questions = [question(2), question(3), question(1)]
    packets = [answer(1, [(2, -7)]), answer(0, [(1, 40), (0, 40)]), answer(0, [], user_status=int(UserStatus.TIMEOUT))]
    found = replies(ranked(packets, 6), questions, slots=[0, 1, 0], start_ps=5)
    assert [one.tags.tolist() for one in found] == [[1, 0], [2], []]
    assert [one.logits.tolist() for one in found] == [[40, 40], [-7], []]
    assert [one.user_status for one in found] == [UserStatus.OK, UserStatus.OK, UserStatus.TIMEOUT]
    assert [(one.begun_ps, one.finished_ps) for one in found] == [(-5, 996), (15, 995), (45, 997)]


def test_own_results_are_kept_in_the_order_of_the_candidates() -> None:
    own = [
        [beat(tag=k, logit=logit, score=k, slot=0, rank=OWN_RESULT, status=k, user_status=0, count=0)]
        for k, logit in enumerate([7, -7])
    ]
    (found,) = replies(ranked([*own, answer(0, [(0, 7)], status=1)], 2), [question(2, scores=True)], slots=[0])
    assert found.own is not None
    assert found.own.tolist() == [[7, 0, 0], [-7, 1, 1]]
    assert found.status is Status.INDEX_RANGE


@pytest.mark.parametrize("damage", [None, 0x12345678])
def test_a_user_packet_carries_its_own_checksum_or_a_damaged_one(damage: int | None) -> None:
    payload = np.arange(100, dtype=np.uint8)
    message = UserMessage(payload=payload, version=9, scale=0.5, zero_point=3, crc32=damage)
    packet = unpack_user(message.packet(number=7, slot=2))
    assert packet.crc32 == (zlib.crc32(payload.tobytes()) if damage is None else damage)
    assert packet.intact is (damage is None)
    assert (packet.number, packet.slot, packet.version, packet.zero_point) == (7, 2, 9, 3)
    assert (packet.payload == payload).all()


def test_a_coded_vector_has_the_checksum_and_the_length_of_the_vector() -> None:
    payload = np.zeros(100, np.uint8)
    message = UserMessage(payload=payload, coded=shorter(payload), version=9, scale=0.5, zero_point=3)
    beats = message.packet(number=7, slot=2)
    assert (len(beats), unpack_user(beats).kind) == (2, UserKind.CODED)
    packet = unpack_user(plain_packet(beats, length=100))
    assert packet.intact
    assert (packet.number, packet.length, packet.payload.tolist()) == (7, 100, payload.tolist())


@pytest.mark.parametrize(
    ("sparse", "tags", "message"),
    [
        (np.zeros((0, 3), np.int64), [], "a query has at least one candidate, not 0"),
        (np.zeros((2, 4), np.int64), [0, 1], r"candidates must be int64 \(2, 3\), not int64 \(2, 4\)"),
        (np.zeros((2, 3), np.int32), [0, 1], r"candidates must be int64 \(2, 3\), not int32"),
        (np.zeros((3, 3), np.int64), [4, 5, 4], "tags of a query must differ, but 4 comes 2 times"),
    ],
)
def test_refuses_questions_that_cannot_be_sent(sparse: npt.NDArray[np.int64], tags: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_question(Question(sparse=sparse, tags=np.array(tags, np.uint32), user=None), lookups=3)
