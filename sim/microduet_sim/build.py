"""From an engine's Verilog to a shared library that simulates it, built once and kept."""

import functools
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from microduet_hw.config import EngineConfig
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import ANSWER_BITS
from microduet_hw.lookup.unit import port_name
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.result import BEAT
from microduet_hw.shard import LINK_BITS, ShardConfig
from microduet_sim.cache import publish
from microduet_sim.compiler import (
    COLD,
    COMPILE_FLAGS,
    SPEED_FLAGS,
    Progress,
    Unit,
    compile_library,
    toolchain,
    verilate,
)
from microduet_sim.counters import counter_header
from microduet_sim.lanes import lane_header
from microduet_sim.library import shared_library
from microduet_sim.quiet import quiet_header
from microduet_sim.tools import verilator_root

Structure = Literal["composite", "flat"]
"""composite: the core Verilated, pairs many at a time. flat: everything Verilated at once, slower, the reference."""

Wave = Literal["vcd", "fst"]

RUNTIME = Path(__file__).parent / "runtime"
COMMON_SOURCES = ("api.cpp", "activity.cpp", "simulation.cpp", "output_hash.cpp", "floor.cpp", "dram/controller.cpp")
MEMORY_SIDE_INPUTS = ("mem_rst", "m_axi_", "s_axis_items_")
"""Beginnings of the inputs that change with the memory-side clock: the runtime tells them apart by hand."""

SPLIT = 12_000
"""Verilator's measure of a C++ file's size, so that all cores have something to compile."""

JOINED = 1_000_000
"""Bytes up to which Verilator's files are compiled as one: each reads the whole model's header, a second or more."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """A simulator on disk.

    Members
    -------
    path : the shared library
    cached : whether it was built before
    seconds : what this call took
    """

    path: Path
    cached: bool
    seconds: float


def build(
    config: EngineConfig | EdgeConfig,
    verilog: dict[str, str],
    *,
    structure: Structure = "composite",
    wave: Wave | None = None,
    checks: bool = False,
    progress: Progress | None = None,
) -> Library:
    """Build the simulator of `config`, or take it from the cache.

    Parameters
    ----------
    config : of the engine or the edge unit
    verilog : its modules, as `microduet_hw.generate.generate` returns them
    structure : how the simulator is put together; that of a unit without arrays is always flat
    wave : make it able to write waves of this kind (of the composite: without the processing elements)
    checks : evaluate the gateware's assertions, all clock edges, and that control is the same in all pairs; slower
    progress : called with the steps of a build

    Raises
    ------
    BuildError
        If a tool refuses its input; one line.
    CacheError
        If the cache cannot be written.
    MissingToolError
        If Verilator, g++, make or perl is not installed.
    """
    start = time.perf_counter()
    if not isinstance(config, EngineConfig) or isinstance(config, ShardConfig):
        structure = "flat"
    plan = _Plan(config=config, verilog=verilog, structure=structure, wave=wave, checks=checks)
    folder, cached = publish("models", plan.key(), lambda folder: plan.make(folder, progress))
    return Library(path=folder / "model.so", cached=cached, seconds=time.perf_counter() - start)


def tables_library() -> Path:
    """The library that computes table rows, built once."""
    return shared_library("tables", [RUNTIME / "tables_api.cpp"], inputs=_headers(RUNTIME), folders=[RUNTIME])


def dram_library() -> Path:
    """The library of the DRAM model alone, built once."""
    folder = RUNTIME / "dram"
    units = [folder / name for name in ("api.cpp", "controller.cpp", "near_memory.cpp", "replay.cpp")]
    return shared_library("dram", units, inputs=_headers(RUNTIME), folders=[RUNTIME, folder])


def _headers(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.h"))


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


@functools.cache
def runtime_digest() -> str:
    """SHA-256 of the C++ runtime's sources."""
    files = sorted(path for path in RUNTIME.rglob("*") if path.suffix in (".h", ".cpp"))
    return _digest([part for path in files for part in (path.name, path.read_text())])


