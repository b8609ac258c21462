"""Drives one reader on a channel of DRAM: lookups in, rows out, compared with the tables."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ReadOnly, RisingEdge, with_timeout

from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.layouts import lookup_layout, row_layout
from microduet_hw.status import Status
from tests.support.dram_memory import DramMemory
from tests.support.lookups import memory_image, random_tables
from tests.support.streams import StreamSource, start_clocks


class ReaderBench:
    """One run of the reader of a configuration's source 0.

    Parameters
    ----------
    dut, config : the reader
    dram : parameters of the channel
    waits : probability of a wait on every stream, in every cycle
    """

    def __init__(self, dut, config, dram, *, waits=0.0):
        self.dut, self.config = dut, config
        self.plan = source_plan(config, 0)
        self.tables = random_tables(config, np.random.default_rng(random.getrandbits(32)))
        image = memory_image(config, 0, self.tables)
        self.memory = DramMemory(dut=dut, name="m_axi", image=image, parameters=dram, stall=waits, wait=waits)
        self.lookups = StreamSource(dut, "lookups", clock=dut.mem_clk, wait=waits)
        self.beats, self.cycles = [], []
        cocotb.start_soon(self.watch())

    def item(self):
        """Random indices of one item, in the order of service."""
        return [random.randrange(part.table_rows) for part in self.plan.parts for _ in part.served]

    def send(self, indices):
        self.lookups.send(index << lookup_layout()["index"].offset for index in indices)

    async def watch(self):
        cycle = 0
        while True:
            await RisingEdge(self.dut.mem_clk)
            await ReadOnly()
            if self.dut.rows__valid.value == 1:
                self.beats.append(self.dut.rows__payload.value.to_unsigned())
                self.cycles.append(cycle)
            cycle += 1

    async def received(self, beats, *, timeout_us=2000):
        async def all_received():
            while len(self.beats) < beats:
                await RisingEdge(self.dut.mem_clk)

        await with_timeout(all_received(), timeout_us, "us")

    def expected(self, items):
        """Part, beat and bits of every beat, with the number of bits that count."""
        width = self.config.precision.width
        parts = [(number, part) for number, part in enumerate(self.plan.parts) for _ in part.served]
        for item in items:
            for (number, part), index in zip(parts, item, strict=True):
                row = self.tables[part.part.feature][index]
                for beat in range(part.beats):
                    values = row[beat * part.elements : (beat + 1) * part.elements].tolist()
                    bits = sum((value & ((1 << width) - 1)) << width * k for k, value in enumerate(values))
                    yield {"part": number, "beat": beat, "data": bits}, width * len(values)

    def check(self, items):
        """Rows equal the tables', but for those that came too late, which are zeros; how many these are."""
        fields = dict(row_layout(self.plan))
        late = 0
        for payload, (wanted, used) in zip(self.beats, self.expected(items), strict=True):
            got = {
                name: payload >> fields[name].offset & ((1 << fields[name].width) - 1) for name in (*wanted, "flags")
            }
            got["data"] &= (1 << used) - 1
            flags = Status(got.pop("flags"))
            assert flags in (Status.OK, Status.TIMEOUT)
            assert got == (wanted | {"data": 0} if flags else wanted)
            late += flags == Status.TIMEOUT
        return late

    async def run(self, *, refreshes):
        """Random items, until so many intervals between refreshes are over, and everything has come."""
        await start_clocks(self.dut)
        items = []
        while self.memory.refresh_intervals < refreshes:
            items += [self.item() for _ in range(40)]
            for item in items[-40:]:
                self.send(item)
            await self.lookups.drain(timeout_us=2000)
        await self.received(len(list(self.expected(items))))
        return items
