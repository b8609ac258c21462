"""Registers and memories that begin with anything: what a reset does not write must not matter.

Amaranth gives every register an initial value, which a configured FPGA has, but a reset of a running one does not
bring back. Here the values are left out and Verilator draws them.
"""

from typing import Any

import cocotb
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles

from microduet_hw.store import Store
from tests.hw.test_store import SIZES
from tests.hw.test_two_simulators import BENCHES, run
from tests.support.bench import BenchError, run_bench
from tests.support.bench_build import without_initial_values
from tests.support.streams import start_clocks

SMALL = SIZES["small"]


class Remembers(wiring.Component):
    """A register that no reset writes."""

    i: In(32)
    i_write: In(1)
    o: Out(32)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = Signal(32, reset_less=True)
        with m.If(self.i_write):
            m.d.sync += kept.eq(self.i)
        m.d.comb += self.o.eq(kept)
        return m


@cocotb.test()
async def begins_with_zeros(dut: Any) -> None:
    dut.i_write.value = 0
    await start_clocks(dut)
    await ClockCycles(dut.clk, 2)
    assert dut.o.value == 0


def test_a_register_without_a_reset_begins_with_anything(monkeypatch):
    run_bench(Remembers(), module=__name__)
    monkeypatch.setenv("X_INITIAL", "unique")
    with pytest.raises(BenchError, match="begins_with_zeros"):
        run_bench(Remembers(), module=__name__, waves_on_failure=False)


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_memory_that_begins_with_anything_gives_back_what_it_was_given(monkeypatch, seed):
    monkeypatch.setenv("X_INITIAL", "unique")
    run_bench(
        Store(rows=SMALL[0], bits=SMALL[1]), module="tests.hw.test_store", parameters={"size": "small"}, seed=seed
    )


@pytest.mark.nightly
@pytest.mark.parametrize("file", BENCHES)
def test_any_of_a_hundred_initial_states_and_seeds_will_do(file):
    done = run(file, X_INITIAL="unique", SEEDS="100")
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("value", ["zero", "1"])
def test_another_initial_state_is_refused(monkeypatch, value):
    monkeypatch.setenv("X_INITIAL", value)
    with pytest.raises(ValueError, match=f"X_INITIAL must be unique or nothing, not '{value}'"):
        run_bench(Store(rows=SMALL[0], bits=SMALL[1]), module="tests.hw.test_store", parameters={"size": "small"})


KEPT = "  reg [3:0] rom [1:0];\n  initial begin\n    rom[0] = 4'h0;\n    rom[1] = 4'h7;\n  end\n"


@pytest.mark.parametrize(
    ("verilog", "left"),
    [
        ("  reg [3:0] a = 4'h7;\n", "  reg [3:0] a;\n"),
        ("  reg a = 1'd0;\n", "  reg a;\n"),
        ("  reg [7:0] \\a.b  = 8'h0c;\n", "  reg [7:0] \\a.b ;\n"),
        (
            "  reg [3:0] m [1:0];\n  initial begin\n    m[0] = 4'h0;\n    m[1] = 4'h0;\n  end\n",
            "  reg [3:0] m [1:0];\n",
        ),
        (KEPT, KEPT),
        ("  assign a = 4'h7;\n", "  assign a = 4'h7;\n"),
    ],
    ids=["register", "bit", "escaped name", "memory of zeros", "memory with contents", "wire"],
)
def test_initial_values_of_registers_are_left_out_and_contents_kept(verilog, left):
    assert without_initial_values(verilog) == left
