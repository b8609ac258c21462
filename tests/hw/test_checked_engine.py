"""An engine whose weights are checked between items: neither knows of the other but by waiting."""

import random
import zlib

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from microduet_hw.check_image import weight_checks
from microduet_hw.config import CHECKSUM_BITS, Array, Precision
from microduet_hw.registers import Register
from tests.hw.test_user_engine import engine
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.flow import Bare
from tests.support.user_engine import Host, WholeEngine, words

ENGINES = {
    "users at the second of two arrays": engine(
        layer=1,
        arrays=(Array(pes=6, lanes=3, drain=4, layers=(0,)), Array(pes=4, lanes=4, drain=3, layers=(1,))),
        hidden=(14, 7),
        elements=20,
        lanes=8,
    ),
    "users at the output layer": engine(
        layer=1,
        arrays=(Array(pes=4, lanes=3, drain=3, layers=(0,)),),
        precision=Precision.INT8,
        elements=20,
        lanes=8,
    ),
}


def checked(name):
    return ENGINES[name].replace(checksum_bits=CHECKSUM_BITS)


class Checks:
    """Check beats of all but the sigmoid's table, which is long, and the CRC that they should lead to."""

    def __init__(self, host):
        checks = weight_checks(host.config, host.model, host.users)
        parts = [part for part in checks if "table" not in part.name]
        self.host, self.crc = host, 0
        self.beats, self.words = words(np.concatenate([part.beats for part in parts])), [part.words for part in parts]

    def begin(self):
        for found in self.words:
            self.crc = zlib.crc32(found.tobytes(), self.crc)
        return cocotb.start_soon(self.host.load.send(self.beats))

    async def compare(self):
        assert await self.host.read(Register.CHECKED) == self.crc


@cocotb.test()
async def a_check_waits_for_the_items_in_flight(dut):
    host = Host(dut, checked(bench_parameters()["engine"]))
    await host.start()
    checks = Checks(host)
    running = cocotb.start_soon(host.run([host.query(30) for _ in range(3)]))
    await ClockCycles(dut.clk, 60)
    checking = checks.begin()
    await ClockCycles(dut.clk, 20)
    assert not running.done()
    assert (dut.s_axis_load__tvalid.value, dut.s_axis_load__tready.value) == (1, 0)
    await running
    await checking
    await checks.compare()
    await host.run([host.query(30) for _ in range(3)])
    assert len(host.answers) == 6


@cocotb.test()
async def items_wait_for_the_row_that_is_read(dut):
    """A run that is started in the middle of a check: rows that were begun are read, the others behind the run."""
    host = Host(dut, checked(bench_parameters()["engine"]), wait=0.1, stall=0.1)
    await host.start()
    checks = Checks(host)
    cut = 0
    for _ in range(12):
        checking = checks.begin()
        await ClockCycles(dut.clk, random.randrange(4, 60))
        await host.run([host.query(random.choice([1, 5])) for _ in range(2)])
        cut += not checking.done()
        await checking
        await checks.compare()
    assert len(host.answers) == 24
    assert cut > 6


@cocotb.test()
async def a_reset_in_a_check_is_a_fresh_start(dut):
    host = Host(dut, checked(bench_parameters()["engine"]))
    await host.start()
    checking = Checks(host).begin()
    moment = random.randrange(4, 100)
    dut._log.info("reset in cycle %d", moment)
    await ClockCycles(dut.clk, moment)
    await host.stop(checking)
    again = Host(dut, host.config)
    await again.start()
    checks = Checks(again)
    await checks.begin()
    await checks.compare()
    await again.run([again.query(5)])
    assert len(again.answers) == 1


@pytest.mark.parametrize("name", by_night(ENGINES, ["users at the output layer"]))
def test_checks_between_items(name):
    run_bench(Bare(WholeEngine(config=checked(name))), module=__name__, parameters={"engine": name})
