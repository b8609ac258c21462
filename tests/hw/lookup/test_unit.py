"""The whole memory side: assembled vectors and statuses equal the integer reference, whatever memory does."""

import itertools
import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, with_timeout

from microduet_hw.config import Precision
from microduet_hw.lookup.assembler import Assembler
from microduet_hw.lookup.geometry import dense_beats, index_beats, source_plan
from microduet_hw.lookup.reader import ChannelReader
from microduet_hw.lookup.reference import Packet, assemble, packet_beats, reads
from microduet_hw.lookup.router import Router
from microduet_hw.lookup.unit import LookupUnit, port_name
from microduet_hw.status import Status
from tests.support.axi_memory import Fate, Memory
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare
from tests.support.lookups import HBM, ONCHIP, Table, lookup_config, memory_image, random_tables
from tests.support.streams import StreamSink, start_clocks

CASES = {
    "one_table": lambda: lookup_config([Table()], [HBM]),
    "on_chip_only": lambda: lookup_config([Table(dim=3), Table(dim=8, lookups=3)], [ONCHIP], lanes=16),
    "split_tables": lambda: lookup_config(
        [
            Table(rows=40, dim=40, places=((0, 0, 40, 0, 16), (1, 0, 40, 16, 24))),  # by columns
            Table(rows=50, dim=5, places=((0, 0, 20, 0, 5), (1, 20, 25, 0, 5), (2, 45, 5, 0, 5))),  # by rows
            Table(rows=9, dim=7, lookups=5, places=((2, 0, 9, 0, 7),)),
            Table(rows=12, dim=1, places=((1, 0, 12, 0, 1),)),
        ],
        [HBM, HBM, ONCHIP],
        dense=35,
    ),
    "int8_pooled": lambda: lookup_config(
        [
            Table(rows=30, dim=70, lookups=6),
            Table(rows=30, dim=5),
            Table(rows=30, dim=6, places=((0, 0, 11, 0, 6), (1, 11, 19, 0, 6))),
            Table(rows=30, dim=33, lookups=20, places=((1, 0, 30, 0, 33),)),
        ],
        [HBM, ONCHIP],
        precision=Precision.INT8,
        dense=3,
        lanes=11,
    ),
    "fixed32_long_rows": lambda: lookup_config(
        [Table(rows=6, dim=20), Table(rows=8, dim=64, places=((1, 0, 8, 0, 64),)), Table(rows=8, dim=9, lookups=2)],
        [HBM, HBM],
        precision=Precision.FIXED32,
        dense=17,
        slots=2,
        outstanding=3,
        padding=12,
    ),
}


def random_packet(config, rng, *, faulty):
    indices = [int(rng.integers(feature.rows)) for feature in config.features for _ in range(feature.lookups)]
    right = index_beats(config) + dense_beats(config)
    beats = None
    if faulty and rng.random() < 0.3:
        number = int(rng.integers(len(indices)))
        rows = [feature.rows for feature in config.features for _ in range(feature.lookups)][number]
        indices[number] = int(rng.choice([rows, rows + 1, 1 << 31, (1 << 32) - 1]))
    if faulty and rng.random() < 0.3:
        beats = max(1, right + int(rng.integers(-2, 3)))
    dense = [int(value) for value in rng.integers(0, 1 << config.precision.width, config.dense)]
    return Packet(tag=int(rng.integers(1 << 32)), indices=indices, dense=dense, beats=beats)


def random_fates(config, rng, asked, *, faulty, latency):
    """Fates of a channel's reads and the flags they give. Late ones are far apart, or they would excuse each other."""
    fates = []
    spared = 0
    for _, beats in asked:
        fate, status = Fate(latency=int(rng.integers(latency))), Status.OK
        draw = rng.random() if faulty else 1
        spared -= 1
        if draw < 0.08:
            fate, status = Fate(latency=fate.latency, error_beat=int(rng.integers(beats))), Status.AXI_ERROR
        elif draw < 0.25 and spared <= 0:
            beat, long = int(rng.integers(beats)), 3 * config.watchdog
            fate, status = Fate(latency=0 if beat else long, pause_beat=beat, pause=long), Status.TIMEOUT
            spared = 2 * config.outstanding
        fates.append((fate, status))
    return fates


