"""The intake of item packets: real watchdogs, packets of any length, and a limit of as many items as there may be."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, Timer

from microduet_hw.lookup.intake import PacketIntake
from microduet_hw.status import QUERY
from tests.support.bench import bench_parameters, chosen_simulator, run_bench
from tests.support.flow import Bare, begin, cycle
from tests.support.streams import AxiStream

BEATS, WATCHDOG, SLOTS = 600, 5000, 40
SHORT, LONG, TIMEOUT = 1, 2, 4
"""Flags of an item's packet."""
MANY = (1 << 21) + 5
"""Items up to a limit: two cycles each, of which nobody looks at one."""


async def started(dut, **inputs):
    idle = {"s_axis_items__tvalid": 0, "s_axis_items__tdata": 0, "s_axis_items__tlast": 0, "i_limit": 0, "i_dealt": 1}
    await begin(dut, **(idle | {"i_free": 1, "o_beats__ready": 1, "i_run": 1} | inputs))
    await ClockCycles(dut.mem_clk, 2)


class Packets:
    """Sends packets a beat per cycle, and collects what becomes of them."""

    def __init__(self, dut):
        self.dut, self.items, self.beats = dut, [], []
        """Tag, query, flags, beats and bad beats of every item; the beats of the one that is under way."""
        self.stream = AxiStream(dut, "s_axis_items", clock=dut.mem_clk)
        cocotb.start_soon(self.watch())

    async def offer(self, beats, *, last, first=0):
        """Offer some beats, each until it is taken."""
        await self.stream.send([first, *range(1, beats)], ends=last)

    async def watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.mem_clk)
            await ReadOnly()
            if dut.o_beats__valid.value == 1 and dut.o_beats__ready.value == 1:
                self.beats.append(dut.o_beats__payload.value.to_unsigned() >> 512)
            if dut.o_packet__valid.value == 1:
                said = dut.o_packet__payload.value.to_unsigned()
                flags = said >> 32 & 7
                self.items.append((said & 0xFFFFFFFF, said >> 35, flags, len(self.beats), sum(self.beats)))
                self.beats = []

    async def received(self, count):
        for _ in range(3 * BEATS):
            if len(self.items) >= count:
                break
            await RisingEdge(self.dut.mem_clk)
        await ClockCycles(self.dut.mem_clk, 2)


@cocotb.test()
async def offers_what_it_may_begin_until_it_is_taken(dut):
    """Without a place or while it is stopped nothing is offered; what was offered stays."""
    await started(dut, i_free=0, o_beats__ready=0)
    steps = [
        # i_run, i_free, o_beats__ready, and whether a beat is offered
        (1, 0, 1, False),
        (0, 1, 1, False),
        (1, 1, 0, False),  # one cycle behind the rising edge of i_run
        (1, 1, 0, True),
        (1, 0, 0, True),
        (0, 0, 0, True),
        (0, 0, 1, True),
    ]
    for run, free, ready, offered in steps:
        inputs = {"i_run": run, "i_free": free, "o_beats__ready": ready, "s_axis_items__tvalid": 1}
        await cycle(dut, clock="mem_clk", **inputs)
        assert dut.o_beats__valid.value == int(offered), f"{run=} {free=} {ready=}"
        taken = offered and bool(ready)
        assert dut.o_start.value == int(taken)
        assert dut.s_axis_items__tready.value == int(taken)


async def item_of(dut, data):
    """Send an item's packet while all ends wait at random: the beats that leave, and what is said of the item."""
    sent, beats, offered, dealt = 0, [], False, False
    for _ in range(20 * BEATS):
        offered = sent < len(data) and (offered or random.random() < 0.7)
        deals = not dealt and len(beats) == BEATS and random.random() < 0.2
        packet = {"tvalid": offered, "tdata": data[sent] if offered else 0, "tlast": sent == len(data) - 1}
        inputs = {f"s_axis_items__{name}": int(value) for name, value in packet.items()}
        ready = random.random() < 0.7
        await cycle(dut, clock="mem_clk", **inputs, o_beats__ready=int(ready), i_dealt=int(deals))
        assert dut.o_packet__valid.value == int(dealt and sent == len(data)), "dealt out, and all of it came"
        if dealt and sent == len(data):
            return beats, dut.o_packet__payload.value.to_unsigned()
        if ready and dut.o_beats__valid.value == 1:
            beats.append(dut.o_beats__payload.value.to_unsigned())
        if offered and dut.s_axis_items__tready.value == 1:
            sent, offered = sent + 1, False
        dealt = dealt or deals
    raise AssertionError(f"{sent} beats came, {len(beats)} left")


