"""What a kernel's testbench expects, and is loaded with, for tables that are spread over sources in any way."""

import itertools

import numpy as np
import pytest

from microduet_hw.config import SourceKind
from microduet_hw.image import onchip_beats
from microduet_hw.loader import BEAT
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.reference import Packet, reads
from microduet_hw.testbench import channel_reads
from tests.hw.lookup.test_partners import CASES
from tests.support.lookups import memory_image, random_tables


@pytest.fixture(params=CASES)
def config(request):
    return CASES[request.param]()


def rows_of(tables):
    return lambda feature, first, count: tables[feature][first : first + count]


def same_row(bits, image):
    """Whether two beats are the same but behind the row, where `image` is all ones and the other one zeros."""
    different = bits ^ image
    return different + (different & -different) in (0, 1 << 256)


def test_reads_are_those_of_the_reference(config):
    rng = np.random.default_rng(7)
    tables = random_tables(config, rng)
    rows = [feature.rows for feature in config.features for _ in range(feature.lookups)]
    sparse = np.stack([rng.integers(0, count, 20) for count in rows], axis=1)
    found = channel_reads(config, sparse, rows_of(tables))
    packets = [Packet(tag=0, indices=item) for item in sparse.tolist()]
    for source in config.channels:
        plan = source_plan(config, source)
        expected = list(itertools.chain.from_iterable(reads(plan, config, packet) for packet in packets))
        assert [(address, len(beats)) for address, beats in found[source]] == expected
        image = memory_image(config, source, tables)
        for address, beats in found[source]:
            for number, beat in enumerate(beats):
                assert same_row(int.from_bytes(beat.tobytes(), "little"), image[address + 32 * number])


def test_a_bank_is_loaded_with_the_rows_it_holds(config):
    tables = random_tables(config, np.random.default_rng(8))
    loaded = {}
    for beat in onchip_beats(config, rows_of(tables)):
        fields = BEAT.from_bits(int.from_bytes(beat.tobytes(), "little"))
        loaded[fields["unit"], fields["row"] * 32] = fields["data"] & ((1 << 256) - 1)
    for source, of in enumerate(config.sources):
        if of.kind is SourceKind.ONCHIP:
            for address, bits in memory_image(config, source, tables).items():
                assert same_row(loaded[source, address], bits)
