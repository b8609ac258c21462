"""The user's histories: any commands in any order leave what plain lists would hold, in the cycles that are stated."""

import random
import re

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import Kind
from microduet_hw.edge.reference import HistoryReference
from microduet_hw.edge.running_sums import sum_rows
from microduet_hw.edge.scratchpad import EVENTS, UserScratchpad
from microduet_hw.generate import convert
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.edge import SCRATCHPAD_KB, TABLE_4, entry_rows, small_edge
from tests.support.flow import Bare, begin, cycle, signed_of

IDLE = {"i_start": 0, "i_read": 0, "i_kind": 0, "i_group": 0, "i_entry": 0}
UPDATES = (Kind.CLICK, Kind.PRELOAD)


class Driver:
    """Gives commands and counts the cycles they take; entries come as from a memory, and only when they are read."""

    def __init__(self, dut, config):
        self.dut, self.config = dut, config
        self.entry = []
        self.next_row = 0
        self.sums = []
        self.events = dict.fromkeys(EVENTS.members, 0)

    async def step(self, **inputs):
        bits = self.config.row_elements * self.config.element_bits
        await cycle(self.dut, i_entry=self.entry[self.next_row] if self.entry else random.getrandbits(bits), **inputs)
        row = int(self.dut.o_entry_row.value)
        self.next_row = row if row < len(self.entry) else 0
        events = EVENTS.from_bits(int(self.dut.o_events.value))
        for name in self.events:
            self.events[name] += getattr(events, name)
        self.sums.append(int(self.dut.o_sums__payload.value) if self.dut.o_sums__valid.value else None)

    async def run(self, **inputs):
        """Start something; the cycles to the first in which something else may start, and the rows that came out."""
        assert self.dut.o_busy.value == 0
        self.sums, self.events = [], dict.fromkeys(EVENTS.members, 0)
        await self.step(**inputs)
        cycles = 1
        await self.step(i_start=0, i_read=0, i_kind=random.getrandbits(8), i_group=random.getrandbits(8))
        while self.dut.o_busy.value:
            cycles += 1
            assert cycles < 10000
            await self.step()
        # What was looked at last is the cycle in which the next command would be given.
        return cycles, self.sums

    async def command(self, kind, group, entry=()):
        self.entry = entry_rows(self.config, entry)
        cycles, sums = await self.run(i_start=1, i_kind=int(kind), i_group=group)
        self.entry = []
        assert sums == [None] * len(sums), "rows of sums without a read"
        return cycles

    async def read(self):
        """All sums, as numbers; asserts that rows come one per cycle, from the stated cycle on."""
        cycles, sums = await self.run(i_read=1)
        latency, rows = UserScratchpad.READ_LATENCY, sum_rows(self.config)
        assert cycles == rows + UserScratchpad.READ_CYCLES
        assert sums[:latency] == [None] * latency
        payloads = sums[latency : latency + rows]
        assert None not in payloads
        assert sums[latency + rows :] == [None] * (len(sums) - latency - rows)
        bits, lanes = self.config.sum_bits, self.config.row_elements
        assert [payload >> bits * lanes for payload in payloads] == [0] * (rows - 1) + [1]
        return [signed_of(payload >> bits * lane, bits) for payload in payloads for lane in range(lanes)]


def parameters():
    given = bench_parameters()
    return EdgeConfig.from_json(given["config"]), given


def random_entry(config, group):
    """Elements of all sizes, or all of one extreme."""
    limit = 1 << config.element_bits - 1
    extreme = random.choice([None, None, -limit, limit - 1])
    count = config.histories[group].elements
    if extreme is not None:
        return [extreme] * count
    return [random.randint(-limit, limit - 1) >> random.choice([0, 0, 8]) for _ in range(count)]


def expected_work(config, kind, group, entries):
    """Cycles of a command, and the rows that it reads and writes, if so many entries are there before it."""
    rows, full = config.rows(group), entries == config.histories[group].slots
    cycles, work = 1, dict.fromkeys(EVENTS.members, 0)
    if kind in UPDATES:
        cycles = rows + UserScratchpad.UPDATE_CYCLES
        work["scratchpad_writes"] = work["sum_writes"] = rows
        work["scratchpad_reads"] = rows if kind is Kind.CLICK and full else 0
        work["sum_reads"] = rows if kind is Kind.CLICK and entries else 0
    elif kind is Kind.CHECK and entries:
        cycles = entries * rows + UserScratchpad.CHECK_CYCLES
        work["scratchpad_reads"], work["sum_reads"] = entries * rows, rows
    return cycles, work


