"""Dealing out items of spread tables: every channel gets its indices and the end of each feature, whatever comes."""

import dataclasses
import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge

from microduet_hw.lookup.geometry import ITEM_BITS, dense_beats, index_beats, packet_words
from microduet_hw.lookup.layouts import dense_layout
from microduet_hw.lookup.reference import packet_beats, routed
from microduet_hw.lookup.spread import lanes, queue_depth, spread_schedule
from microduet_hw.lookup.spread_router import SpreadRouter
from tests.hw.lookup.test_spread import CASES as UNITS
from tests.hw.lookup.test_spread import spread
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.flow import Bare, cycle
from tests.support.lookup_items import random_packet
from tests.support.lookups import HBM, Table, lookup_config
from tests.support.streams import StreamSink, StreamSource, start_clocks

EMPTY, LAST = 1 << 32, 1 << 33
CASES = {
    "two_channels": UNITS["two_channels"],
    "four_channels": lambda: spread([(99, 5, 19), (64, 9, 1), (77, 4, 6)], 2, dense=37),
    "mixed": UNITS["mixed"],
    "sixteen_lanes": lambda: spread([(64, 9, 33), (77, 20, 18)], 4, dense=17),
    "more_channels_than_lanes": lambda: spread([(500, 8, 50), (320, 20, 17)], 5),
}


def item_beats(config, packet):
    """The beats of an item as the intake gives them: those that did not come are bad, excess ones are dropped."""
    right = index_beats(config) + dense_beats(config)
    beats = packet_beats(config, packet)[:right]
    return beats + [1 << ITEM_BITS | random.getrandbits(ITEM_BITS) for _ in range(right - len(beats))]


def any_packet(config):
    """Often with indices of no row: whether there is one is not the router's affair."""
    packet = random_packet(config, np.random.default_rng(random.getrandbits(32)), faulty=True)
    indices = [random.choice([index, random.getrandbits(32)]) for index in packet.indices]
    return dataclasses.replace(packet, indices=indices)


def features_of(payloads):
    """A channel's lookups cut at the last of each feature; empty ones have no row."""
    features = [[]]
    for payload in payloads:
        if not payload & EMPTY:
            features[-1].append(payload & (EMPTY - 1))
        if payload & LAST:
            features.append([])
    return features[:-1]


async def stop_within_an_item(dut, config):
    """Send some beats of an item and reset all, whether or not its rows have left."""
    for number in range(len(config.sources)):
        getattr(dut, f"o_lookups__{number}__ready").value = random.getrandbits(1)
    for _ in range(random.randrange(3, 60)):
        await cycle(dut, clock="mem_clk", i__valid=1, i__payload=random.getrandbits(ITEM_BITS))
    await cycle(dut, clock="mem_clk", i__valid=0, mem_rst=1)
    await cycle(dut, clock="mem_clk", mem_rst=0)
    await FallingEdge(dut.mem_clk)


class Beside:
    """Dense beats, and how many beats were taken before each end of an item."""

    def __init__(self, dut):
        self.dut, self.dense, self.ends, self.taken = dut, [], [], 0
        cocotb.start_soon(self.watch())

    async def watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.mem_clk)
            await ReadOnly()
            if dut.o_dense__valid.value:
                self.dense.append(int(dut.o_dense__payload.value))
            if dut.o_dealt.value:
                self.ends.append(self.taken)
            self.taken += dut.i__valid.value == 1 and dut.i__ready.value == 1


def dense_payloads(config, beats):
    """The dense beats of an item, numbered."""
    count, layout = dense_beats(config), dense_layout(config)
    fields = [(beat & (1 << ITEM_BITS) - 1, beat >> ITEM_BITS) for beat in beats[len(beats) - count :]]
    return [
        layout.const({"data": words, "number": number, "bad": bad}).as_bits()
        for number, (words, bad) in enumerate(fields)
    ]


@cocotb.test()
async def deals_out_what_the_reference_says(dut):
    config = CASES[bench_parameters()["case"]]()
    packets = [any_packet(config) for _ in range(60)]
    items = [item_beats(config, packet) for packet in packets]
    await start_clocks(dut)
    await stop_within_an_item(dut, config)
    beside, source = Beside(dut), StreamSource(dut, "i", clock=dut.mem_clk, wait=0.2)
    # One channel at least is so slow that lanes fill up.
    stalls = [0.85, *random.choices([0.1, 0.3, 0.8], k=len(config.sources) - 1)]
    random.shuffle(stalls)
    sinks = [StreamSink(dut, f"o_lookups__{k}", clock=dut.mem_clk, stall=stall) for k, stall in enumerate(stalls)]
    source.send(beat for item in items for beat in item)
    wanted = [[rows for item in packets for rows in routed(config, item)[k]] for k in range(len(sinks))]
    for sink, features in zip(sinks, wanted, strict=True):
        came = features_of(await sink.receive(sum(max(1, len(rows)) for rows in features), timeout_us=5000))
        assert [sorted(rows) for rows in came] == [sorted(rows) for rows in features]
    await ClockCycles(dut.mem_clk, 10)
    assert beside.dense == [payload for item in items for payload in dense_payloads(config, item)]
    assert beside.ends == [len(items[0]) * (k + 1) for k in range(len(items))], "an end comes before the next beat"


@cocotb.test()
async def offers_a_row_in_its_latency(dut):
    config = CASES[bench_parameters()["case"]]()
    packet = random_packet(config, np.random.default_rng(1), faulty=False)
    await start_clocks(dut)
    source = StreamSource(dut, "i", clock=dut.mem_clk)
    sinks = [StreamSink(dut, f"o_lookups__{k}", clock=dut.mem_clk) for k in range(len(config.sources))]
    source.send(item_beats(config, packet))
    await sinks[-1].receive(1)
    first = min(sink.cycles[0] for sink in sinks if sink.cycles)
    assert first - source.cycles[1] == SpreadRouter(config=config).latency


@pytest.mark.parametrize("case", by_night(CASES, ["sixteen_lanes"]))
def test_spread_router(case):
    config = CASES[case]()
    run_bench(Bare(SpreadRouter(config=config)), module=__name__, parameters={"case": case})


@pytest.mark.parametrize(("bits", "width"), [(1, 2), (3, 8), (4, 16), (5, 16)])
def test_every_lookup_has_one_lane_of_one_step(bits, width):
    config = spread([(99, 4, 35), (64, 4, 16), (64, 4, 1)], bits)
    assert lanes(config) == width
    steps = spread_schedule(config, dense=2)
    beat, found, tokens = -1, [], 0
    for step in steps:
        beat += step.takes
        found += range(beat * 16 + step.first, beat * 16 + step.first + step.words)
        tokens += step.token
    assert found == list(packet_words(config))
    assert tokens == 3
    assert [step.dense for step in steps if step.dense is not None] == [0, 1]
    assert beat == index_beats(config) + 1


def test_features_begin_on_fresh_beats():
    config = spread([(99, 4, 17), (64, 4, 1)], 1)
    assert packet_words(config) == (*range(16, 33), 48)
    assert index_beats(config) == 4


@pytest.mark.parametrize(("lookups", "slots", "depth"), [(5, 3, 16), (100, 8, 128), (960, 8, 1024)])
def test_a_channel_may_wait_with_the_lookups_of_all_slots(lookups, slots, depth):
    assert queue_depth(spread([(5000, 4, lookups)], 3, slots=slots)) == depth


def test_tables_must_be_spread():
    with pytest.raises(ValueError, match="all tables must be spread over all channels, not those of 'lookups'"):
        SpreadRouter(config=lookup_config([Table()], [HBM]))
