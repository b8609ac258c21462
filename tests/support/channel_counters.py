"""Counters of memory channels in a bench, wound on to where they begin anew, for which no bench is long enough."""

import functools
import random
from collections.abc import Mapping
from typing import Any

from cocotb.triggers import RisingEdge

from microduet_hw.config import EngineConfig

KINDS = ("reads", "stalls", "strays")
BITS = 32

Counts = Mapping[tuple[int, str], int]
"""By channel's source and kind."""


def keys(config: EngineConfig) -> list[tuple[int, str]]:
    """Of all counters."""
    return [(source, kind) for source in config.channels for kind in KINDS]


def counters(config: EngineConfig, *, unit: str) -> list[str]:
    """Every channel's counters as `run_bench` opens them; `unit` leads to the lookup unit."""
    return [f"{unit}.reader_{source:02}.o_{kind}" for source, kind in keys(config)]


async def wind_on(dut: Any, config: EngineConfig, *, unit: str) -> Counts:
    """Set every counter to a few before it begins anew, while nothing is counted; what they are now."""
    await RisingEdge(dut.mem_clk)
    wound = {key: (1 << BITS) - random.randint(1, 9) for key in keys(config)}
    for name, value in zip(counters(config, unit=unit), wound.values(), strict=True):
        functools.reduce(getattr, name.split("."), dut).value = value
    await RisingEdge(dut.mem_clk)
    return wound


def since(wound: Counts, now: Counts) -> Counts:
    """How much was counted since."""
    return {key: (now[key] - value) % (1 << BITS) for key, value in wound.items()}


def shown(dut: Any, config: EngineConfig) -> Counts:
    """The counters as a lookup unit shows them."""
    return {
        (source, kind): getattr(dut, f"o_{kind}").value.to_unsigned() >> BITS * place & (1 << BITS) - 1
        for kind in KINDS
        for place, source in enumerate(config.channels)
    }
