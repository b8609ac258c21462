"""The bench runner and the stream helpers: they carry data, and they fail when they must."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import cocotb
import pytest
from amaranth.hdl import Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ReadOnly, RisingEdge

from tests.support import bench_build
from tests.support.bench import BenchError, bench_parameters, run_bench
from tests.support.bench_build import BuildError, ordered
from tests.support.demo import Crossing, Queue
from tests.support.environment import REPOSITORY
from tests.support.flow import Bare, begin, cycle
from tests.support.streams import StreamSink, StreamSource, chance, start_clocks


class Unbuildable(wiring.Component):
    """Instantiates a module that does not exist."""

    def __init__(self) -> None:
        super().__init__({"i": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.cell = Instance("no_such_cell", i_a=self.i)
        return m


class Slow(wiring.Component):
    """Says so after 2^40 cycles."""

    def __init__(self) -> None:
        super().__init__({"o": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(40)
        m.d.sync += count.eq(count + 1)
        m.d.comb += self.o.eq(count == (1 << 40) - 1)
        return m


@cocotb.test()
async def sets_an_opened_register(dut):
    await begin(dut)
    for _ in range(3):
        await RisingEdge(dut.clk)
        dut.bare.count.value = (1 << 40) - 3
        await ReadOnly()
        said = []
        for _ in range(3):
            await cycle(dut)
            said.append(int(dut.o.value))
        assert said == [0, 1, 0]


@cocotb.test()
async def keeps_order(dut):
    waits = bench_parameters()
    source_clock = dut.mem_clk if hasattr(dut, "mem_clk") else dut.clk
    source = StreamSource(dut, "i", clock=source_clock, wait=waits["wait"])
    sink = StreamSink(dut, "o", clock=dut.clk, stall=waits["stall"])
    await start_clocks(dut)
    words = [random.getrandbits(8) for _ in range(300)]
    source.send(words)
    assert await sink.receive(len(words)) == words
    await source.drain()


@cocotb.test()
async def moves_a_word_per_cycle(dut):
    source = StreamSource(dut, "i", clock=dut.clk)
    sink = StreamSink(dut, "o", clock=dut.clk)
    await start_clocks(dut)
    source.send(range(100))
    await sink.receive(100)
    assert sink.cycles[-1] - sink.cycles[0] == 99
    # SyncFIFOBuffered: one cycle into the memory, one into the output register
    assert sink.cycles[0] - source.cycles[0] == 2


@pytest.mark.parametrize("wait", [0, 0.5])
@pytest.mark.parametrize("stall", [0, 0.5])
def test_keeps_order_under_waits(wait, stall):
    run_bench(Queue(), module=__name__, scenarios=["keeps_order"], parameters={"wait": wait, "stall": stall})


def test_measures_cycles():
    run_bench(Queue(), module=__name__, scenarios=["moves_a_word_per_cycle"])


def test_sets_an_opened_register():
    run_bench(Bare(Slow()), module=__name__, scenarios=["sets_an_opened_register"], opened=["bare.count"])


def test_crosses_clock_domains():
    run_bench(Crossing(), module=__name__, scenarios=["keeps_order"], parameters={"wait": 0.3, "stall": 0.3})


@pytest.mark.parametrize(
    ("fault", "message"),
    [("drops_valid", "valid fell"), ("swaps_bits", "keeps_order"), ("asserts", "assertion of the hardware failed")],
)
def test_fails_on_a_broken_component(fault, message):
    with pytest.raises(BenchError, match=message) as failure:
        run_bench(
            Queue(fault=fault),
            module=__name__,
            scenarios=["keeps_order"],
            parameters={"wait": 0, "stall": 0.5},
            seed=7,
            waves_on_failure=False,
        )
    assert "seed 7" in str(failure.value)


def test_failure_names_waves_of_the_same_seed(monkeypatch):
    monkeypatch.delenv("WAVES", raising=False)
    with pytest.raises(BenchError) as failure:
        run_bench(
            Queue(fault="swaps_bits"),
            module=__name__,
            scenarios=["keeps_order"],
            parameters={"wait": 0, "stall": 0},
            seed=11,
        )
    waves = Path(re.search(r"seed 11; waves in (\S+);", str(failure.value)).group(1))
    assert waves.stat().st_size > 0


def test_runs_as_many_seeds_as_it_is_told(monkeypatch, capsys):
    monkeypatch.setenv("SEEDS", "3")
    monkeypatch.setenv("COCOTB_RANDOM_SEED", "40")
    run_bench(Queue(), module=__name__, scenarios=["keeps_order"], parameters={"wait": 0, "stall": 0.5})
    assert re.findall(r"^seed (\d+);", capsys.readouterr().out, re.MULTILINE) == ["40", "41", "42"]


def test_stops_at_the_first_seed_that_fails(monkeypatch):
    monkeypatch.setenv("SEEDS", "3")
    monkeypatch.setenv("COCOTB_RANDOM_SEED", "40")
    with pytest.raises(BenchError, match="seed 40"):
        run_bench(
            Queue(fault="swaps_bits"),
            module=__name__,
            scenarios=["keeps_order"],
            parameters={"wait": 0, "stall": 0},
            waves_on_failure=False,
        )


@pytest.mark.parametrize("asked", ["0", "-1", "many"])
def test_refuses_a_number_of_seeds_that_is_none(monkeypatch, asked):
    monkeypatch.setenv("SEEDS", asked)
    with pytest.raises(ValueError, match=f"SEEDS must be a positive number, not '{asked}'"):
        run_bench(Queue(), module=__name__, scenarios=["keeps_order"])


def test_unknown_scenario_is_a_failure():
    with pytest.raises(BenchError, match=r"did not run|no scenario ran|without results"):
        run_bench(Queue(), module=__name__, scenarios=["no_such_scenario"], waves_on_failure=False)


def test_component_that_does_not_build_says_why():
    with pytest.raises(BuildError, match="no_such_cell"):
        run_bench(Unbuildable(), module=__name__, scenarios=["keeps_order"])


def test_a_model_of_several_files_is_built_too(monkeypatch):
    """As the largest are: with precompiled headers of their own."""
    monkeypatch.setattr(bench_build, "VERILATOR_FLAGS", (*bench_build.VERILATOR_FLAGS[:-1], "10000"))
    run_bench(Queue(), module=__name__, scenarios=["keeps_order"], parameters={"wait": 0, "stall": 0})


@pytest.mark.parametrize("wait", [-0.1, 1])
def test_refuses_a_wait_that_never_ends(wait):
    with pytest.raises(ValueError, match=r"wait must be .*, not"):
        chance(wait, name="wait")


NETLIST = """\
import sys
from amaranth.back import rtlil
from tests.support.demo import Crossing
sys.stdout.write(rtlil.convert(Crossing(), name="top", emit_src=False))
"""


def netlist(seed: str) -> str:
    command, environment = [sys.executable, "-c", NETLIST], os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


def test_a_build_is_known_again_whatever_the_order_of_its_clocks():
    first, *others = [netlist(seed) for seed in "1234"]
    assert {ordered(text) for text in others} == {ordered(first)}
    assert any(text != first for text in others), "all processes listed clocks alike, so nothing was ordered"


def test_netlists_that_differ_in_what_a_clock_drives_are_not_one():
    cell = "  cell \\a \\b\n    connect \\clk \\{}\n    connect \\mem_clk \\{}\n  end\nend\n"
    assert ordered(cell.format("clk", "mem_clk")) != ordered(cell.format("mem_clk", "clk"))
