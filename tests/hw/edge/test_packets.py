"""Messages as beats: what a header cannot say is refused instead of cut short."""

import numpy as np
import pytest

from microduet_hw.edge.message import ANSWER, Kind
from microduet_hw.edge.packets import join_messages, pack_message, unpack_answer
from microduet_hw.user_code import code
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


def answer_beats(text, *, per_beat, **fields):
    """An answer whose payload or code is `text`."""
    header = ANSWER.const({"kind": Kind.QUERY, **fields}).as_bits().to_bytes(32, "little")
    body = [text[k : k + per_beat].ljust(32, b"\0") for k in range(0, len(text), per_beat)]
    return np.frombuffer(header + b"".join(body), np.uint32).reshape(-1, 8)


def test_a_payload_comes_as_it_is_or_coded():
    payload = np.array([0, 0, 7, 0, 0, 0, 0, 9, 0], np.uint8)
    plain = unpack_answer(CONFIG, answer_beats(payload.tobytes(), per_beat=4, length=9))
    assert (plain.payload.tolist(), plain.coded) == (payload.tolist(), None)
    coded = code(payload)
    answer = unpack_answer(CONFIG, answer_beats(coded.tobytes(), per_beat=32, length=9, coded=len(coded)))
    assert answer.payload.tolist() == payload.tolist()
    assert answer.coded is not None
    assert answer.coded.tolist() == coded.tolist()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"length": 9}, "an answer of 9 bytes has 4 beats, not 2"),
        ({"length": 40, "coded": 33}, "an answer of 33 bytes has 3 beats, not 2"),
        ({"length": 9, "coded": 5}, "5 coded bytes must be of 9 elements, not of others"),
    ],
)
def test_an_answer_that_is_not_what_its_header_says_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        unpack_answer(CONFIG, answer_beats(bytes([4, 0, 7, 0]), per_beat=32, **fields))
