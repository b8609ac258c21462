"""Answers of an engine that ranks: beats as documented, the golden ranking, and beats that do not belong together."""

import numpy as np
import pytest

from microduet.answers import BEAT, Answer, best_first, expected_answer, parse_answers
from microduet.errors import DeviceError
from microduet.golden import GoldenResult
from microduet_hw import result as hardware
from microduet_hw.status import Status, UserStatus


def beat(**fields: int) -> list[int]:
    bits = hardware.BEAT.const(fields).as_bits()  # type: ignore[arg-type]
    return [bits >> 32 * word & 0xFFFFFFFF for word in range(4)]


def parse(*answers: list[list[int]]) -> tuple[tuple[Answer, ...], object]:
    beats = np.array([words for answer in answers for words in answer], np.uint32)
    return parse_answers(beats, np.cumsum([0, *map(len, answers)]))


def golden(logits: list[int]) -> GoldenResult:
    values = np.array(logits)
    return GoldenResult(
        vector=np.zeros((len(logits), 1), np.int64),
        layers=(),
        logits=values,
        scores16=values + 1000,
        saturations=(0,),
        logit_fraction=0,
        sigmoid=True,
    )


def test_fields_lie_where_the_gateware_puts_them() -> None:
    assert BEAT.fields is not None
    offsets = {name: BEAT.fields[name][1] * 8 for name in BEAT.names or ()}
    assert offsets == {name: field.offset for name, field in hardware.BEAT}
    assert BEAT.itemsize * 8 == hardware.BEAT.size


def test_answers_and_own_results_are_told_apart() -> None:
    own = beat(tag=9, logit=-7, score=3, slot=2, rank=hardware.OWN_RESULT, status=1)
    shared = {"score": 5, "slot": 2, "count": 2, "status": 4}
    two = [beat(tag=8, logit=30, rank=0, **shared), beat(tag=1, logit=-2, rank=1, **shared)]
    none = beat(slot=1, user_status=2)
    answers, items = parse([own], two, [none])
    assert [answer.slot for answer in answers] == [2, 1]
    assert answers[0].tags.tolist() == [8, 1]
    assert answers[0].logits.tolist() == [30, -2]
    assert answers[0].status is Status.TIMEOUT
    assert (len(answers[1].tags), answers[1].user_status) == (0, UserStatus.WRONG_LENGTH)
    assert (items.tags.tolist(), items.logits.tolist(), items.status.tolist()) == ([9], [-7], [1])  # type: ignore[attr-defined]


def test_equal_logits_rank_by_tag() -> None:
    answer = expected_answer(golden([5, 9, 5, -1, 9]), top_k=4, tags=np.array([7, 3, 2, 0, 1]))
    assert answer.tags.tolist() == [1, 3, 2, 7]
    assert answer.logits.tolist() == [9, 9, 5, 5]
    assert best_first(np.array([0, 0]), np.array([1, 0])).tolist() == [1, 0]


def test_items_with_flags_are_not_ranked_but_seen() -> None:
    answer = expected_answer(golden([5, 9, 7]), top_k=16, status=np.array([0, 2, 0]), slot=3)
    assert (answer.tags.tolist(), answer.status, answer.slot) == ([2, 0], Status.AXI_ERROR, 3)


def test_equal_answers_are_the_same_and_others_are_not() -> None:
    one, other = expected_answer(golden([1, 2]), top_k=2), expected_answer(golden([1, 3]), top_k=2)
    assert one.same(expected_answer(golden([1, 2]), top_k=2))
    assert not one.same(other)


@pytest.mark.parametrize(
    "beats",
    [
        [beat(tag=1, count=2, rank=0)],
        [beat(tag=1, count=2, rank=0), beat(tag=2, count=2, rank=0)],
        [beat(tag=1, count=2, rank=0, slot=1), beat(tag=2, count=2, rank=1, slot=2)],
        [beat(count=0), beat(count=0)],
    ],
)
def test_refuses_beats_that_do_not_belong_together(beats: list[list[int]]) -> None:
    with pytest.raises(DeviceError, match="says that it has"):
        parse(beats)
