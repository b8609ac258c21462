"""The edge unit's location tracker in gates; without an open cell library of 15 nm there is no area and no time."""

import dataclasses
import re

from microduet.synth.modules import Design
from microduet.synth.yosys import gates

TRACKER = re.compile(r"\.tracker(_\d+)?(\$\d+)?$")
"""Names of the modules of `microduet_hw.edge.tracker.LocationTracker` in a scratchpad."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tracker:
    """One kind of tracker, as two-input gates, inverters and multiplexers, and D flip-flops; levels of gates between
    flip-flops."""

    module: str
    count_bits: int
    gates: int
    flip_flops: int
    levels: int


def trackers(design: Design, top: str) -> list[Tracker]:
    """Every kind of tracker of the unit `top`: none in an engine."""
    found: list[Tracker] = []
    for piece in design.count(top, limit=0):
        if TRACKER.search(piece.name):
            netlist = gates(piece)
            registers = sum(count for cell, count in netlist.cells.items() if "FF" in cell)
            others = sum(count for cell, count in netlist.cells.items() if cell.startswith("$_") and "FF" not in cell)
            found.append(
                Tracker(
                    module=piece.name,
                    count_bits=_count_bits(piece.text),
                    gates=others,
                    flip_flops=registers,
                    levels=netlist.levels,
                )
            )
    return found


def _count_bits(text: str) -> int:
    match = re.search(r"reg (?:\[(\d+):0\] )?o_count\b", text)
    return int(match[1] or 0) + 1 if match else 0
