"""User packets: what is packed comes out again, and what does not fit is refused."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet_hw.config import Payload
from microduet_hw.user_packets import USER, UserKind, pack_abandon, pack_user, unpack_user, user_beats, user_bytes

HEADER = {"number": 7, "slot": 3, "version": 9, "scale": 0.25, "zero_point": 128}


@given(
    fields=st.fixed_dictionaries(
        {
            "number": st.integers(0, 0xFFFF),
            "slot": st.integers(0, 63),
            "version": st.integers(0, 0xFFFFFFFF),
            "scale": st.floats(width=32, min_value=0, max_value=1e6),
            "zero_point": st.integers(0, 255),
        }
    ),
    text=st.binary(min_size=1, max_size=300),
)
def test_what_is_packed_comes_out(fields, text):
    beats = pack_user(**fields, payload=np.frombuffer(text, np.uint8))
    packet = unpack_user(beats)
    assert beats.shape == (user_beats(len(text)), 16)
    assert {name: getattr(packet, name) for name in fields} == {**fields, "scale": np.float32(fields["scale"])}
    assert (packet.kind, packet.length, packet.payload.tobytes()) == (UserKind.VECTOR, len(text), text)
    assert packet.crc32 == zlib.crc32(text)
    assert packet.intact


def test_a_flipped_bit_shows():
    beats = pack_user(**HEADER, payload=np.arange(70, dtype=np.uint8)).copy()
    beats[2, 0] ^= 1 << 9
    assert not unpack_user(beats).intact


def test_a_missing_beat_shows():
    assert not unpack_user(pack_user(**HEADER, payload=np.arange(70, dtype=np.uint8))[:-1]).intact


def test_giving_up_is_a_header():
    packet = unpack_user(pack_abandon(number=5, slot=2))
    assert (packet.number, packet.slot, packet.kind, packet.length) == (5, 2, UserKind.ABANDON, 0)


def test_fields_lie_as_documented():
    beats = pack_user(**HEADER, payload=np.array([1, 2], np.uint8))
    bits = int.from_bytes(beats[0].tobytes(), "little")
    offsets = {name: field.offset for name, field in USER}
    assert list(offsets.values()) == [0, 16, 24, 32, 48, 80, 112, 120]
    assert bits >> offsets["length"] & 0xFFFF == 2
    assert bits >> offsets["scale"] & 0xFFFFFFFF == 0x3E800000
    assert beats[1].tobytes() == bytes([1, 2]).ljust(64, b"\0")


def test_sums_are_words():
    assert user_bytes(Payload.SUMS, [-2, 1]).tolist() == [254, 255, 255, 255, 1, 0, 0, 0]
    assert user_bytes(Payload.VECTOR, [254, 1]).tolist() == [254, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 1 << 16}, "number must be 0 to 2\\^16 - 1, not 65536"),
        ({"slot": -1}, "slot must be 0 to 2\\^8 - 1, not -1"),
        ({"zero_point": 256}, "zero_point must be"),
        ({"payload": np.zeros(1 << 16, np.uint8)}, "length must be"),
    ],
)
def test_what_has_no_place_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        pack_user(**{**HEADER, "payload": np.zeros(1, np.uint8), **change})


@pytest.mark.parametrize(("payload", "value"), [(Payload.VECTOR, -1), (Payload.VECTOR, 256), (Payload.SUMS, 1 << 31)])
def test_elements_that_do_not_fit_are_refused(payload, value):
    with pytest.raises(ValueError, match="elements of a user vector must be"):
        user_bytes(payload, [0, value])


def test_no_beats_are_no_packet():
    with pytest.raises(ValueError, match="not 0 beats"):
        unpack_user(np.zeros((0, 16), np.uint32))
