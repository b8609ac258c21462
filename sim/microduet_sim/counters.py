"""Finds the registers of a Verilated unit's counters, so that the runtime can see when each goes up."""

import re
from collections.abc import Sequence
from pathlib import Path


def counter_header(folder: Path, *, prefix: str, counters: Sequence[str]) -> str:
    """A list for the C++ runtime: the counters' registers, in their order.

    Parameters
    ----------
    folder, prefix : where Verilator wrote the model, and its name
    counters : names of the counters

    Returns
    -------
    C++ text; an empty list if Verilator did not keep every one of them.
    """
    header = (folder / f"{prefix}___024root.h").read_text()
    fields = dict[str, str]()
    for field in re.findall(r"QData/\*63:0\*/ (\w+__DOT__registers__DOT__\w+);", header):
        if not field.startswith("__V"):
            fields[field.rpartition("__DOT__")[2]] = field
    found = [fields[name] for name in counters if name in fields]
    visits = " ".join(f"VISIT({field})" for field in found) if len(found) == len(counters) else ""
    return f"#pragma once\n#define MICRODUET_COUNTERS(VISIT) {visits}\n"
