"""The check word finds what it says it finds: any one, two or three changed bits, and rows of other places."""

import itertools
import re

import numpy as np
import pytest

from microduet_hw.config import AXI_BYTES, CHECK_BITS
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.row_check import checked_row, is_row, word_check
from tests.support.lookups import HBM, ONCHIP, Table, lookup_config

ADDRESS, CHANNEL = 0x2_4680_0020, 17


def row_of(beats, seed=1):
    stored = np.random.default_rng(seed).bytes(AXI_BYTES * beats)
    return checked_row(stored, address=ADDRESS, channel=CHANNEL)


def changed(row, *bits):
    value = int.from_bytes(row, "little")
    for place in bits:
        value ^= 1 << place
    return value.to_bytes(len(row), "little")


def syndromes(beats):
    """What each changed bit alone does to the word; of several it is their sum."""
    import binascii

    return [binascii.crc_hqx(changed(bytes(AXI_BYTES * beats), k), 0) for k in range(8 * AXI_BYTES * beats)]


@pytest.mark.parametrize("beats", [1, 2, 5])
def test_a_row_keeps_all_but_its_last_bytes(beats):
    stored = np.random.default_rng(2).bytes(AXI_BYTES * beats)
    row = checked_row(stored, address=ADDRESS, channel=CHANNEL)
    assert row[: -CHECK_BITS // 8] == stored[: -CHECK_BITS // 8]
    assert is_row(row, address=ADDRESS, channel=CHANNEL)


@pytest.mark.parametrize("beats", [1, 2, 4, 127])
def test_one_two_or_three_changed_bits_are_found(beats):
    """Up to 4,064 bytes: all syndromes differ, and all have an odd number of the polynomial's own parity."""
    every = syndromes(beats)
    assert len(set(every)) == len(every)
    assert 0 not in every
    # x + 1 divides the polynomial, so an odd number of changed bits changes the parity of the word.
    assert {word.bit_count() & 1 for word in every} == {1}


def test_changed_bits_are_found_in_a_row():
    row = row_of(2)
    for bits in itertools.chain(((k,) for k in range(512)), itertools.combinations(range(480, 512), 3)):
        assert not is_row(changed(row, *bits), address=ADDRESS, channel=CHANNEL)


@pytest.mark.parametrize("distance", [1, 2, 3, 1000, 0x8000, 0xFFFF])
def test_rows_of_near_addresses_are_found(distance):
    """Whatever they hold: within 65,536 beats of each other, all of them; others but for one of 2^16."""
    other = (ADDRESS // AXI_BYTES ^ distance) * AXI_BYTES
    assert not is_row(row_of(1), address=other, channel=CHANNEL)


def test_rows_of_other_channels_are_found():
    assert [channel for channel in range(256) if is_row(row_of(1), address=ADDRESS, channel=channel)] == [CHANNEL]


WORD = bytes(range(7, 39))
CHECK = word_check(WORD, row=5, source=3)


@pytest.mark.parametrize(
    ("row", "source", "same"),
    [(5, 3, True), (4, 3, False), (6, 3, False), (5 + (1 << 15), 3, False), (5, 2, False), (5, 0, False)],
)
def test_a_word_of_a_bank_belongs_to_its_place(row, source, same):
    assert (word_check(WORD, row=row, source=source) == CHECK) == same


@pytest.mark.parametrize("bit", [0, 1, 100, 255])
def test_a_changed_bit_of_a_word_changes_its_check_word(bit):
    changed = (int.from_bytes(WORD, "little") ^ 1 << bit).to_bytes(32, "little")
    assert word_check(changed, row=5, source=3) != CHECK


@pytest.mark.parametrize("beat", [bytes(32), b"\xff" * 32], ids=["zeros", "ones"])
def test_memory_that_is_not_there_holds_no_row(beat):
    assert not is_row(beat, address=0, channel=0)


def test_a_row_has_a_beat_more_only_where_its_last_is_full():
    tables = [Table(dim=dim, places=((source, 0, 20, 0, dim),)) for dim, source in ((15, 0), (16, 0), (31, 0), (16, 1))]
    config = lookup_config(tables, [HBM, ONCHIP], row_check=True)
    beats = [(p.beats, p.read_beats, p.checked) for k in (0, 1) for p in source_plan(config, k).parts]
    assert beats == [(1, 1, True), (1, 2, True), (2, 2, True), (1, 1, False)]


def test_an_engine_without_the_check_is_described_as_before():
    config = lookup_config([Table()], [HBM])
    assert b"check" not in config.to_json()
    assert not config.row_check
    checked = lookup_config([Table()], [HBM], row_check=True)
    assert b'"check_bits": 16' in checked.to_json()
    assert type(config).from_json(checked.to_json()) == checked
    assert config.digest != checked.digest


def test_a_row_needs_room_for_its_check_word():
    config = lookup_config([Table(dim=16)], [HBM])
    message = "source 0, feature 0: a row and its check word, 272 bits, must lie within the row's stride, not 256"
    with pytest.raises(ValueError, match=re.escape(message)):
        config.replace(check_bits=CHECK_BITS)
