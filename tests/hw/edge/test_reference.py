"""The reference of the histories: plain lists, and clear refusals."""

import pytest

from microduet_hw.edge.reference import HistoryReference
from tests.support.edge import small_edge

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
