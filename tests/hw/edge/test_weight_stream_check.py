"""Streamed weights whose passes are checked: a pass that is another is flagged, and one that is read anew clears it."""

import random
import zlib

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from microduet_hw.config import AXI_BYTES
from microduet_hw.edge.message import EdgeStatus
from microduet_hw.edge.weight_stream import WeightStream
from tests.support.axi_memory import Fate, row_memories
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import begin, cycle

WATCHDOG = 60
CASES = {
    "single beats, passes of odd length, two channels": {"beats": 37, "channels": 2, "burst": 1, "depth": 64},
    "a pass shorter than a burst": {"beats": 5, "channels": 1, "burst": 8, "depth": 16},
    "one row, single beats": {"beats": 1, "channels": 3, "burst": 1, "depth": 4},
}


class Bench:
    """A checked `WeightStream`, a memory of random beats behind each port, and an array that takes whole passes."""

    def __init__(self, dut, *, wait=0.0, fate=lambda _number: Fate()):
        self.dut, self.case = dut, CASES[bench_parameters()["case"]]
        rows, channels = self.case["beats"], self.case["channels"]
        self.rows = [[random.getrandbits(8 * AXI_BYTES) for _ in range(channels)] for _ in range(rows)]
        self.memories = row_memories(dut, self.rows, fates=[fate] * channels, stall=wait, wait=wait)
        self.sum = zlib.crc32(b"".join(beat.to_bytes(AXI_BYTES, "little") for row in self.rows for beat in row))
        self.busy = 0

    async def start(self):
        await begin(self.dut, i_run=1, o_rows__ready=0, check__again=0, check__sum=self.sum)

    async def step(self, **inputs):
        await cycle(self.dut, **{"o_rows__ready": 0, "check__again": 0, **inputs})
        self.busy += int(self.dut.check__busy.value)

    @property
    def status(self):
        return EdgeStatus(self.dut.o_status.value.to_unsigned())

    async def take(self, count, *, stall=0.0):
        """So many rows; the status is that of the cycle behind the last one."""
        taken = []
        while len(taken) < count:
            ready = random.random() >= stall
            await self.step(o_rows__ready=int(ready))
            if ready and self.dut.o_rows__valid.value:
                taken.append(int(self.dut.o_rows__payload.value))
        await self.step()
        return taken

    async def pass_(self, *, stall=0.0):
        """Take a pass, and compare it with what memory has now."""
        assert await self.take(len(self.rows), stall=stall) == self.expected()

    def expected(self):
        return [sum(beat << 8 * AXI_BYTES * k for k, beat in enumerate(row)) for row in self.rows]

    def flip(self):
        """Change a bit somewhere in memory; the same again changes it back."""
        row, channel = random.randrange(len(self.rows)), random.randrange(self.case["channels"])
        bit = random.randrange(8 * AXI_BYTES)

        def change():
            self.rows[row][channel] ^= 1 << bit

        change()
        return change

    async def read_anew(self):
        """Have a pass read anew."""
        await self.step(check__again=1)
        await self.step()
        while self.dut.check__busy.value:
            await self.step()


@cocotb.test()
async def flags_no_pass_that_is_right(dut):
    bench = Bench(dut, wait=0.2, fate=lambda _number: Fate(latency=random.choice([0, 3, 20])))
    await bench.start()
    for number in range(12):
        await bench.pass_(stall=0.3)
        if number % 4 == 3:
            await bench.read_anew()
        assert (bench.status, dut.check__changed.value) == (EdgeStatus.OK, 0)


@cocotb.test()
async def flags_the_pass_that_brings_a_changed_bit(dut):
    """In the second cycle behind its last row, and until a pass that is read anew is right: then rows are in step."""
    bench = Bench(dut, wait=0.1)
    await bench.start()
    for _ in range(10):
        await bench.pass_(stall=0.2)
        right = bench.expected()
        restore = bench.flip()
        brought = False
        while not brought:
            taken = await bench.take(len(bench.rows), stall=0.2)
            assert bench.status == EdgeStatus.OK
            await bench.step()
            brought = taken != right
            assert bench.status == (EdgeStatus.WEIGHT_CHECK if brought else EdgeStatus.OK)
        await bench.read_anew()
        assert (bench.status, dut.check__changed.value) == (EdgeStatus.WEIGHT_CHECK, 1)
        restore()
        # What was read ahead has the bit still.
        await bench.read_anew()
        assert (bench.status, dut.check__changed.value) == (EdgeStatus.OK, 0)
        await bench.pass_()


@cocotb.test()
async def a_pass_that_is_read_anew_is_of_memory_as_it_is(dut):
    """A bit that changed behind what was read ahead is found before any row of it is taken."""
    bench = Bench(dut)
    await bench.start()
    await bench.pass_()
    await ClockCycles(dut.clk, 4 * bench.case["depth"])
    for _ in range(10):
        restore = bench.flip()
        assert dut.check__changed.value == 0
        await bench.read_anew()
        assert dut.check__changed.value == 1
        restore()
        await bench.read_anew()
        await bench.pass_()
    passes = 1 + -(-bench.case["depth"] // bench.case["beats"])
    # A pass has as many cycles as rows, and what it waits for memory at its end.
    bench.busy = 0
    await bench.read_anew()
    assert passes * bench.case["beats"] <= bench.busy <= passes * (4 * bench.case["beats"] + 12)


@cocotb.test()
async def rows_that_are_exchanged_are_flagged(dut):
    bench = Bench(dut)
    if len(bench.rows) > 1:
        await bench.start()
        await bench.pass_()
        one, other = random.sample(range(len(bench.rows)), 2)
        bench.rows[one], bench.rows[other] = bench.rows[other], bench.rows[one]
        await bench.read_anew()
        assert bench.status == EdgeStatus.WEIGHT_CHECK


@cocotb.test()
async def another_sum_is_another_pass(dut):
    """As after a reset, when the sum is 0, or when weights were written that do not belong to it."""
    bench = Bench(dut)
    await bench.start()
    await bench.pass_()
    await bench.step(check__sum=bench.sum ^ 1 << random.randrange(32))
    await bench.read_anew()
    assert bench.status == EdgeStatus.WEIGHT_CHECK


@cocotb.test()
async def ends_when_memory_is_silent(dut):
    """No pass comes: that is no right one, and nothing waits for ever."""
    bench = Bench(dut, fate=lambda number: Fate(lost=number >= 3))
    await bench.start()
    await bench.read_anew()
    assert (bench.status & EdgeStatus.TIMEOUT, dut.check__changed.value) == (EdgeStatus.TIMEOUT, 1)
    await bench.read_anew()
    assert bench.busy < 40 * WATCHDOG


@pytest.mark.parametrize("case", list(CASES))
def test_checks_passes(case):
    stream = WeightStream(watchdog=WATCHDOG, checked=True, **CASES[case])
    run_bench(stream, module=__name__, parameters={"case": case})
