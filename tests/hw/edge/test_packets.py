"""Messages as beats: what a header cannot say is refused instead of cut short."""

import pytest

from microduet_hw.edge.message import Kind
from microduet_hw.edge.packets import join_messages, pack_message
from tests.support.edge import small_edge

CONFIG = small_edge(((4,), 2))
FIELDS = {"tag": 1, "version": 7, "kind": Kind.CLEAR, "group": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # Cut to 32 bits it would be the unit's own version, and stale data would be taken.
        ({"version": 7 + (1 << 32)}, "version must be 0 to 2\\^32 - 1, not 4294967303"),
        ({"version": -1}, "version must be 0 to 2\\^32 - 1, not -1"),
        ({"tag": 1 << 32}, "tag must be 0 to 2\\^32 - 1"),
        ({"group": 256}, "group must be 0 to 2\\^8 - 1, not 256"),
    ],
)
def test_a_number_that_does_not_fit_its_place_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        pack_message(CONFIG, **(FIELDS | change))


def test_messages_lie_side_by_side():
    short = pack_message(CONFIG, **FIELDS)
    long = pack_message(CONFIG, **(FIELDS | {"kind": Kind.CLICK}), elements=[1, 2, 3, -4])
    words, lengths = join_messages([short, long])
    assert words.shape == (2, 32)
    assert lengths.tolist() == [1, 2]
    assert words[1, 16:20].tolist() == [1, 2, 3, (1 << 32) - 4]


def test_no_messages_join_to_none():
    words, lengths = join_messages([])
    assert words.shape == (0, 16)
    assert not len(lengths)
