"""The whole memory side: assembled vectors and statuses equal the integer reference, whatever memory does."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ReadOnly, RisingEdge, with_timeout

from microduet_hw.activation import word_layout
from microduet_hw.config import Precision
from microduet_hw.lookup.geometry import dense_beats, index_beats, source_plan
from microduet_hw.lookup.reference import Packet, assemble, packet_beats, reads
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


def random_fate(config, rng, *, faulty, latency):
    fate = Fate(latency=int(rng.integers(latency)))
    if not faulty:
        return fate, Status.OK
    draw = rng.random()
    if draw < 0.08:
        return Fate(latency=fate.latency, error_beat=0), Status.AXI_ERROR
    if draw < 0.11:  # late: the ID comes back
        return Fate(latency=3 * config.watchdog), Status.TIMEOUT
    return fate, Status.OK


class Bench:
    def __init__(self, dut, config, *, items, faulty=False, waits=0.3, latency=40, seed=1):
        self.dut, self.config, self.waits = dut, config, waits
        rng = np.random.default_rng(random.getrandbits(32))
        self.tables = random_tables(config, rng)
        self.packets = [random_packet(config, rng, faulty=faulty) for _ in range(items)]
        fates = {s: [] for s in config.channels}
        self.expected = []
        self.reads = {s: [] for s in config.channels}
        for packet in self.packets:
            faults = {}
            for source in config.channels:
                wanted = reads(source_plan(config, source), config, packet)
                self.reads[source] += wanted
                drawn = [random_fate(config, rng, faulty=faulty, latency=latency) for _ in wanted]
                lost = 0
                fates[source] += [fate for fate, _ in drawn]
                faults[source] = [status for _, status in drawn]
            self.expected.append(assemble(config, self.tables, packet, faults))
        self.memories = {
            source: Memory(
                dut=dut,
                name=port_name(source),
                read=memory_image(config, source, self.tables).__getitem__,
                fate=lambda number, source=source: fates[source][number],
                stall=waits,
                wait=waits,
            )
            for source in config.channels
        }
        self.random = random.Random(random.getrandbits(64))
        self.vectors, self.headers = [], None
        self.beat_cycles, self.complete_cycles, self.cycle = [], [], 0

    async def start(self):
        dut = self.dut
        for name in ("i_run", "i_limit", "i_space", "write_valid", "s_axis_items__tvalid"):
            getattr(dut, name).value = 0
        self.headers = StreamSink(dut, "o_header", clock=dut.clk, stall=self.waits)
        await start_clocks(dut)
        await self.load_banks()
        cocotb.start_soon(self.receive())
        cocotb.start_soon(self.watch())

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
                payload = word_layout(bits).const(None)  # only to name the fields
                del payload
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

    async def finish(self, *, timeout_us=2000):
        async def all_received():
            while len(self.vectors) < len(self.packets) or len(self.headers.received) < len(self.packets):
                await RisingEdge(self.dut.clk)

        await with_timeout(all_received(), timeout_us, "us")


@cocotb.test()
async def assembles_what_the_reference_says(dut):
    parameters = bench_parameters()
    config = CASES[parameters["case"]]()
    bench = Bench(dut, config, items=parameters["items"], faulty=parameters["faulty"], waits=parameters["waits"])
    await bench.start()
    dut.i_run.value = 1
    cocotb.start_soon(bench.send())
    await bench.finish()
    bench.check()


@pytest.mark.parametrize("case", CASES)
def test_vectors_equal_the_reference(case):
    run_bench(
        Bare(LookupUnit(config=CASES[case]())),
        module=__name__,
        scenarios=["assembles_what_the_reference_says"],
        parameters={"case": case, "items": 40, "faulty": False, "waits": 0.3},
    )


@pytest.mark.parametrize("case", CASES)
def test_faulty_items_come_back_by_name_and_the_others_are_right(case):
    run_bench(
        Bare(LookupUnit(config=CASES[case]())),
        module=__name__,
        scenarios=["assembles_what_the_reference_says"],
        parameters={"case": case, "items": 60, "faulty": True, "waits": 0.2},
    )