class Bench:
    def __init__(self, dut, config, *, items, faulty=False, waits=0.3, latency=40):
        self.dut, self.config, self.waits = dut, config, waits
        rng = np.random.default_rng(random.getrandbits(32))
        self.tables = random_tables(config, rng)
        self.packets = [random_packet(config, rng, faulty=faulty) for _ in range(items)]
        plans = {source: source_plan(config, source) for source in config.channels}
        wanted = {source: [reads(plan, config, packet) for packet in self.packets] for source, plan in plans.items()}
        self.reads = {source: list(itertools.chain.from_iterable(items)) for source, items in wanted.items()}
        fates = {
            source: random_fates(config, rng, items, faulty=faulty, latency=latency)
            for source, items in self.reads.items()
        }
        told = {source: iter([status for _, status in drawn]) for source, drawn in fates.items()}
        self.expected = [
            assemble(
                config,
                self.tables,
                packet,
                {source: [next(told[source]) for _ in items[number]] for source, items in wanted.items()},
            )
            for number, packet in enumerate(self.packets)
        ]
        self.memories = {
            source: Memory(
                dut=dut,
                name=port_name(source),
                read=memory_image(config, source, self.tables).__getitem__,
                fate=lambda number, source=source: fates[source][number][0],
                stall=waits,
                wait=waits,
            )
            for source in config.channels
        }
        self.random = random.Random(random.getrandbits(64))
        self.vectors, self.headers = [], None
        self.beat_cycles, self.complete_cycles, self.cycle = [], [], 0
        cocotb.start_soon(self.watch())

    async def start(self):
        dut = self.dut
        for name in ("i_run", "i_limit", "i_space", "write_valid", "s_axis_items__tvalid"):
            getattr(dut, name).value = 0
        self.headers = StreamSink(dut, "o_header", clock=dut.clk, stall=self.waits)
        await start_clocks(dut)
        await self.load_banks()
        cocotb.start_soon(self.receive())

    async def load_banks(self):
        dut = self.dut
        for source in set(range(len(self.config.sources))) - set(self.config.channels):
            for address, value in memory_image(self.config, source, self.tables).items():
                await RisingEdge(dut.clk)
                dut.write_valid.value = 1
                dut.write_source.value = source
                dut.write_row.value = address // 32
                dut.write_data.value = value
        await RisingEdge(dut.clk)
        dut.write_valid.value = 0
        for _ in range(4):
            await RisingEdge(dut.clk)

    async def send(self):
        dut = self.dut
        for packet in self.packets:
            beats = packet_beats(self.config, packet)
            for number, beat in enumerate(beats):
                await RisingEdge(dut.mem_clk)
                while self.random.random() < self.waits:
                    dut.s_axis_items__tvalid.value = 0
                    await RisingEdge(dut.mem_clk)
                dut.s_axis_items__tvalid.value = 1
                dut.s_axis_items__tdata.value = beat
                dut.s_axis_items__tlast.value = int(number == len(beats) - 1)
                await ReadOnly()
                while dut.s_axis_items__tready.value == 0:
                    await RisingEdge(dut.mem_clk)
                    await ReadOnly()
        await RisingEdge(dut.mem_clk)
        dut.s_axis_items__tvalid.value = 0

    async def watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.mem_clk)
            await ReadOnly()
            if dut.s_axis_items__tvalid.value == 1 and dut.s_axis_items__tready.value == 1:
                self.beat_cycles.append(self.cycle)
            if dut.o_complete.value == 1:
                self.complete_cycles.append(self.cycle)
            self.cycle += 1

    async def receive(self):
        """Collect vectors; one that has started comes without a gap, and only starts where there is space."""
        dut, config = self.dut, self.config
        bits = config.input_lanes * config.precision.width
        count = -(-config.vector_elements // config.input_lanes)
        words, due = [], 0
        while True:
            await RisingEdge(dut.clk)
            dut.i_space.value = int(self.random.random() >= self.waits)
            await ReadOnly()
            assert dut.o_words__valid.value == int(due > 0), "a vector has a gap, or a word came unannounced"
            if due:
                value = dut.o_words__payload.value.to_unsigned()
                words.append(value & ((1 << bits) - 1))
                due -= 1
                assert value >> bits == int(due == 0)
                if due == 0:
                    self.vectors.append(words)
                    words = []
            if dut.o_reserve.value == 1:
                assert dut.i_space.value == 1
                assert due == 0
                due = count

    def check(self):
        config = self.config
        width, lanes = config.precision.width, config.input_lanes
        for number, (packet, (vector, status)) in enumerate(zip(self.packets, self.expected, strict=True)):
            header = self.headers.received[number]
            assert header & 0xFFFFFFFF == packet.tag
            assert Status(header >> 32) == status, f"item {number}: {Status(header >> 32)!r}, not {status!r}"
            bits = sum(word << k * lanes * width for k, word in enumerate(self.vectors[number]))
            for element, value in enumerate(vector.tolist()):
                got, wanted = bits >> element * width & ((1 << width) - 1), value & ((1 << width) - 1)
                assert got == wanted, f"item {number}, element {element}: {got:#x}, not {wanted:#x}"
            assert bits >> config.vector_elements * width == 0
        for source, memory in self.memories.items():
            assert memory.requests == self.reads[source]

    async def run(self):
        await self.start()
        self.dut.i_run.value = 1
        cocotb.start_soon(self.send())
        await self.finish()
        # The next scenario begins with a reset, which no read in flight survives.
        while any(memory.pending for memory in self.memories.values()):
            await RisingEdge(self.dut.mem_clk)

    async def finish(self, *, items=None, timeout_us=2000):
        items = len(self.packets) if items is None else items

        async def all_received():
            while min(len(self.vectors), len(self.headers.received)) < items:
                await RisingEdge(self.dut.clk)

        await with_timeout(all_received(), timeout_us, "us")


@cocotb.test()
async def assembles_what_the_reference_says(dut):
    bench = Bench(dut, CASES[bench_parameters()["case"]](), items=40)
    await bench.run()
    bench.check()


@cocotb.test()
async def names_what_failed(dut):
    bench = Bench(dut, CASES[bench_parameters()["case"]](), items=60, faulty=True, waits=0.2)
    await bench.run()
    bench.check()


@cocotb.test()
async def completes_in_its_latency(dut):
    """With a memory that answers at once: from an item's first beat to its vector, beyond the memory's own cycles."""
    config = CASES[bench_parameters()["case"]]()
    bench = Bench(dut, config, items=1, waits=0.0, latency=1)
    await bench.run()
    bench.check()
    request = bench.memories[0].request_cycles[0] - bench.beat_cycles[0]
    respond = bench.complete_cycles[0] - bench.memories[0].response_cycles[0]
    assert request == Router.LATENCY + ChannelReader.REQUEST_LATENCY
    assert respond == ChannelReader.RESPONSE_LATENCY + Assembler.COMPLETE_LATENCY


@cocotb.test()
async def takes_items_only_while_told(dut):
    config = CASES[bench_parameters()["case"]]()
    bench = Bench(dut, config, items=12, waits=0.0)
    await bench.start()
    cocotb.start_soon(bench.send())
    for run, limit, expected in ((0, 0, 0), (1, 3, 3), (0, 3, 3), (1, 4, 7), (0, 0, 7), (1, 0, 12)):
        dut.i_limit.value = limit
        dut.i_run.value = run
        await ClockCycles(dut.clk, 150)
        assert len(bench.vectors) == expected, f"run {run}, limit {limit}"
    bench.check()


@cocotb.test()
async def never_hangs_without_ids(dut):
    """No read is ever answered: all IDs are lost, and then every item still comes back, by name."""
    config = CASES[bench_parameters()["case"]]()
    bench = Bench(dut, config, items=config.outstanding + 3, waits=0.0)
    bench.memories[0].fate = lambda _number: Fate(lost=True)
    await bench.run()
    assert len(bench.memories[0].requests) == config.outstanding
    assert [header >> 32 for header in bench.headers.received] == [Status.TIMEOUT] * len(bench.packets)
    assert bench.vectors == [[0]] * len(bench.packets)


@cocotb.test()
async def never_hangs_without_requests(dut):
    """ARREADY stays low: items come back by name; once it rises, the one read is answered, and all is well."""
    config = CASES[bench_parameters()["case"]]()
    bench = Bench(dut, config, items=8, waits=0.0)
    bench.memories[0].open = False
    await bench.start()
    dut.i_run.value = 1
    dut.i_limit.value = 4
    cocotb.start_soon(bench.send())
    await bench.finish(items=4)
    assert [header >> 32 for header in bench.headers.received] == [Status.TIMEOUT] * 4
    bench.memories[0].open = True
    dut.i_run.value = 0
    await ClockCycles(dut.clk, 50)
    assert len(bench.memories[0].requests) == 1
    dut.i_run.value = 1
    await bench.finish()
    assert [header >> 32 for header in bench.headers.received[4:]] == [Status.OK] * 4


@cocotb.test()
async def bursts_at_the_end_of_a_page(dut):
    """Rows that end at a multiple of 4 KiB: the memory refuses bursts that cross one."""
    bench = Bench(dut, CASES[bench_parameters()["case"]](), items=30, waits=0.0)
    await bench.run()
    bench.check()
    ends = {address + 32 * beats for memory in bench.memories.values() for address, beats in memory.requests}
    assert any(end % 4096 == 0 for end in ends)


SCENARIOS = {
    "one_table": [
        "assembles_what_the_reference_says",
        "names_what_failed",
        "completes_in_its_latency",
        "takes_items_only_while_told",
        "never_hangs_without_ids",
        "never_hangs_without_requests",
    ],
    "fixed32_long_rows": ["assembles_what_the_reference_says", "names_what_failed", "bursts_at_the_end_of_a_page"],
}


@pytest.mark.parametrize("case", CASES)
def test_lookup_unit(case):
    run_bench(
        Bare(LookupUnit(config=CASES[case]())),
        module=__name__,
        scenarios=SCENARIOS.get(case, ["assembles_what_the_reference_says", "names_what_failed"]),
        parameters={"case": case},
    )
