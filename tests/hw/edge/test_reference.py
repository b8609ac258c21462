"""The reference of histories and messages: plain lists, clear refusals, and every reason by its name."""

import pytest

from microduet_hw.edge.message import Kind
from microduet_hw.edge.reference import HistoryReference, message_status
from tests.support.edge import bottom, small_edge

CONFIG = small_edge(((1, 1), 3), ((2,), 1), lanes=2, element_bits=16)


def test_forgets_the_oldest():
    reference = HistoryReference(CONFIG)
    for element in range(1, 6):
        reference.click(0, [element, -element])
    assert reference.entries(0) == [[3, -3], [4, -4], [5, -5]]
    assert reference.sums() == [12, -12, 0, 0]


def test_keeps_histories_apart():
    reference = HistoryReference(CONFIG)
    reference.click(0, [1, 2])
    reference.click(1, [30, 40])
    reference.preload(1, [5, 6])
    assert reference.sums() == [1, 2, 5, 6]
    reference.clear(0)
    assert reference.sums() == [0, 0, 5, 6]


WRONG = [
    ([1], "an entry of history 0 must have 2 elements, not 1"),
    ([1, 2, 3], "an entry of history 0 must have 2 elements, not 3"),
    ([0, 1 << 15], "elements must be -32768 to 32767, not 0 to 32768"),
    ([-(1 << 15) - 1, 0], "elements must be -32768 to 32767, not -32769 to 0"),
]


@pytest.mark.parametrize(("entry", "message"), WRONG)
@pytest.mark.parametrize("update", ["click", "preload"])
def test_refuses_wrong_entries_and_stays(update, entry, message):
    reference = HistoryReference(CONFIG)
    reference.click(0, [7, 8])
    with pytest.raises(ValueError, match=message):
        getattr(reference, update)(0, entry)
    assert reference.entries(0) == [[7, 8]]


MESSAGES = small_edge(((4, 8), 3), ((4,), 2), element_bits=16, static=bottom(70), dynamic=bottom(5))
STATUSES = [
    # kind, group, elements, beats, version; the flags
    ((Kind.CLICK, 0, 12, 3, 1), "OK"),
    ((Kind.CLICK, 1, 4, 1, 1), "OK"),
    ((Kind.CLICK, 1, 12, 3, 1), "WRONG_COUNT|LONG_PACKET"),
    ((Kind.PRELOAD, 0, 4, 1, 1), "WRONG_COUNT|SHORT_PACKET"),
    ((Kind.CLICK, 2, 0, 0, 1), "UNKNOWN"),
    ((Kind.CLICK, 2, 4, 1, 0), "STALE_VERSION|WRONG_COUNT|LONG_PACKET|UNKNOWN"),
    ((Kind.QUERY, 9, 5, 1, 1), "OK"),
    ((Kind.STATIC, 0, 70, 2, 1), "SHORT_PACKET"),
    ((Kind.CLEAR, 1, 0, 0, 2), "STALE_VERSION"),
    ((7, 0, 0, 0, 1), "UNKNOWN"),
]


@pytest.mark.parametrize(("message", "flags"), STATUSES)
def test_names_every_reason(message, flags):
    fields = dict(zip(("kind", "group", "elements", "beats", "version"), message, strict=True))
    assert message_status(MESSAGES, **fields, own_version=1).name == flags


GONE = [
    # kind, group, elements, beats that came, version; the flags
    ((Kind.CLICK, 0, 12, 0, 1), "TIMEOUT"),
    ((Kind.CLICK, 0, 12, 3, 1), "TIMEOUT"),  # all that it should have, but no TLAST
    ((Kind.CLICK, 0, 12, 4, 1), "LONG_PACKET|TIMEOUT"),
    ((Kind.FENCE, 0, 0, 0, 1), "TIMEOUT"),
    ((Kind.STATIC, 0, 69, 1, 0), "STALE_VERSION|WRONG_COUNT|TIMEOUT"),
    ((7, 0, 0, 0, 1), "UNKNOWN|TIMEOUT"),
]


@pytest.mark.parametrize(("message", "flags"), GONE)
def test_a_message_that_does_not_end_is_late_and_not_short(message, flags):
    fields = dict(zip(("kind", "group", "elements", "beats", "version"), message, strict=True))
    assert message_status(MESSAGES, **fields, own_version=1, gone=True).name == flags