@cocotb.test()
async def hands_beats_on_whoever_waits(dut):
    await started(dut, i_dealt=0)
    for length, flags in ((BEATS, 0), (BEATS + 9, LONG), (1, SHORT), (BEATS - 1, SHORT), (BEATS + 1, LONG), (BEATS, 0)):
        data = [random.getrandbits(512) for _ in range(length)]
        beats, said = await item_of(dut, data)
        whole = min(length, BEATS)
        assert [beat >> 512 for beat in beats] == [0] * whole + [1] * (BEATS - whole)
        assert [beat & ((1 << 512) - 1) for beat in beats[:whole]] == data[:whole]
        assert (said & 0xFFFFFFFF, said >> 32 & 7) == (data[0] & 0xFFFFFFFF, flags)


async def starts(dut, cycles):
    """In which of the next cycles an item begins."""
    found = []
    for now in range(cycles):
        await ReadOnly()
        found += [now] if dut.o_start.value == 1 else []
        await RisingEdge(dut.mem_clk)
    return found


@cocotb.test()
async def takes_as_many_items_as_its_limit(dut):
    """Packets of one beat come without a pause, so an item begins every second cycle, and none behind the last."""
    many = bench_parameters()["items"]
    await started(dut, s_axis_items__tvalid=1, s_axis_items__tlast=1, i_run=0)
    dut.i_limit.value = many
    dut.i_run.value = 1
    assert await starts(dut, 9) == [1, 3, 5, 7]
    # A trigger for each of the cycles would take most of the time.
    await Timer(2500 * 2 * (many - 8) - 1250, "ps")
    await RisingEdge(dut.mem_clk)
    assert await starts(dut, 30) == [0, 2, 4, 6]
    dut.i_run.value = 0
    dut.i_limit.value = (1 << 32) - 1
    assert await starts(dut, 3) == []
    dut.i_run.value = 1
    assert await starts(dut, 9) == [1, 3, 5, 7]
    dut.i_limit.value = 0
    assert await starts(dut, 9) == [0, 2, 4, 6, 8]


