"""Shared libraries of C++ files alone, compiled once and kept."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from microduet_sim import compiler
from microduet_sim.cache import publish


def shared_library(
    name: str, units: Sequence[Path], *, inputs: Sequence[Path] = (), folders: Sequence[Path] = ()
) -> Path:
    """The library of `units`, built if its sources, the flags or the compiler are new.

    Parameters
    ----------
    name : of the library
    units : files to compile
    inputs : other files that they include
    folders : where they include from

    Raises
    ------
    BuildError
        If the compiler refuses a file; one line.
    CacheError
        If the cache cannot be written.
    MissingToolError
        If g++, make, perl or Verilator is not installed.
    """

    def make(work: Path) -> None:
        flags = [f"-I{folder}" for folder in folders]
        compiler.compile_library([compiler.Unit(source=path) for path in units], work / file, folder=work, flags=flags)

    file = f"{name}.so"
    texts = [path.read_text() for path in (*units, *inputs, Path(compiler.__file__), Path(__file__))]
    parts = [*texts, *compiler.toolchain(), *compiler.COMPILE_FLAGS]
    return publish(name, hashlib.sha256(json.dumps(parts).encode()).hexdigest(), make)[0] / file