@functools.cache
def _own_sources() -> str:
    files = ("build.py", "compiler.py", "counters.py", "lanes.py", "quiet.py")
    return _digest([Path(__file__).with_name(name).read_text() for name in files])


def lane_unit(work: Path, *, number: int, pes: int, drain: int, chain_bits: int) -> Unit:
    """The C++ file that evaluates array `number`'s pairs many at a time, from ``pe_pair_<number>.v`` in `work`."""
    name, module = f"pair_{number}", f"pe_pair_{number}"
    # Merged conditions become branches, which would have to go the same way in all pairs.
    # Loops over the words of a wide value would count in a variable of its own in each pair.
    flags = ["-fno-merge-cond", "-fno-reloop", "--no-assert"]
    verilate(work / f"{module}.v", top=module, prefix=f"V{name}", folder=work / name, flags=flags)
    (work / f"{name}.h").write_text(lane_header(work / name, prefix=f"V{name}", namespace=name))
    kind = f"lanes::LaneArray<{name}::Pair, {name}::step, {pes}, {drain}, {chain_bits}>"
    source = work / f"array_{number}.cpp"
    source.write_text(
        f'#include "{name}.h"\n#include "lanes/pair_array.h"\n\nnamespace microduet {{\n\n'
        f"std::unique_ptr<PairArray> make_array_{number}();\n"
        f"std::unique_ptr<PairArray> make_array_{number}() {{ return std::make_unique<{kind}>(); }}\n\n"
        "}  // namespace microduet\n"
    )
    return Unit(source=source)


def joined(files: Sequence[Path], stem: Path, *, cold: bool) -> list[Unit]:
    """C++ files `stem`_K.cpp that include the files, in their order, up to `JOINED` bytes each."""
    groups: list[list[Path]] = []
    room = 0
    for file in files:
        size = file.stat().st_size
        if not groups or size > room:
            groups.append([])
            room = JOINED
        groups[-1].append(file)
        room -= size
    units = [Unit(source=stem.with_name(f"{stem.name}_{k}.cpp"), cold=cold) for k in range(len(groups))]
    for unit, group in zip(units, groups, strict=True):
        unit.source.write_text("".join(f'#include "{file}"\n' for file in group))
    return units


