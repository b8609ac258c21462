"""Fills the large memories of a simulated kernel at once: a cycle per word is slow in an event-driven simulator."""

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig, SourceKind
from microduet_hw.image import Beats
from microduet_hw.loader import BEAT, DATA_BITS, Target
from microduet_hw.pe import PAIR_BITS

TARGETS = (Target.WEIGHTS, Target.SIGMOID, Target.ONCHIP)
"""What is written through the backdoor; registers and small memories are loaded as ever."""


def bulk_first(beats: Beats) -> tuple[Beats, int]:
    """The load beats with those of `TARGETS` first, and how many those are. The order of a word's chunks stays."""
    bulk = np.isin(_field(beats, "target"), TARGETS)
    return np.concatenate([beats[bulk], beats[~bulk]]), int(bulk.sum())


def memories(config: EngineConfig) -> dict[tuple[Target, int], str]:
    """Hierarchical name, below the kernel, of the memory that a target and a unit stand for."""
    names = {(Target.SIGMOID, 0): "engine.core.\\output .sigmoid.\\table "}
    for number, array in enumerate(config.arrays):
        for pe in range(array.pes):
            half, pair = divmod(pe, array.pes // 2)
            unit = number << PAIR_BITS + 1 | half << PAIR_BITS | pair
            names[Target.WEIGHTS, unit] = f"engine.pair_{number}_{pair}.pe_{half}.weights"
    for number, source in enumerate(config.sources):
        if source.kind is SourceKind.ONCHIP:
            names[Target.ONCHIP, number] = f"engine.core.lookup.bank_{number:02}.contents.words"
    return names


def backdoor(config: EngineConfig, beats: Beats, count: int) -> str:
    """Verilog for a testbench whose kernel is `kernel`: started with ``+fast`` it writes the first `count` beats."""
    chunks = int(_field(beats, "chunk").max()) + 1
    cases = "\n".join(
        f"      24'h{target << 16 | unit:06x}: kernel.{name}[row] <= word;"
        for (target, unit), name in memories(config).items()
    )
    at = {name: f"beat[{BEAT[name].offset + BEAT[name].width - 1}:{BEAT[name].offset}]" for name in BEAT.members}
    return f"""  // Started with +fast: what fills the large memories goes straight into them, not through s_axis_load.
  reg fast = 0;
  reg [512:0] beats [0:{len(beats) - 1}];
  reg [512:0] beat;
  reg [{DATA_BITS * chunks - 1}:0] word;
  integer k;
  task write(input [23:0] place, input [23:0] row);
    case (place)
{cases}
      default: $display("FAILED: no memory %h", place);
    endcase
  endtask
  initial if ($test$plusargs("fast") != 0) begin
    fast = 1;
    $readmemh("load.hex", beats);
    #1;  // memories state their first contents at time 0
    for (k = 0; k < {count}; k = k + 1) begin
      beat = beats[k];
      word[{at["chunk"]} * {DATA_BITS} +: {DATA_BITS}] = {at["data"]};
      if ({at["commit"]}) write({{{at["target"]}, {at["unit"]}}}, {at["row"]});
    end
  end
"""


def _field(beats: Beats, name: str) -> npt.NDArray[np.uint8]:
    """A field of a byte, of every load beat."""
    return np.ascontiguousarray(beats).view(np.uint8).reshape(-1, 64)[:, BEAT[name].offset // 8]
