"""What cells of a netlist take of a card."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Literal

Family = Literal["xcup", "ecp5"]

NAMES = ("lut", "ff", "dsp", "bram36", "uram")

XCUP = [
    # cells, resource, how many: UltraScale Architecture Libraries Guide (UG974); a LUT holds 64 bits of memory
    (r"LUT[1-6]|INV", "lut", 1),
    (r"SRL16E|SRLC32E|RAM(32|64)X1S", "lut", 1),
    (r"RAM(32|64)X1D|RAM128X1S", "lut", 2),
    (r"RAM32M|RAM64M|RAM128X1D|RAM256X1S", "lut", 4),
    (r"RAM32M16|RAM64M8|RAM256X1D|RAM512X1S", "lut", 8),
    (r"FD[RSCP]E(_1)?", "ff", 1),
    (r"DSP48E2", "dsp", 1),
    (r"RAMB36E2", "bram36", 1),
    (r"RAMB18E2", "bram36", 0.5),
    (r"URAM288(_BASE)?", "uram", 1),
]
ECP5 = [
    # of the ECP5 family data sheet (FPGA-DS-02012); a carry cell is two LUTs, a distributed memory a slice and a half
    (r"LUT4", "lut", 1),
    (r"CCU2C", "lut", 2),
    (r"TRELLIS_DPR16X4", "lut", 6),
    (r"TRELLIS_FF", "ff", 1),
    (r"MULT18X18D", "dsp", 1),
    (r"DP16KD|PDPW16KD", "bram36", 0.5),
]
TABLES = {"xcup": XCUP, "ecp5": ECP5}

FREE = re.compile(r"CARRY[48]|MUXF[789]|PFUMX|L6MUX21|BUFG.*|GSR|VCC|GND|VLO|VHI|\$scopeinfo|module_\d+")
"""Cells that take nothing of their own: part of a slice, of the clock tree, or counted as a piece."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """LUTs, flip-flops, DSP slices (ECP5: 18 x 18 multipliers), blocks of 36 Kbit and UltraRAMs."""

    lut: float = 0
    ff: float = 0
    dsp: float = 0
    bram36: float = 0
    uram: float = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(**{name: getattr(self, name) + getattr(other, name) for name in NAMES})

    def __mul__(self, times: int) -> "Resources":
        return Resources(**{name: getattr(self, name) * times for name in NAMES})


def resources(cells: Mapping[str, int], family: Family) -> tuple[Resources, dict[str, int]]:
    """What the cells take, and those that are of no known kind."""
    found, unknown = Resources(), dict[str, int]()
    for cell, count in cells.items():
        for pattern, name, each in TABLES[family]:
            if re.fullmatch(pattern, cell):
                found += Resources(**{name: each * count})
                break
        else:
            if not FREE.fullmatch(cell):
                unknown[cell] = count
    return found, unknown