@dataclass(frozen=True, kw_only=True)
class _Plan:
    config: EngineConfig | EdgeConfig
    verilog: dict[str, str]
    structure: Structure
    wave: Wave | None
    checks: bool

    def key(self) -> str:
        parts = [text for item in sorted(self.verilog.items()) for text in item]
        parts += [self.ports(), self.structure, str(self.wave), str(self.checks), runtime_digest(), _own_sources()]
        return _digest([*parts, *toolchain(), *SPEED_FLAGS, *COMPILE_FLAGS, COLD])

    def make(self, folder: Path, progress: Progress | None) -> None:
        work = folder / "work"
        work.mkdir()
        # The reference takes the Verilog as it is.
        for name, text in self.verilog.items():
            (work / name).write_text(text)
        (work / "ports.h").write_text(self.ports())
        report = progress or (lambda done, total, what: None)
        report(0, 1, "verilating")
        top = self.top()
        verilate(work / f"{top}.v", top=top, prefix="Vmodel", folder=work / "model", flags=self.verilator_flags())
        (work / "counters.h").write_text(counter_header(work / "model", prefix="Vmodel", counters=self.config.counters))
        if isinstance(self.config, EngineConfig):
            (work / "quiet.h").write_text(
                quiet_header(work / "model", prefix="Vmodel", clock="clk", other="mem_clk", inputs=MEMORY_SIDE_INPUTS)
            )
        units = [*self.verilated(work / "model"), *self.arrays(work)]
        units += [Unit(source=RUNTIME / name) for name in COMMON_SOURCES]
        compile_library(units, folder / "model.so", folder=work, flags=self.compile_flags(work), progress=progress)
        shutil.rmtree(work)

    def verilator_flags(self) -> list[str]:
        flags = ["--output-split", str(SPLIT), "--assert" if self.checks else "--no-assert"]
        return flags + ([f"--trace-{self.wave}"] if self.wave else [])

    def compile_flags(self, work: Path) -> list[str]:
        include = [f"-I{folder}" for folder in (RUNTIME, RUNTIME / "lanes", RUNTIME / "dram", work, work / "model")]
        waves = {
            "VM_TRACE": self.wave is not None,
            "VM_TRACE_FST": self.wave == "fst",
            "VM_TRACE_VCD": self.wave == "vcd",
        }
        flags = [f"-D{name}={int(value)}" for name, value in waves.items()]
        return include + flags + (["-O1", "-DMICRODUET_TOGGLE=1", "-DLANES_DEBUG=1"] if self.checks else [])

    def top(self) -> str:
        """The module that Verilator evaluates."""
        if isinstance(self.config, EdgeConfig):
            return "edge_unit"
        if isinstance(self.config, ShardConfig):
            return "shard_unit"
        return "engine" if self.structure == "flat" else "engine_core"

    def arrays(self, work: Path) -> list[Unit]:
        """The units of the arrays' pairs, if they are evaluated apart."""
        if self.structure == "flat":
            return []
        assert isinstance(self.config, EngineConfig), "an edge unit is flat"
        units: list[Unit] = []
        for number, array in enumerate(self.config.arrays):
            bits = pe_array_shape(self.config, array).pe.chain_bits
            units.append(lane_unit(work, number=number, pes=array.pes, drain=array.requantised, chain_bits=bits))
        return units

    def verilated(self, folder: Path) -> list[Unit]:
        """Verilator's output and what binds its names, joined, and the parts of its library that they need."""
        files = sorted(folder.glob("*.cpp"), key=lambda path: -path.stat().st_size)
        slow = [path for path in files if "Slow" in path.name or "Trace" in path.name]
        fast = [RUNTIME / f"{self.structure}_model.cpp", *(path for path in files if path not in slow)]
        units = joined(fast, folder / "fast", cold=False)
        units += joined(slow, folder / "slow", cold=True)
        root = verilator_root()
        assert root is not None, "verilate has checked it"
        library = ["verilated.cpp", "verilated_threads.cpp", *([f"verilated_{self.wave}_c.cpp"] if self.wave else [])]
        return units + [Unit(source=root / "include" / name, cold=True) for name in library]

    def ports(self) -> str:
        """What the C++ sources learn of the configuration, as lists that they apply a macro to."""
        channels = [f"VISIT({port_name(source)})" for source in self.config.channels]
        engine = isinstance(self.config, EngineConfig)
        arrays, floors = _array_lists(self.config) if isinstance(self.config, EngineConfig) else ([], [])
        lists = {"CHANNELS": channels, "ARRAYS": arrays, "FLOORS": floors}
        users = isinstance(self.config, EngineConfig) and self.config.user is not None
        words = (LINK_BITS if isinstance(self.config, ShardConfig) else BEAT.size if engine else ANSWER_BITS) // 32
        numbers = {"MEMORY_CLOCK": int(engine), "RESULT_WORDS": words, "USERS": int(users)}
        lines = [f"#define MICRODUET_{name}(VISIT) {' '.join(values)}\n" for name, values in lists.items()]
        lines += [f"#define MICRODUET_{name} {value}\n" for name, value in numbers.items()]
        return "#pragma once\n" + "".join(lines)


def _array_lists(config: EngineConfig) -> tuple[list[str], list[str]]:
    """The arrays of an engine, and their multiply-accumulate work."""
    arrays: list[str] = []
    floors: list[str] = []
    limbs, size = (2, 2) if config.precision.width == 32 else (1, config.precision.width // 8)
    for k, array in enumerate(config.arrays):
        pe = pe_array_shape(config, array).pe
        arrays.append(f"VISIT(array_{k}, {array.pes}, {array.requantised}, {pe.chain_bits})")
        wide = str(max(pe.sum_widths) > 32).lower()
        floors.append(f"VISIT(array_{k}, {array.pes}, {array.lanes * limbs}, {size}, {pe.rows}, {wide})")
    return arrays, floors
