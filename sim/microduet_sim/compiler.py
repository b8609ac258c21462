"""Runs Verilator and the C++ compiler; a failure is one line."""

import functools
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from microduet_sim.errors import SimulatorError
from microduet_sim.tools import find, require, verilator_environment, verilator_root

Progress = Callable[[int, int, str], None]
"""``progress(done, total, what)``: steps of a build."""

SPEED_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast")
"""Verilator's flags for every build: no register of the gateware relies on an initial X."""

COMPILE_FLAGS = (
    "-std=gnu++17",  # the packaged Verilator was configured without a compiler and sets none
    "-O2",
    "-march=native",
    "-fPIC",
    "-fvisibility=hidden",  # two libraries in one process share no symbol ...
    "-fno-gnu-unique",  # ... not even the static ones of templates
    "-DVERILATOR=1",
    "-DVM_COVERAGE=0",
    "-DVM_SC=0",
)

COLD = "-O0"
"""Optimisation of code that runs once; it is half of the text."""


class BuildError(SimulatorError):
    """A simulator could not be built. The message is one line: the file or tool, and its first complaint."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One C++ file to compile; `cold` code is hardly optimised."""

    source: Path
    cold: bool = False


def toolchain() -> tuple[str, ...]:
    """What a build depends on besides its inputs: versions, and the processor that ``-march=native`` means here."""
    versions = tuple(f"{name} {find(name).version}" for name in ("verilator", "g++"))
    return (*versions, _native(str(require("g++"))))


@functools.cache
def _native(compiler: str) -> str:
    arguments = [compiler, "-march=native", "-Q", "--help=target"]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def verilate(source: Path, *, top: str, prefix: str, folder: Path, flags: Sequence[str]) -> None:
    """Turn the Verilog file `source` (and those beside it that it instantiates) into C++ in `folder`.

    Raises
    ------
    BuildError
        If Verilator refuses the file.
    """
    command = ["verilator", "--cc", *SPEED_FLAGS, *flags, "-Wno-fatal", "-Wno-lint", "-Wno-style"]
    command += ["--prefix", prefix, "--top-module", top, "--Mdir", str(folder), "-y", str(source.parent), str(source)]
    answer = subprocess.run(
        command, env=verilator_environment(), cwd=source.parent, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise BuildError(f"Verilator refuses {source.name}: {_complaint(answer.stdout + answer.stderr)}")


def compile_library(
    units: Sequence[Unit], library: Path, *, folder: Path, flags: Sequence[str], progress: Progress | None = None
) -> None:
    """Compile `units` and link them into the shared library `library`; objects go to `folder`.

    Raises
    ------
    BuildError
        If the compiler refuses a file, or the disk is full.
    """
    objects = folder / "objects"
    objects.mkdir()
    makefile = folder / "Makefile"
    makefile.write_text(_makefile(units, library, objects, flags))
    jobs = len(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            ["make", "--no-print-directory", f"-j{jobs}", "-f", makefile.name],
            cwd=folder,
            env=verilator_environment(),
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for done, line in enumerate(process.stdout):
                if progress is not None:
                    progress(done, len(units) + 1, line.strip())
        except BaseException:
            process.terminate()  # make ends its compilers, which would go on writing
            process.wait()
            raise
        if process.wait():
            complaints.seek(0)
            raise BuildError(f"the C++ compiler fails: {_complaint(complaints.read())}")


def _makefile(units: Sequence[Unit], library: Path, objects: Path, flags: Sequence[str]) -> str:
    root = verilator_root()
    assert root is not None, "verilator_environment has checked it"
    includes = [f"-I{root}/include", f"-I{root}/include/vltstd"]
    common = " ".join((*COMPILE_FLAGS, *flags, *includes))
    names = [f"{objects}/{number}_{unit.source.stem}.o" for number, unit in enumerate(units)]
    compiler = "ccache g++" if find("ccache").found else "g++"
    lines = [f"{library}: {' '.join(names)}", "\t@echo linking", "\t@g++ -shared -o $@ $^ -lz -pthread", ""]
    for name, unit in zip(names, units, strict=True):
        optimisation = f" {COLD}" if unit.cold else ""
        lines += [f"{name}: {unit.source}", f"\t@echo {unit.source.name}"]
        lines += [f"\t@{compiler} {common}{optimisation} -c -o $@ $<", ""]
    return "\n".join(lines)


def _complaint(output: str) -> str:
    """The first line that says what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for sign in ("No space left on device", "error", "Error"):
        for line in lines:
            if sign in line:
                return "the disk is full" if sign.startswith("No space") else line
    return lines[0] if lines else "no message"
