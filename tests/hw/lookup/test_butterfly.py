"""The way of indices to their channels: nothing lost, doubled or led astray, no token overtaken, whatever stalls."""

import random
import re

import cocotb
import pytest

from microduet_hw.lookup.butterfly import Butterfly
from microduet_hw.lookup.endings import Endings
from microduet_hw.lookup.merger import Merger
from microduet_hw.lookup.splitter import Splitter
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle
from tests.support.streams import StreamSink, StreamSource, start_clocks

TOKEN = 1 << 32
SPLIT = 2
"""The bit by which the splitter of its own bench splits."""
SIZES = {
    "two_lanes": (2, 2, 4),
    "four_lanes": (4, 4, 32),
    "one_level_of_splitters": (4, 8, 4),
    "two_levels": (2, 8, 32),
    "card": (16, 32, 32),
}
"""Lanes, channels, and the depth of the queues between them."""


def random_rows(channels, rng):
    """Rows of a feature in one lane: many, few or none, now and then all of one channel."""
    only = rng.randrange(channels) if rng.random() < 0.2 else None
    rows = [rng.randrange(TOKEN) for _ in range(rng.choice([0, 1, 3, 12]))]
    return rows if only is None else [row - row % channels + only for row in rows]


def features_of(payloads):
    """Payloads cut at their tokens."""
    assert not payloads or payloads[-1] == TOKEN
    features = [[]]
    for payload in payloads:
        if payload == TOKEN or payload >> 32:
            features.append([])
        else:
            features[-1].append(payload)
    return features[:-1]


class Ends:
    """A source per lane and a sink per channel."""

    def __init__(self, dut, *, lanes, channels, wait, stall):
        clock = dut.mem_clk
        self.sources = [StreamSource(dut, f"i__{k}", clock=clock, wait=wait()) for k in range(lanes)]
        self.sinks = [StreamSink(dut, f"o__{k}", clock=clock, stall=stall()) for k in range(channels)]

    async def pass_on(self, lanes):
        """Send per lane its features; per channel, the features that came."""
        for source, features in zip(self.sources, lanes, strict=True):
            source.send(payload for rows in features for payload in (*rows, TOKEN))
        total = [
            sum(row % len(self.sinks) == channel for features in lanes for rows in features for row in rows)
            for channel in range(len(self.sinks))
        ]
        return [
            features_of(await sink.receive(count + len(lanes[0]), timeout_us=5000))
            for sink, count in zip(self.sinks, total, strict=True)
        ]


async def deliver(dut, wait, stall):
    lanes, channels, _ = SIZES[bench_parameters()["size"]]
    await start_clocks(dut)
    ends = Ends(dut, lanes=lanes, channels=channels, wait=wait, stall=stall)
    sent = [[random_rows(channels, random) for _ in range(60)] for _ in range(lanes)]
    came = await ends.pass_on(sent)
    for channel, features in enumerate(came):
        assert len(features) == 60
        for number, rows in enumerate(features):
            wanted = [[row for row in lane[number] if row % channels == channel] for lane in sent]
            hit("butterfly: a feature without rows in a channel", not any(wanted))
            hit(
                "butterfly: all rows of a feature in one channel",
                any(wanted) and rows and wanted == [lane[number] for lane in sent],
            )
            hit("butterfly: rows of two lanes for one channel", sum(map(bool, wanted)) > 1)
            hit("butterfly: the last channel", channel == channels - 1 and rows)
            assert sorted(rows) == sorted(row for lane in wanted for row in lane)
            for lane in wanted:  # those of one lane keep their order
                assert [row for row in rows if row in lane] == lane
    return ends


@cocotb.test()
async def leads_all_to_their_channels(dut):
    await deliver(dut, lambda: 0.4, lambda: 0.4)


@cocotb.test()
async def leads_all_while_one_is_slow(dut):
    await deliver(dut, lambda: random.choice([0.0, 0.9]), lambda: random.choice([0.0, 0.9]))


@cocotb.test()
async def leads_a_row_in_its_latency(dut):
    lanes, channels, _ = SIZES[bench_parameters()["size"]]
    await start_clocks(dut)
    ends = Ends(dut, lanes=lanes, channels=channels, wait=lambda: 0.0, stall=lambda: 0.0)
    await ends.pass_on([[[lane], []] for lane in range(lanes)])
    latency = Butterfly(lanes=lanes, channels=channels).latency
    came = {min(sink.cycles) for sink in ends.sinks if sink.received[0] != TOKEN}
    sent = {source.cycles[0] for source in ends.sources}
    assert len(sent) == 1
    assert came == {sent.pop() + latency}


@cocotb.test()
async def leads_a_row_per_lane_and_cycle(dut):
    """Rows of each lane go to a channel of its own."""
    lanes, channels, _ = SIZES[bench_parameters()["size"]]
    await start_clocks(dut)
    ends = Ends(dut, lanes=lanes, channels=channels, wait=lambda: 0.0, stall=lambda: 0.0)
    await ends.pass_on([[[channels * k + lane for k in range(50)], []] for lane in range(lanes)])
    for sink in ends.sinks[:lanes]:
        assert sink.cycles[50] - sink.cycles[0] == 50


@cocotb.test()
async def leads_random_rows_nearly_as_fast_as_they_come(dut):
    """Features of five rows a lane, as RM1's items have two: 14 cycles for two, of which 12 are rows and tokens."""
    lanes, channels, _ = SIZES[bench_parameters()["size"]]
    await start_clocks(dut)
    ends = Ends(dut, lanes=lanes, channels=channels, wait=lambda: 0.0, stall=lambda: 0.0)
    sent = [[[random.randrange(TOKEN) for _ in range(5)] for _ in range(200)] for _ in range(lanes)]
    await ends.pass_on(sent)
    last = max(sink.cycles[-1] for sink in ends.sinks)
    assert 100 * 12 <= last - ends.sources[0].cycles[0] <= 100 * 14


