"""Random sessions compare what they say they compare: a unit that answers wrongly is found out."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

import microduet as md
from microduet.edge.device import EdgeDevice
from microduet.edge.exchange import Exchange
from microduet.edge.sessions import random_sessions
from microduet_hw.edge.message import EdgeStatus, Kind
from microduet_hw.edge.packets import Answer, Beats
from tests.sw.edge.units import bundle

Fault = Callable[[list[Answer]], list[Answer]]


@pytest.fixture(scope="module")
def device() -> Iterator[EdgeDevice]:
    with md.open(bundle()) as device:
        yield device


def queries(answers: list[Answer]) -> list[int]:
    """Numbers of the answers that have a payload."""
    return [number for number, answer in enumerate(answers) if len(answer.payload)]


def flip_a_bit(answers: list[Answer]) -> list[Answer]:
    last = queries(answers)[-1]
    payload = answers[last].payload.copy()
    payload[-1] ^= 1
    return [*answers[:last], dataclasses.replace(answers[last], payload=payload), *answers[last + 1 :]]


def refuse_a_click(answers: list[Answer]) -> list[Answer]:
    last = max(number for number, answer in enumerate(answers) if answer.kind == Kind.CLICK)
    refused = dataclasses.replace(answers[last], status=EdgeStatus.STALE_VERSION)
    return [*answers[:last], refused, *answers[last + 1 :]]


def swap_clicks(answers: list[Answer]) -> list[Answer]:
    first, second = [number for number, answer in enumerate(answers) if answer.kind == Kind.CLICK][:2]
    swapped = list(answers)
    swapped[first], swapped[second] = answers[second], answers[first]
    return swapped


def see_unknown_statics(answers: list[Answer]) -> list[Answer]:
    return [dataclasses.replace(answer, statics=answer.statics ^ 0x8000) for answer in answers]


FAULTS: dict[str, tuple[Fault, str]] = {
    "a bit of a payload": (flip_a_bit, "1 of .* bytes, first"),
    "a click that is refused": (refuse_a_click, "status .*STALE_VERSION.*, not OK"),
    "answers in another order": (swap_clicks, "is answered in the place of"),
    "static inputs that nobody sent": (see_unknown_statics, "static inputs"),
}


def spoil(device: EdgeDevice, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    exchange = device.exchange

    def spoiled(messages: Sequence[Beats]) -> Exchange:
        honest = exchange(messages)
        return dataclasses.replace(honest, answers=tuple(fault(list(honest.answers))))

    monkeypatch.setattr(device, "exchange", spoiled)


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_answer_is_found(name: str, device: EdgeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    fault, message = FAULTS[name]
    spoil(device, monkeypatch, fault)
    result = random_sessions(device, sessions=1, actions=40, seed=3)
    assert result.queries > 0
    assert result.mismatches
    assert re.search(message, result.mismatches[0])


def test_static_inputs_that_come_back_are_found(device: EdgeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every query may see them at its time, but not after their successors were seen."""

    def go_back(answers: list[Answer]) -> list[Answer]:
        found = [answers[number] for number in queries(answers)]
        changes = [k for k in range(1, len(found)) if found[k].statics != found[k - 1].statics]
        assert changes, "the session should see static inputs change"
        older, number = found[changes[0] - 1], queries(answers)[changes[0]]
        # The next query sees the older ones again.
        after = queries(answers)[changes[0] + 1]
        assert number < after
        return [*answers[:after], dataclasses.replace(answers[after], statics=older.statics), *answers[after + 1 :]]

    spoil(device, monkeypatch, go_back)
    result = random_sessions(device, sessions=1, actions=300, seed=1)
    assert len(result.mismatches) == 1
    assert "static inputs" in result.mismatches[0]


def test_sessions_of_one_seed_are_equal(device: EdgeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    exchange = device.exchange

    def recorded(messages: Sequence[Beats]) -> Exchange:
        sent.append(b"".join(np.ascontiguousarray(message[1:]).tobytes() for message in messages))
        return exchange(messages)

    monkeypatch.setattr(device, "exchange", recorded)
    for _ in range(2):
        random_sessions(device, sessions=1, actions=30, seed=5)
    assert sent[0] == sent[1]