async def begun(dut, items):
    """Items that begin in the time of so many that end at once; all of them are over on return."""
    found = 0

    async def count():
        nonlocal found
        while True:
            await RisingEdge(dut.o_start)
            found += 1

    counting = cocotb.start_soon(count())
    dut.i_run.value = 1
    await Timer(2500 * (items * (BEATS + 1) - BEATS // 2), "ps")
    await RisingEdge(dut.mem_clk)
    dut.i_run.value = 0
    counting.cancel()
    await Timer(2500 * (BEATS + 2), "ps")
    await RisingEdge(dut.mem_clk)
    return found


@cocotb.test()
async def counts_items_up_to_any_limit(dut):
    """Packets of one beat again, of which items of many beats are made; a limit of 0 is none."""
    await started(dut, s_axis_items__tvalid=1, s_axis_items__tlast=1, i_run=0)
    far = {1 << bit | 1: 2 for bit in range(2, 32)}
    for limit, expected in ({1: 1, 2: 2, 3: 3, 0: 4} | far).items():
        dut.i_limit.value = limit
        assert await begun(dut, max(expected, 2 if limit > 3 else 4)) == expected, f"limit {limit:#x}"


def first_beat(number):
    """The first beat of an item's packet, and the tag and query that it must give; every other slot is too large."""
    tag, slot = number * 0x9E3779B1 & 0xFFFFFFFF, (5 * number if number % 2 else SLOTS + number)
    query = QUERY.const({"number": tag >> 7 & 0xFFFF, "slot": slot, "scores": number & 1, "last": number >> 1 & 1})
    kept = QUERY.const({**{name: query[name] for name, _ in QUERY}, "slot": min(slot, SLOTS - 1)})
    return tag | query.as_bits() << 32, (tag, kept.as_bits())


@cocotb.test()
async def waits_for_a_packet_as_long_as_its_watchdog(dut):
    """Cycles without a beat are granted anew behind every beat; what comes too late is dropped up to its TLAST."""
    await started(dut)
    packets, expected = Packets(dut), []
    await ClockCycles(dut.mem_clk, 2)
    # Beats before the pause, cycles of the pause, beats behind it, and what becomes of the item.
    for number, (before, pause, behind, flags, bad) in enumerate(
        [
            (1, 0, BEATS - 1, 0, 0),
            (3, WATCHDOG - 1, BEATS - 3, 0, 0),
            (BEATS, WATCHDOG - 1, 1, LONG, 0),
            (9, 0, 1, SHORT, BEATS - 10),
            (1, WATCHDOG, 5, TIMEOUT, BEATS - 1),
            (BEATS - 1, WATCHDOG + 700, BEATS, TIMEOUT, 1),
            (BEATS, WATCHDOG, 2, TIMEOUT, 0),
            (BEATS + 2, WATCHDOG, 1, LONG | TIMEOUT, 0),
            (BEATS - 1, 2, 1, 0, 0),
        ]
    ):
        first, told = first_beat(number)
        await packets.offer(before, last=False, first=first)
        await ClockCycles(dut.mem_clk, pause)
        await packets.offer(behind, last=True)
        await packets.received(number + 1)
        expected.append((*told, flags, BEATS, bad))
        assert packets.items == expected


@cocotb.test()
async def grants_whoever_uses_an_item_all_time(dut):
    """The watchdog is the host's: neither beats that are not taken nor items that are dealt out late are given up."""
    await started(dut, i_dealt=0)
    packets = Packets(dut)
    await ClockCycles(dut.mem_clk, 2)
    await packets.offer(3, last=False, first=first_beat(1)[0])
    dut.o_beats__ready.value = 0
    await ClockCycles(dut.mem_clk, WATCHDOG - 1)
    cocotb.start_soon(packets.offer(BEATS - 3, last=True))
    await ClockCycles(dut.mem_clk, WATCHDOG + 9)
    dut.o_beats__ready.value = 1
    await ClockCycles(dut.mem_clk, BEATS)
    # What follows is offered at once, and not taken before its turn.
    cocotb.start_soon(packets.offer(BEATS, last=True, first=first_beat(2)[0]))
    await ClockCycles(dut.mem_clk, WATCHDOG + 9)
    assert packets.items == []
    dut.i_dealt.value = 1
    await packets.received(2)
    assert packets.items == [(*first_beat(number)[1], 0, BEATS, 0) for number in (1, 2)]


SCENARIOS = {
    "long": (
        {"beats": BEATS, "watchdog": WATCHDOG, "slots": SLOTS},
        [
            "waits_for_a_packet_as_long_as_its_watchdog",
            "counts_items_up_to_any_limit",
            "offers_what_it_may_begin_until_it_is_taken",
            "hands_beats_on_whoever_waits",
            "grants_whoever_uses_an_item_all_time",
        ],
    ),
    "of_one_beat": ({"beats": 1, "watchdog": 9}, ["takes_as_many_items_as_its_limit"]),
}


@pytest.mark.parametrize("case", SCENARIOS)
def test_intake(case):
    parameters, scenarios = SCENARIOS[case]
    # Icarus would take minutes, and looks at every cycle if it is compared.
    items = MANY if chosen_simulator() == "verilator" else 300
    run_bench(
        Bare(PacketIntake(**parameters)),
        module=__name__,
        scenarios=scenarios,
        parameters={"case": case, "items": items},
    )
