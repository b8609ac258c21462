"""Vectors without their zeros: what is coded comes out again, and the code says how long it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet_hw.config import Payload
from microduet_hw.user_code import GROUP, code, code_groups, expand, expanded, shorter
from microduet_hw.user_packets import UserKind, pack_abandon, pack_user, unpack_user, user_bytes
from microduet_hw.user_reference import plain_packet

HEADER = {"number": 7, "slot": 3, "version": 9, "scale": 0.25, "zero_point": 0}
SPARSE = st.lists(st.one_of(st.just(0), st.integers(0, 255)), min_size=1, max_size=300)


def vector_of(values):
    return user_bytes(Payload.VECTOR, values)


@given(values=SPARSE)
def test_what_is_coded_comes_out(values):
    vector = vector_of(values)
    coded = code(vector)
    assert len(coded) == 2 * code_groups(len(vector)) + np.count_nonzero(vector)
    assert expand(coded, length=len(vector)).tolist() == values
    sent = shorter(vector)
    assert (sent is None) == (len(coded) >= len(vector))
    assert sent is None or sent.tolist() == coded.tolist()


@given(values=SPARSE, padding=st.integers(0, 255))
def test_a_coded_packet_expands_to_the_plain_one(values, padding):
    vector = vector_of(values)
    coded = pack_user(**HEADER, payload=vector, coded=code(vector)).copy()
    text = coded.view(np.uint8).reshape(-1)
    text[64 + len(code(vector)) :] = padding  # what stands behind the last byte is nobody's
    assert unpack_user(coded).kind == UserKind.CODED
    assert plain_packet(coded, length=len(vector)).tolist() == pack_user(**HEADER, payload=vector).tolist()


def test_a_group_is_its_mask_and_what_is_not_zero():
    vector = np.zeros(GROUP + 3, np.uint8)
    vector[[0, 9, 17]] = 5, 6, 7
    assert code(vector).tolist() == [0b1, 0b10, 5, 6, 0b10, 0, 7]


@pytest.mark.parametrize(
    ("coded", "length", "used", "beyond"),
    [
        ([], 20, 4, False),
        ([0xFF, 0xFF, 1], 16, 18, False),
        ([0b1000, 0, 9], 3, 3, True),
        ([0, 0, 0xFF], 20, 12, True),
        ([1, 0, 2, 3, 4], 16, 3, False),
    ],
)
def test_what_is_no_code_of_the_length_is_told(coded, length, used, beyond):
    text = np.array(coded, np.uint8)
    found = expanded(text, length=length)
    assert (len(found.values), found.used, found.beyond) == (length, used, beyond)
    with pytest.raises(ValueError, match=f"{len(coded)} coded bytes must be of {length} elements, not of others"):
        expand(text, length=length)


def test_packets_that_are_not_coded_stay_as_they_are():
    for packet in (pack_user(**HEADER, payload=vector_of([0, 1])), pack_abandon(number=5, slot=2)):
        assert plain_packet(packet, length=2) is packet


@pytest.mark.parametrize("change", [-1, 1])
def test_beats_too_few_or_too_many_are_a_beat_too_many(change):
    vector = np.arange(1, 121, dtype=np.uint8)
    coded = pack_user(**HEADER, payload=vector, coded=code(vector))
    changed = coded[:change] if change < 0 else np.concatenate([coded, coded[:1]])
    found = plain_packet(changed, length=120)
    assert len(found) == 1 + len(pack_user(**HEADER, payload=vector))
    assert found[-1].tolist() == found[-2].tolist()


def test_a_coded_packet_without_a_vector_is_a_header():
    found = plain_packet(pack_user(**HEADER, payload=vector_of([0]), coded=vector_of([])), length=1)
    assert (len(found), unpack_user(found).kind) == (1, UserKind.VECTOR)
