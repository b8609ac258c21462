"""What a component's outputs were in every cycle, so that two simulators can be held to each other."""

import itertools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cocotb
from amaranth.hdl import Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from cocotb.triggers import ReadOnly, RisingEdge

LOG, OUTPUTS = "MICRODUET_CYCLE_LOG", "MICRODUET_BENCH_OUTPUTS"
UNDEFINED = "?"
"""A value of which a simulator says that it can be anything: nothing was written there yet."""


def environment(component: wiring.Component, log: Path) -> dict[str, str]:
    """Variables that make a bench of `component` write `log`."""
    ports = [
        ("__".join(map(str, path)), member.flow is Out)
        for path, member, value in component.signature.flatten(component)
        if isinstance(Value.cast(value), Signal)
    ]
    names = {name for name, _ in ports}
    return {LOG: str(log), OUTPUTS: json.dumps({name: valid_of(name, names) for name, is_out in ports if is_out})}


def valid_of(name: str, names: set[str]) -> str | None:
    """The port that says whether a port's value counts: that of its stream or AXI channel; None if it always does."""
    path, _, last = name.rpartition("__")
    if last.endswith(("valid", "ready")):
        return None
    channel = re.match("aw|ar|w|r|b|t", last)
    choices = [f"{path}__valid", f"{path}__{channel[0]}valid" if channel else ""]
    return next((choice for choice in choices if choice in names), None)


def watch(dut: Any, clocks: list[str]) -> None:
    """Write every output at every edge of every clock outside of resets, if the bench was asked to."""
    if os.environ.get(LOG):
        for clock in clocks:
            cocotb.start_soon(_write(dut, clock, json.loads(os.environ[OUTPUTS])))


async def _write(dut: Any, clock: str, outputs: Mapping[str, str | None]) -> None:
    reset = getattr(dut, clock.replace("clk", "rst"), None)
    with Path(os.environ[LOG]).open("a") as log:
        for cycle in itertools.count():
            await RisingEdge(getattr(dut, clock))
            await ReadOnly()
            if reset is None or reset.value == 0:
                values = [_value(dut, name, valid) for name, valid in outputs.items()]
                log.write(f"{clock} {cycle} {' '.join(values)}\n")
                log.flush()


def _value(dut: Any, name: str, valid: str | None) -> str:
    if valid is not None and getattr(dut, valid).value != 1:
        return "-"
    text = str(getattr(dut, name).value)
    return UNDEFINED if set(text) - {"0", "1"} else f"{int(text, 2):x}"


def differences(one: str, other: str) -> tuple[list[str], int]:
    """Where two logs differ, and how many values were not compared because one simulator calls them undefined."""
    lines, others = one.splitlines(), other.splitlines()
    found = [] if len(lines) == len(others) else [f"{len(lines)} cycles and {len(others)} cycles"]
    undefined = 0
    for left, right in zip(lines, others, strict=False):
        for a, b in itertools.zip_longest(left.split(), right.split()):
            if UNDEFINED in (a, b):
                undefined += 1
            elif a != b:
                found.append(f"{left}  |  {right}")
                break
    return found, undefined
