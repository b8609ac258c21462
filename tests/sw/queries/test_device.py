"""The driver of an engine for users: several queries at once, late and broken user vectors, each to its own query."""

import dataclasses

import numpy as np
import pytest

from microduet.errors import InputError
from microduet.queries.device import QueryDevice
from microduet.queries.golden import best_items
from microduet.queries.questions import Question, Reply
from microduet_hw.status import Status, UserStatus
from microduet_hw.user_code import code
from tests.sw.queries.systems import SLOTS, TOP_K, WAITING, WATCHDOG, Small


def check(system: Small, question: Question, reply: Reply) -> None:
    best = system.best(question)
    assert reply.user_status is UserStatus.OK
    assert reply.tags.tolist() == best.tags.tolist()
    assert reply.logits.tolist() == best.logits.tolist()
    assert reply.scores16.tolist() == best.scores16.tolist()


@pytest.mark.parametrize("n", [1, 2, TOP_K, 37])
def test_answers_are_the_golden_models_best(
    device: QueryDevice, system: Small, rng: np.random.Generator, n: int
) -> None:
    question = system.question(n, rng)
    (reply,) = device.ask([question])
    check(system, question, reply)


def test_every_candidates_own_result_can_be_had(device: QueryDevice, system: Small, rng: np.random.Generator) -> None:
    question = dataclasses.replace(system.question(9, rng), scores=True)
    (reply,) = device.ask([question])
    assert question.user is not None
    expected = system.golden.run(question.sparse, users=question.user.payload)
    assert reply.own is not None
    assert reply.own[:, 0].tolist() == expected.logits.tolist()
    assert reply.own[:, 1].tolist() == expected.scores16.tolist()


@pytest.mark.parametrize("stalls", [0.0, 0.3])
def test_queries_of_several_users_do_not_mix(
    device: QueryDevice, system: Small, rng: np.random.Generator, stalls: float
) -> None:
    questions = [system.question(int(rng.integers(1, 30)), rng) for _ in range(3 * SLOTS)]
    device.set_stalls(stalls, seed=5)
    answers = device.ask(questions)
    device.set_stalls(0.0, seed=0)
    for question, reply in zip(questions, answers, strict=True):
        check(system, question, reply)


def test_a_query_whose_user_is_late_holds_up_no_other(
    device: QueryDevice, system: Small, rng: np.random.Generator
) -> None:
    late = system.question(WAITING - 1, rng, user_at=WATCHDOG // 2)
    others = [system.question(5, rng) for _ in range(SLOTS - 1)]
    answers = device.ask([late, *others])
    for question, reply in zip([late, *others], answers, strict=True):
        check(system, question, reply)
    ps = 1e6 / system.engine.config.engine_mhz
    assert answers[0].finished_ps >= WATCHDOG // 2 * ps
    assert max(reply.finished_ps for reply in answers[1:]) < WATCHDOG // 4 * ps


def test_more_candidates_than_a_slot_holds_wait_and_none_is_lost(
    device: QueryDevice, system: Small, rng: np.random.Generator
) -> None:
    question = system.question(4 * WAITING, rng, user_at=6000)
    (reply,) = device.ask([question])
    check(system, question, reply)


def broken(question: Question, kind: str) -> Question:
    user = question.user
    assert user is not None
    coded, flipped = code(user.payload), code(user.payload)
    flipped[0] ^= 1
    changes: dict[str, dict[str, object]] = {
        "stale": {"version": user.version ^ 1},
        "scale": {"scale": user.scale * 2},
        "damaged": {"crc32": 1},
        "short": {"payload": user.payload[:-1], "coded": None},
        "coded, short": {"coded": coded[:0]},
        "coded, long": {"coded": np.tile(coded, 64)},
        "coded, damaged": {"coded": flipped},
    }
    if kind in changes:
        return dataclasses.replace(question, user=dataclasses.replace(user, **changes[kind]))  # type: ignore[arg-type]
    return dataclasses.replace(question, user=None, abandoned_at=300 if kind == "abandoned" else None)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("stale", UserStatus.STALE_VERSION),
        ("scale", UserStatus.STALE_VERSION),
        ("damaged", UserStatus.CHECKSUM),
        ("short", UserStatus.WRONG_LENGTH),
        ("coded, short", UserStatus.WRONG_LENGTH),
        ("coded, long", UserStatus.WRONG_LENGTH),
        ("coded, damaged", UserStatus.CHECKSUM),
        ("abandoned", UserStatus.ABANDONED),
        ("missing", UserStatus.TIMEOUT),
    ],
)
def test_a_broken_user_vector_is_named_and_no_other_query_is_touched(
    device: QueryDevice, system: Small, rng: np.random.Generator, kind: str, status: UserStatus
) -> None:
    questions = [system.question(6, rng) for _ in range(4)]
    questions[1] = broken(questions[1], kind)
    answers = device.ask(questions)
    assert status in answers[1].user_status
    assert len(answers[1].tags) == 0
    for number in (0, 2, 3):
        check(system, questions[number], answers[number])
    again = system.question(3, rng)
    check(system, again, device.ask([again])[0])


def test_an_index_beyond_its_table_is_told_and_the_others_are_ranked(
    device: QueryDevice, system: Small, rng: np.random.Generator
) -> None:
    question = system.question(6, rng)
    wrong = question.sparse.copy()
    wrong[2, 0] = system.engine.shape.features[0].rows
    (reply,) = device.ask([dataclasses.replace(question, sparse=wrong)])
    assert reply.status is Status.INDEX_RANGE
    assert question.user is not None
    status = np.zeros(6, np.int64)
    status[2] = int(Status.INDEX_RANGE)
    best = best_items(
        system.golden.run(question.sparse, users=question.user.payload), top_k=TOP_K, tags=question.tags, status=status
    )
    assert reply.tags.tolist() == best.tags.tolist()


def test_nothing_is_asked_of_no_queries_or_of_wrong_ones(
    device: QueryDevice, system: Small, rng: np.random.Generator
) -> None:
    assert device.ask([]) == []
    question = system.question(2, rng)
    with pytest.raises(InputError, match="tags of a query must differ"):
        device.ask([dataclasses.replace(question, tags=np.array([1, 1], np.uint32))])


@pytest.mark.parametrize("wrong", [-1, 1 << 32])
def test_an_id_that_no_packet_can_carry_is_refused(
    device: QueryDevice, system: Small, rng: np.random.Generator, wrong: int
) -> None:
    question = system.question(2, rng)
    sparse = question.sparse.copy()
    sparse[1, 2] = wrong
    with pytest.raises(InputError, match=rf"ids of candidates must be 0 to 2\^32 - 1, not {wrong}"):
        device.ask([dataclasses.replace(question, sparse=sparse)])


def test_queries_out_of_their_order_are_refused(device: QueryDevice, system: Small, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="queries must come in the order of their arrival, not at 5 behind 9"):
        device.ask([system.question(2, rng, at=9), system.question(2, rng, at=5)])


def test_items_without_a_query_are_refused(device: QueryDevice, system: Small, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="ranks for users: ask it queries"):
        device.infer(system.candidates(2, rng))