async def connect(dut, config):
    await begin(dut, **IDLE)
    driver = Driver(dut, config)
    await driver.step()
    return driver


@cocotb.test()
async def equals_plain_lists(dut):
    config, given = parameters()
    driver, reference = await connect(dut, config), HistoryReference(config)
    weights = {Kind.CLICK: given["clicks"], Kind.PRELOAD: 1, Kind.CLEAR: 1, Kind.CHECK: 1 + given["clicks"] // 8}
    seen = set()
    assert await driver.read() == reference.sums()
    for _ in range(given["commands"]):
        (kind,) = random.choices(list(weights), weights.values())
        group = random.randrange(len(config.histories))
        entry = random_entry(config, group) if kind in UPDATES else ()
        entries = len(reference.entries(group))
        slots = config.histories[group].slots
        seen.add((kind, group, entries == slots))
        hit("scratchpad: a click when full", kind is Kind.CLICK and entries == slots)
        hit("scratchpad: a click when empty", kind is Kind.CLICK and not entries)
        hit("scratchpad: a preload when full", kind is Kind.PRELOAD and entries == slots)
        hit("scratchpad: a check when empty", kind is Kind.CHECK and not entries)
        hit("scratchpad: a clear when full", kind is Kind.CLEAR and entries == slots)
        cycles = await driver.command(kind, group, entry)
        assert (cycles, driver.events) == expected_work(config, kind, group, entries), kind
        if kind in UPDATES:
            (reference.click if kind is Kind.CLICK else reference.preload)(group, entry)
        elif kind is Kind.CLEAR:
            reference.clear(group)
        assert dut.o_mismatch.value == 0
        assert await driver.read() == reference.sums(), (kind, group)
        for _ in range(random.choice([0, 0, 1, 3])):
            await driver.step()
    groups = range(len(config.histories))
    assert {(kind, group, True) for kind in (Kind.CLICK, Kind.CHECK) for group in groups} <= seen, "nothing wrapped"


@cocotb.test()
async def sums_hold_full_scale_histories(dut):
    """Every element the least there is, then every one the greatest: sums pass through their whole range."""
    config, _ = parameters()
    driver = await connect(dut, config)
    slots, elements = config.histories[0].slots, config.histories[0].elements
    least, greatest = -1 << config.element_bits - 1, (1 << config.element_bits - 1) - 1
    for count in range(1, slots + 1):
        await driver.command(Kind.CLICK, 0, [least] * elements)
        assert (await driver.read())[:elements] == [count * least] * elements
    hit("scratchpad: the least sums")
    for count in range(1, slots + 1):
        await driver.command(Kind.CLICK, 0, [greatest] * elements)
        assert (await driver.read())[:elements] == [(slots - count) * least + count * greatest] * elements
    hit("scratchpad: the greatest sums")


@cocotb.test()
async def wraps(dut):
    """Two clicks more than there are slots, one right after the other."""
    config, _ = parameters()
    driver, reference = await connect(dut, config), HistoryReference(config)
    for entries in range(config.histories[0].slots + 2):
        entry, kept = random_entry(config, 0), min(entries, config.histories[0].slots)
        cycles = await driver.command(Kind.CLICK, 0, entry)
        assert (cycles, driver.events) == expected_work(config, Kind.CLICK, 0, kept)
        reference.click(0, entry)
    assert await driver.read() == reference.sums()
    await driver.command(Kind.CHECK, 0)
    assert dut.o_mismatch.value == 0


@cocotb.test()
async def a_check_finds_what_changed(dut):
    """One bit of one entry, anywhere: the check says so until the bit is as it was, or the history is given anew."""
    config, _ = parameters()
    driver = await connect(dut, config)
    words = dut.bare.history.words
    base = 0
    for group, history in enumerate(config.histories):
        for count in range(1, history.slots + 1):
            await driver.command(Kind.CLICK, group, random_entry(config, group))
            address = base + random.randrange(count * config.rows(group))
            bit = random.randrange(config.row_elements * config.element_bits)
            right = int(words[address].value)
            for value, mismatch in ((right ^ 1 << bit, 1), (right, 0)):
                await driver.step()
                await cycle_with_backdoor(driver, words[address], value)
                await driver.command(Kind.CHECK, group)
                assert dut.o_mismatch.value == mismatch, (group, address, bit)
                await driver.step()
                assert dut.o_mismatch.value == mismatch, "the verdict stays until the next start"
            await driver.command(Kind.CHECK, group)
            await driver.read()
            assert dut.o_mismatch.value == 0
        # Clicks take what changed out of the sums, which never held it: the entry goes, the damage stays.
        await cycle_with_backdoor(driver, words[base], int(words[base].value) ^ 1)
        for _ in range(history.slots):
            await driver.command(Kind.CLICK, group, random_entry(config, group))
        await driver.command(Kind.CHECK, group)
        assert dut.o_mismatch.value == 1
        for kind in (Kind.PRELOAD, *[Kind.CLICK] * (history.slots - 1), Kind.CHECK):
            await driver.command(kind, group, random_entry(config, group))
        assert dut.o_mismatch.value == 0
        base += history.slots * config.rows(group)


async def cycle_with_backdoor(driver, word, value):
    """A cycle before which a word of memory changes."""
    await RisingEdge(driver.dut.clk)
    word.value = value
    await driver.step()


CASES = {
    # histories, lanes, bits of an element, commands, clicks per preload or clear
    "a table": ((((4,), 3),), 4, 32, 1000, 12),
    "tables of several rows": ((((8, 4, 8), 5),), 4, 32, 600, 20),
    "16 bits": ((((8, 8), 8),), 4, 16, 600, 30),
    "one entry": ((((4, 4), 1),), 4, 32, 500, 5),
    "one entry of one row of one element": ((((1,), 1),), 1, 16, 500, 5),
    "as rm5": ((((6,), 1), ((6, 6), 20)), 6, 32, 800, 120),
    "three histories": ((((4,), 2), ((4, 8), 7), ((8,), 4)), 4, 16, 1000, 50),
}


def bench(name, *scenarios):
    histories, lanes, bits, commands, clicks = CASES[name]
    run(small_edge(*histories, lanes=lanes, element_bits=bits), *scenarios, commands=commands, clicks=clicks)


def run(config, *scenarios, **given):
    run_bench(
        Bare(UserScratchpad(config=config)),
        module=__name__,
        scenarios=scenarios,
        parameters={"config": config.to_json().decode(), **given},
    )


@pytest.mark.parametrize("name", CASES)
def test_equals_plain_lists(name):
    bench(name, "equals_plain_lists", "sums_hold_full_scale_histories")


@pytest.mark.parametrize("name", ["tables of several rows", "one entry", "three histories"])
def test_a_check_finds_what_changed(name):
    bench(name, "a_check_finds_what_changed")


def test_a_click_of_rm2_is_seen_within_200_cycles():
    """Table by table it would take 1,600; the pooled histories are read in 48, not in 2,880."""
    config = TABLE_4["rm2"]
    assert config.rows(0) + UserScratchpad.UPDATE_CYCLES <= 200
    assert sum_rows(config) == 48
    run(config, "wraps")


MEMORY = re.compile(r"^ *reg (?:\[(?P<high>\d+):0\] )?(?P<name>\S+) \[(?P<last>\d+):0\];$", re.MULTILINE)
RAM = re.compile(
    r"microduet_ram #\(\s*\.ADDRESS_BITS\(.*\),\s*\.DEPTH\(32'd(?P<depth>\d+)\),\s*\.WIDTH\(32'd(?P<width>\d+)\)"
)


@pytest.mark.parametrize("model", SCRATCHPAD_KB)
def test_memories_have_the_sizes_of_table_4(model):
    """Counted from the Verilog: the entries' memory to the byte, the sums' beside it, and no other."""
    config = TABLE_4[model]
    verilog = convert(Bare(UserScratchpad(config=config)), "scratchpad")
    histories = [int(ram["depth"]) * int(ram["width"]) for ram in RAM.finditer(verilog)]
    others = {found["name"]: (int(found["high"]) + 1) * (int(found["last"]) + 1) for found in MEMORY.finditer(verilog)}
    assert histories == [SCRATCHPAD_KB[model] * 1024 * 8] == [config.scratchpad_bytes * 8]
    assert others == {"sums": config.pooled_elements * config.sum_bits}
    assert verilog.count("microduet_ram") == 1
