"""Where rows lie and when indices are dealt out: rules, errors, and the schedule's promises."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet_hw.axi import LiteMaster, StreamMaster
from microduet_hw.config import Precision
from microduet_hw.lookup.geometry import (
    ITEM_WORDS,
    dense_beats,
    index_beats,
    packet_positions,
    packet_words,
    source_plan,
)
from microduet_hw.lookup.intake import PacketIntake
from microduet_hw.lookup.pooling import PoolingAdder, pooled
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.reader import ChannelReader
from microduet_hw.lookup.schedule import WINDOW, schedule
from microduet_hw.lookup.sender import VectorSender
from tests.support.lookups import HBM, ONCHIP, Table, lookup_config


@given(
    tables=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), min_size=1, max_size=30), dense=st.integers(0, 70)
)
def test_schedule_deals_every_index_once_in_order_and_in_sight(tables, dense):
    features = [Table(lookups=lookups, places=((source, 0, 20, 0, 4),)) for lookups, source in tables]
    config = lookup_config(features, [HBM, HBM, ONCHIP, HBM], dense=dense)
    plans = tuple(source_plan(config, k) for k in range(4) if config.sources[k].parts)
    steps = schedule(config, plans)
    dealt = {plan.source: [] for plan in plans}
    for step in steps:
        for source, word in step.words.items():
            assert word // ITEM_WORDS < WINDOW
            dealt[source].append((step.beat - word // ITEM_WORDS) * ITEM_WORDS + word % ITEM_WORDS)
    assert dealt == {plan.source: packet_positions(config, plan) for plan in plans}
    assert [step.beat for step in steps if step.takes] == list(range(index_beats(config) + dense_beats(config)))
    assert [step.dense for step in steps if step.dense is not None] == list(range(dense_beats(config)))


@given(tables=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), min_size=1, max_size=20))
def test_every_lookup_has_a_word_of_its_own_and_sources_take_theirs_in_order(tables):
    features = [Table(lookups=lookups, places=((source, 0, 20, 0, 4),)) for lookups, source in tables]
    config = lookup_config(features, [HBM, HBM, ONCHIP, HBM])
    assert sorted(packet_words(config)) == list(range(1, config.lookups + 1))
    for number, source in enumerate(config.sources):
        if source.parts:
            positions = packet_positions(config, source_plan(config, number))
            assert positions == sorted(positions)


def test_pooled_features_are_dealt_out_side_by_side():
    tables = [Table(lookups=50, places=((source, 0, 20, 0, 4),)) for source in range(16)]
    config = lookup_config(tables, [HBM] * 16)
    steps = schedule(config, tuple(source_plan(config, k) for k in range(16)))
    assert len(steps) == index_beats(config) == 51  # a beat per step, each word to another source


def test_a_table_split_by_columns_asks_both_its_sources_with_one_word():
    table = Table(dim=6, places=((0, 0, 20, 0, 2), (1, 0, 20, 2, 4)))
    config = lookup_config([table, Table(places=((1, 0, 20, 0, 4),))], [HBM, HBM])
    assert packet_words(config) == (1, 2)
    assert [packet_positions(config, source_plan(config, k)) for k in range(2)] == [[1], [1, 2]]


def test_lookups_of_busy_and_of_idle_sources_are_spread_evenly():
    lookups = [400, *[100] * 30, 200]
    tables = [Table(lookups=count, places=((source, 0, 20, 0, 4),)) for source, count in enumerate(lookups)]
    config = lookup_config(tables, [ONCHIP] + [HBM] * 31)
    steps = schedule(config, tuple(source_plan(config, k) for k in range(32)))
    assert index_beats(config) < 400 <= len(steps) < 420
    for source, count in enumerate(lookups):
        given = np.cumsum([source in step.words for step in steps])
        assert np.abs(given / count - np.linspace(0, 1, len(steps))).max() < 0.2


def test_a_crowded_source_does_not_keep_the_others_waiting():
    tables = [Table(places=((0 if k % 2 else 1 + k // 2, 0, 20, 0, 4),)) for k in range(40)]
    config = lookup_config(tables, [ONCHIP] + [HBM] * 20)
    steps = schedule(config, tuple(source_plan(config, k) for k in range(21)))
    assert [step.takes for step in steps[:3]] == [True] * 3
    assert all(set(step.words) <= {0} for step in steps[3:])


@pytest.mark.parametrize(
    ("precision", "rows", "expected"),
    [
        (Precision.FIXED16, [[32767, -32768, 5], [1, -1, -7]], [32767, -32768, -2]),
        (Precision.FIXED16, [[32767], [32767], [-32768], [-32768]], [-2]),  # only the sum is saturated
        (Precision.FIXED32, [[2**31 - 1, -(2**31)], [1, 0]], [2**31 - 1, -(2**31)]),
        (Precision.INT8, [[128, 255, 0, 200], [128, 129, 127, 100]], [128, 255, 0, 172]),
    ],
)
def test_pooled_sums_are_exact_and_saturated_once(precision, rows, expected):
    assert pooled(np.array(rows), precision=precision).tolist() == expected


def place(config, **changes):
    source = config.sources[0]
    return config.replace(sources=(source.replace(parts=(source.parts[0].replace(**changes),)),))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": 32}, "base must be a multiple of the stride 64, not 32"),
        ({"base": 72}, "base and stride must be whole beats of 32 bytes, not 72 and 64"),
        ({"stride_log2": 5}, "a row must lie within its stride, of at most 4096 bytes, not 64 in 32"),
        ({"stride_log2": 13}, "a row must lie within its stride, of at most 4096 bytes, not 64 in 8192"),
        ({"base": (1 << 34) - 64}, "rows must end within 2^34 bytes"),
    ],
)
def test_rows_that_cannot_be_read_are_refused(changes, message):
    config = place(lookup_config([Table(dim=20)], [HBM]), **changes)
    with pytest.raises(ValueError, match=re.escape(f"source 0, feature 0: {message}")):
        ChannelReader(config=config, source=0)


def test_a_pooled_feature_has_one_part_per_source():
    config = lookup_config([Table(dim=4, lookups=2, places=((0, 0, 20, 0, 2), (0, 0, 20, 2, 2)))], [HBM])
    with pytest.raises(ValueError, match="source 0: a pooled feature must have one part per source"):
        source_plan(config, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Queue(shape=1, depth=6), "depth must be a power of two of at least 4, not 6"),
        (lambda: PacketIntake(beats=0, watchdog=2), "beats must be at least 1, not 0"),
        (lambda: PacketIntake(beats=1, watchdog=0), "watchdog must be at least 1, not 0"),
        (lambda: PacketIntake(beats=1, watchdog=2, slots=65), "slots must be 0 to 64, not 65"),
        (lambda: VectorSender(slots=1, words=3), "slots and words must be at least 2 and 1, not 1 and 3"),
        (lambda: StreamMaster(bits=12), "bits must be a positive multiple of 8, not 12"),
        (lambda: LiteMaster(address_bits=1), "address_bits must be at least 2, not 1"),
    ],
)
def test_parameters_are_checked(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_an_adder_needs_something_to_add():
    config = lookup_config([Table()], [HBM])
    with pytest.raises(ValueError, match="the source must have a pooled feature, not 0"):
        PoolingAdder(config=config, plan=source_plan(config, 0))
