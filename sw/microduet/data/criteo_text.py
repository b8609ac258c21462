"""Criteo's lines to columns, by a parser in C++ that leaves Python's lock alone: no library is fast enough."""

import ctypes
import functools
from pathlib import Path

import numpy as np

from microduet.data.store import Array, Columns
from microduet_sim.library import shared_library

NUMBERS = tuple(f"I{k}" for k in range(1, 14))
CATEGORIES = tuple(f"C{k}" for k in range(1, 27))
FIELDS = 1 + len(NUMBERS) + len(CATEGORIES)


def parse(text: bytes | Array) -> Columns | None:
    """A block of lines: label uint8, numbers int32 (rows, 13), categories uint32 (rows, 26); what is empty is 0.

    None if a line is not of the format. An array of bytes must be followed by one of 0.

    Raises
    ------
    BuildError, CacheError, MissingToolError
        If the parser is not built yet, and cannot be.
    """
    most = len(text) // FIELDS + 1
    label, numbers = np.empty(most, np.uint8), np.empty((most, len(NUMBERS)), np.int32)
    categories, whole = np.empty((most, len(CATEGORIES)), np.uint32), ctypes.c_uint8()
    arrays = (label.ctypes.data, numbers.ctypes.data, categories.ctypes.data)
    start = text if isinstance(text, bytes) else text.ctypes.data
    rows = library().md_criteo_lines(start, len(text), len(NUMBERS), len(CATEGORIES), *arrays, ctypes.byref(whole))
    if not whole:
        return None
    return {"label": label[:rows], "numbers": numbers[:rows], "categories": categories[:rows]}


@functools.cache
def library() -> ctypes.CDLL:
    """The parser, compiled when it is wanted for the first time; raises as `parse`."""
    found = ctypes.CDLL(str(shared_library("criteo", [Path(__file__).with_suffix(".cpp")])))
    u64, u32, array = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
    found.md_criteo_lines.argtypes = [array, u64, u32, u32, array, array, array, array]
    found.md_criteo_lines.restype = u64
    return found
