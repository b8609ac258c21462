"""Drives a lookup unit: packets in, memories behind its ports, vectors and headers out, compared with the reference."""

import itertools
import random
from dataclasses import replace

import cocotb
import numpy as np
from cocotb.triggers import ReadOnly, RisingEdge, with_timeout
from cocotb.utils import get_sim_time

from microduet_hw.layout import vector_words
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.reference import assemble, packet_beats, reads
from microduet_hw.lookup.unit import port_name
from microduet_hw.part_rules import in_order
from microduet_hw.status import HEADER, Status
from tests.support.axi_memory import Memory
from tests.support.cover_plan import hit
from tests.support.dram_memory import DramMemory
from tests.support.lookup_items import banked, damaged, expected_query, random_fates, random_packet, rows_at, stopped
from tests.support.lookups import bank_writes, memory_image, random_tables
from tests.support.streams import StreamSink, start_clocks


class LookupBench:
    """One run of a lookup unit.

    `pauses` are cycles without a beat, before every beat of a packet but its first.

    Parameters
    ----------
    dut, config : the unit
    items : how many random items are sent
    faulty : whether indices, packets and reads go wrong now and then
    waits : probability of a wait on every stream, in every cycle
    latency : the least number of cycles that no answer takes
    dram : what stands behind the channels of each kind, in place of a memory with such latencies and faults
    gone : probability that the host stops in a packet, and sends some more beats once its item has been given up
    exchanged : whether reads that are in flight together are answered with each other's rows
    changed : probability that every word of a row in a bank has a changed bit
    in_order : whether item n looks up row n of every table, modulo its rows, instead of random ones
    """

    def __init__(
        self,
        dut,
        config,
        *,
        items,
        faulty=False,
        waits=0.3,
        latency=40,
        dram=None,
        in_order=False,
        gone=0.0,
        exchanged=False,
        changed=0.0,
    ):
        self.dut, self.config, self.waits, self.dram = dut, config, waits, dram
        rng = np.random.default_rng(random.getrandbits(32))
        self.tables = random_tables(config, rng)
        packets = [random_packet(config, rng, faulty=faulty) for _ in range(items)]
        self.packets = [stopped(config, rng, packet) if rng.random() < gone else packet for packet in packets]
        self.pauses = 0
        if in_order:
            self.packets = [replace(packet, indices=rows_at(config, n)) for n, packet in enumerate(self.packets)]
        plans = {source: source_plan(config, source) for source in config.channels}
        self.wanted = {
            source: [reads(plan, config, packet) for packet in self.packets] for source, plan in plans.items()
        }
        self.reads = {source: list(itertools.chain.from_iterable(items)) for source, items in self.wanted.items()}
        fates = {
            source: random_fates(config, rng, items, faulty=faulty, latency=latency)
            for source, items in self.reads.items()
        }
        for drawn in fates.values() if exchanged else ():
            for fate, _ in drawn:
                fate.exchanged = True
        self.damage = damaged(config, rng, changed)
        self.statuses = {source: [status for _, status in drawn] for source, drawn in fates.items()}
        self.memories = {
            source: self.memory(source, fates[source]) if dram is None else self.dram_memory(source)
            for source in config.channels
        }
        self.random = random.Random(random.getrandbits(64))
        self.vectors, self.headers = [], None
        self.complete_times, self.word_times = [], []
        self.beat_cycles, self.complete_cycles, self.cycle = [], [], 0
        cocotb.start_soon(self.watch())

    def memory(self, source, fates):
        return Memory(
            dut=self.dut,
            name=port_name(source),
            read=memory_image(self.config, source, self.tables).__getitem__,
            fate=lambda number: fates[number][0],
            stall=self.waits,
            wait=self.waits,
            ids=self.config.outstanding,
        )

    def dram_memory(self, source):
        kind = self.config.sources[source].kind
        alike = [other for other in self.config.channels if self.config.sources[other].kind is kind]
        return DramMemory(
            dut=self.dut,
            name=port_name(source),
            image=memory_image(self.config, source, self.tables),
            parameters=self.dram[kind],
            stall=self.waits,
            wait=self.waits,
            channel=alike.index(source),
            channels=len(alike),
        )

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
        for source, row, word, counts in bank_writes(self.config, self.tables, self.random):
            await RisingEdge(dut.clk)
            dut.write_valid.value = 1
            dut.write_source.value = source
            dut.write_row.value = row
            dut.write_data.value = word ^ (self.damage[source, 32 * row] if counts else 0)
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
                await self.pause(self.pauses if number else 0)
                while self.random.random() < self.waits:
                    dut.s_axis_items__tvalid.value = 0
                    await RisingEdge(dut.mem_clk)
                await self.offer(beat, last=number == len(beats) - 1 and not packet.gone)
            if packet.gone:
                await RisingEdge(dut.mem_clk)
                await self.pause(self.config.watchdog - 1 + self.random.randrange(5))
                for more in reversed(range(self.random.randint(1, 4))):
                    await RisingEdge(dut.mem_clk)
                    await self.offer(self.random.getrandbits(512), last=more == 0)
        await RisingEdge(dut.mem_clk)
        dut.s_axis_items__tvalid.value = 0

    async def offer(self, beat, *, last):
        """Put a beat on the port and wait for the cycle in which it is taken."""
        dut = self.dut
        dut.s_axis_items__tvalid.value = 1
        dut.s_axis_items__tdata.value = beat
        dut.s_axis_items__tlast.value = int(last)
        await ReadOnly()
        while dut.s_axis_items__tready.value == 0:
            await RisingEdge(dut.mem_clk)
            await ReadOnly()

    async def pause(self, cycles):
        for _ in range(cycles):
            self.dut.s_axis_items__tvalid.value = 0
            await RisingEdge(self.dut.mem_clk)

    async def watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.mem_clk)
            await ReadOnly()
            if dut.s_axis_items__tvalid.value == 1 and dut.s_axis_items__tready.value == 1:
                self.beat_cycles.append(self.cycle)
            hit(
                "lookup: an item waits at the entry",
                dut.s_axis_items__tvalid.value == 1 and dut.s_axis_items__tready.value == 0,
            )
            if dut.o_complete.value == 1:
                self.complete_cycles.append(self.cycle)
                self.complete_times.append(get_sim_time("ns"))
            self.cycle += 1

    async def receive(self):
        """Collect vectors; one that has started comes without a gap, and only starts where there is space."""
        dut, config = self.dut, self.config
        bits = config.input_lanes * config.precision.width
        count = len(vector_words(config))
        words, due = [], 0
        while True:
            await RisingEdge(dut.clk)
            dut.i_space.value = int(self.random.random() >= self.waits)
            await ReadOnly()
            waits = len(self.complete_cycles) - len(self.vectors) - bool(words or due)
            hit("lookup: a whole vector waits for space", waits > 0 and dut.i_space.value == 0)
            hit("lookup: two whole vectors wait", waits > 1)
            assert dut.o_words__valid.value == int(due > 0), "a vector has a gap, or a word came unannounced"
            if due:
                self.word_times.append(get_sim_time("ns"))
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

    def expected(self):
        """Vector and status of every item, by what became of the reads as the channels were asked for them."""
        told = {source: list(self.told(source)) for source in self.memories}
        told |= banked(self.config, self.packets, self.damage)
        for number, packet in enumerate(self.packets):
            yield assemble(self.config, self.tables, packet, {source: items[number] for source, items in told.items()})

    def told(self, source):
        """Per item, the status of each of its reads; those of a spread table's feature are asked for in any order."""
        memory, statuses = self.memories[source], self.statuses[source]
        requests = memory.requests
        if self.dram is None:
            statuses = [Status.ROW_CHECK if n in memory.exchanged else status for n, status in enumerate(statuses)]
        assert len(requests) == len(statuses)
        asked = zip(requests, statuses, strict=True)
        for wanted in self.wanted[source]:
            came = list(itertools.islice(asked, len(wanted)))
            if self.config.spread:
                came = self.as_wanted(source, came, wanted)
            assert [read for read, _ in came] == wanted
            yield [status for _, status in came]

    def as_wanted(self, source, came, wanted):
        """What came, in the order of what is wanted; features must have come in theirs."""
        parts = in_order(self.config.sources[source])
        places = [[part.base <= address < part.end for part in parts].index(True) for (address, _), _ in came]
        assert places == sorted(places), f"source {source}: a feature's reads came among another's"
        rest = list(came)
        for read in wanted:
            found = next(entry for entry in rest if entry[0] == read)
            rest.remove(found)
            rest.append(found)
        return rest

    def check(self):
        config = self.config
        width = config.precision.width
        for number, (packet, (vector, status)) in enumerate(zip(self.packets, self.expected(), strict=True)):
            header = HEADER.from_bits(self.headers.received[number])
            assert header["tag"] == packet.tag
            found = Status(header["status"])
            assert found == status, f"item {number}: {found!r}, not {status!r}"
            for flag in Status:
                hit(f"lookup: {flag.name}", flag and flag in found)
            rows = [feature.rows for feature in config.features for _ in range(feature.lookups)]
            hit("lookup: the first row of a table", 0 in packet.indices)
            hit("lookup: the last row of a table", any(k == n - 1 for k, n in zip(packet.indices, rows, strict=True)))
            hit(
                "lookup: the first index that is too large",
                any(k == n for k, n in zip(packet.indices, rows, strict=True)),
            )
            query = expected_query(config, packet)
            assert {name: header["query"][name] for name in query} == query
            for word, span in zip(self.vectors[number], vector_words(config), strict=True):
                for lane, element in enumerate(span):
                    got, wanted = word >> lane * width & ((1 << width) - 1), int(vector[element]) & ((1 << width) - 1)
                    assert got == wanted, f"item {number}, element {element}: {got:#x}, not {wanted:#x}"
                assert word >> len(span) * width == 0

    async def run(self):
        await self.start()
        await self.go()

    async def go(self):
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