@cocotb.test()
async def says_which_row_is_the_last(dut):
    await start_clocks(dut)
    source = StreamSource(dut, "i", clock=dut.mem_clk, wait=0.3)
    sink = StreamSink(dut, "o", clock=dut.mem_clk, stall=0.3)
    features = [random_rows(4, random) for _ in range(100)]
    source.send(payload for rows in features for payload in (*rows, TOKEN))
    empty, last = 1 << 32, 1 << 33
    expected = [payload for rows in features for payload in ([*rows[:-1], rows[-1] | last] if rows else [None])]
    received = await sink.receive(len(expected))
    for got, wanted in zip(received, expected, strict=True):
        assert got == wanted or (wanted is None and got >> 32 == (empty | last) >> 32)


class Offer:
    """What is offered to an input: rows and tokens, each until it is taken."""

    def __init__(self, name):
        self.name, self.payload = name, None

    @property
    def is_row(self):
        return self.payload is not None and self.payload < TOKEN

    @property
    def is_token(self):
        return self.payload is not None and self.payload >= TOKEN

    def inputs(self):
        if self.payload is None and random.random() < 0.7:
            self.payload = random.getrandbits(33)
        idle = random.getrandbits(33)
        offered = self.payload is not None
        return {f"{self.name}__valid": int(offered), f"{self.name}__payload": self.payload if offered else idle}

    def look(self, dut, *, leaves):
        """Whether it is taken must be what should be."""
        if self.payload is not None:
            assert getattr(dut, f"{self.name}__ready").value == leaves
        self.payload = None if leaves else self.payload


@cocotb.test()
async def merges_rows_in_turn_and_two_tokens_to_one(dut):
    offers, second_next = [Offer("i__0"), Offer("i__1")], False
    await begin(dut, i__0__valid=0, i__1__valid=0, o__ready=0)
    for _ in range(2000):
        inputs = offers[0].inputs() | offers[1].inputs()
        ready, reset = random.random() < 0.6, random.random() < 0.02
        await cycle(dut, clock="mem_clk", **inputs, o__ready=int(ready), mem_rst=int(reset))
        rows, tokens = [offer.is_row for offer in offers], all(offer.is_token for offer in offers)
        second = rows[1] and (second_next or not rows[0])
        assert dut.o__valid.value == (any(rows) or tokens)
        if any(rows):
            assert int(dut.o__payload.value) == offers[second].payload
        if tokens:
            assert int(dut.o__payload.value) >= TOKEN
        offers[0].look(dut, leaves=ready and (tokens or (rows[0] and not second)))
        offers[1].look(dut, leaves=ready and (tokens or second))
        if reset:
            second_next = False
        elif any(rows):
            second_next = second != ready


@cocotb.test()
async def splits_rows_by_a_bit_and_gives_a_token_to_both(dut):
    offer, given = Offer("i"), [False, False]
    await begin(dut, i__valid=0, o__0__ready=0, o__1__ready=0)
    for _ in range(2000):
        ready, reset = [random.random() < 0.6 for _ in range(2)], random.random() < 0.02
        inputs = offer.inputs() | {f"o__{way}__ready": int(one) for way, one in enumerate(ready)}
        await cycle(dut, clock="mem_clk", **inputs, mem_rst=int(reset))
        way = offer.is_row and offer.payload >> SPLIT & 1
        for k in range(2):
            valid = (offer.is_row and way == k) or (offer.is_token and not given[k])
            assert getattr(dut, f"o__{k}__valid").value == valid
            assert not valid or int(getattr(dut, f"o__{k}__payload").value) == offer.payload
        passed = [before or now for before, now in zip(given, ready, strict=True)]
        given = passed if offer.is_token and not all(passed) and not reset else [False, False]
        offer.look(dut, leaves=all(passed) if offer.is_token else offer.is_row and ready[way])


BUTTERFLY = ["leads_all_to_their_channels", "leads_all_while_one_is_slow", "leads_a_row_in_its_latency",
             "leads_a_row_per_lane_and_cycle"]  # fmt: skip


@pytest.mark.parametrize("size", by_night(SIZES, ["card"]))
def test_butterfly(size):
    lanes, channels, depth = SIZES[size]
    run_bench(
        Bare(Butterfly(lanes=lanes, channels=channels, depth=depth)),
        module=__name__,
        scenarios=["leads_random_rows_nearly_as_fast_as_they_come"] if size == "card" else BUTTERFLY,
        parameters={"size": size},
    )


def test_merger():
    run_bench(Merger(), module=__name__, scenarios=["merges_rows_in_turn_and_two_tokens_to_one"])


def test_splitter():
    run_bench(Splitter(bit=SPLIT), module=__name__, scenarios=["splits_rows_by_a_bit_and_gives_a_token_to_both"])


def test_endings():
    run_bench(Bare(Endings()), module=__name__, scenarios=["says_which_row_is_the_last"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Butterfly(lanes=3, channels=4), "lanes must be a power of two of at least 2, not 3"),
        (lambda: Butterfly(lanes=2, channels=1), "channels must be a power of two of at least 2, not 1"),
        (lambda: Butterfly(lanes=8, channels=4), "there must not be more lanes than channels, not 8 and 4"),
    ],
)
def test_parameters_are_checked(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
