"""Measures edge units in cycles: ``microduet bench edge``."""

import dataclasses
import json
import typing
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from microduet.edge.compile import EdgeOptions, compile_edge, spec_of
from microduet.edge.device import EdgeDevice
from microduet.edge.sessions import random_sessions
from microduet.progress import Steps, steps
from microduet.versions import versions
from microduet_hw.config import AXI_BYTES
from microduet_hw.edge.arrays import array_shape
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.weight_stream import DEPTH

Figures = dict[str, typing.Any]
"""What was measured, by the names of the JSON."""

MODELS = ("rm1", "rm2", "rm3", "rm4", "rm5")
LPDDR_BYTES_PER_NS = 34.1
"""Memory bandwidth of Duet's phone (Duet, Table 3)."""

SRAM_BYTES_PER_MM2 = 23.6 * (1 << 20) / 8
"""The density behind Duet's Table 4 (section 7.4): an estimate of area."""

TOP_MULTIPLIERS, BOTTOM_MULTIPLIERS = 128, 32
AIM = "1.15 x (bottom MACs / 32 + top MACs / 128) + 60"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeBenchOptions:
    """Arguments of `microduet bench edge`."""

    models: tuple[str, ...] = MODELS
    streamed: tuple[str, ...] = ("rm4",)
    sessions: int = 4
    actions: int = 40
    seed: int = 0
    json: bool = False


def main(options: EdgeBenchOptions) -> int:
    """Measure and print; 1 if a payload is not the golden model's."""
    console = Console(stderr=options.json, highlight=False)
    wanted = [(model, False) for model in options.models] + [(model, True) for model in options.streamed]
    # Names as they are shown; an unknown one is refused before anything is built.
    wanted = [(spec_of(model).shape.name, streamed) for model, streamed in wanted]
    with steps(console) as progress:
        rows = [measure(model, streamed, options, progress) for model, streamed in wanted]
    result = {"rows": rows, "seed": options.seed, "clock_mhz": rows[0]["clock_mhz"], "versions": versions()}
    if options.json:
        print(json.dumps(result))
    else:
        show(rows, console)
    return 1 if any(row["mismatches"] for row in rows) else 0


def measure(model: str, streamed: bool, options: EdgeBenchOptions, progress: Steps) -> Figures:
    """Figures of one unit: an idle query, a click, random sessions against the golden model."""
    bundle = compile_edge(spec_of(model, seed=options.seed), options=EdgeOptions(top_streamed=streamed))
    config = bundle.config
    with EdgeDevice(bundle, progress=lambda done, of, what: progress(f"{config.name}: {what}", done, of)) as device:
        idle = _idle(device, np.random.default_rng(options.seed))
        sessions = random_sessions(device, sessions=options.sessions, actions=options.actions, seed=options.seed + 1)
    return {
        "model": model,
        "weights": "streamed" if streamed else "sram",
        **idle,
        **sizes(config),
        "clock_mhz": config.clock_mhz,
        "sessions": options.sessions,
        "messages": sessions.messages,
        "queries": sessions.queries,
        "mismatches": len(sessions.mismatches),
    }


def _idle(device: EdgeDevice, rng: np.random.Generator) -> Figures:
    """A full history, then one click and one query, each in an idle unit."""
    config = device.bundle.config
    for group, history in enumerate(config.histories):
        device.preload([rng.normal(0, 0.1, history.elements) for _ in range(history.slots)], group=group)
    if config.static is not None:
        device.set_static(rng.normal(0, 1, config.static.inputs))
    longest = max(config.histories, key=lambda history: history.slots)
    click = device.click(rng.normal(0, 0.1, longest.elements))
    device.check()
    payload = device.infer(rng.normal(0, 1, config.dynamic.inputs if config.dynamic else 0))
    counters = device.counters()
    return {
        "cycles": payload.cycles,
        "sent_bytes": payload.sent_bytes,
        "payload_us": round(payload.sent_bytes * 8 / 24, 1),
        "click_cycles": click,
        "pooled_read_cycles": counters["pooled_rows"],
        "macs": counters["macs"],
        "sram_reads": counters["sram_reads"],
    }


def sizes(config: EdgeConfig) -> Figures:
    """Multipliers, requantisers (a product of single precision each), products and bytes, from the configuration."""
    bottom_macs, top_macs = config.dynamic.macs if config.dynamic else 0, config.top.macs
    cycles = bottom_macs / BOTTOM_MULTIPLIERS + top_macs / TOP_MULTIPLIERS
    rows = sum(config.rows(group) for group in range(len(config.histories)))
    on_chip = 2 * bottom_macs + (0 if config.top.streamed else top_macs)
    stacks = {name: stack for name, stack in config.stacks.items() if stack is not None}
    requantisers = {name: array_shape(stack).drain.requantiser.lanes for name, stack in stacks.items()}
    return {
        "bottom_macs": bottom_macs,
        "top_macs": top_macs,
        "static_macs": config.static.macs if config.static else 0,
        "multipliers": {name: stack.multipliers for name, stack in stacks.items()},
        "requantisers": requantisers | {"quantiser": config.row_elements},
        "aim_cycles": round(1.15 * cycles + 60),
        "payload_bytes": config.payload_bytes,
        "header_bytes": 32,
        "scratchpad_bytes": config.scratchpad_bytes,
        "running_sum_bytes": rows * config.row_elements * config.sum_bits // 8,
        "weight_bytes": on_chip,
        "stream_buffer_bytes": len(config.channels) * DEPTH * AXI_BYTES,
        "scratchpad_mm2": round(config.scratchpad_bytes / SRAM_BYTES_PER_MM2, 3),
        "weight_mm2": round(on_chip / SRAM_BYTES_PER_MM2, 3),
        "stream_ns": round(top_macs / LPDDR_BYTES_PER_NS) if "top" in config.streams else None,
    }


def show(rows: Sequence[Figures], console: Console) -> None:
    """A table of what was measured."""
    names = ("model", "weights", "cycles", "aim_cycles", "click_cycles", "pooled_read_cycles", "payload_bytes")
    more = ("sent_bytes", "scratchpad_bytes", "running_sum_bytes", "weight_bytes", "sessions", "mismatches")
    table = Table(*(name.replace("_", " ") for name in (*names, *more)), box=None)
    for row in rows:
        table.add_row(*(f"{row[name]:,}" if isinstance(row[name], int) else str(row[name]) for name in (*names, *more)))
    console.print(table)
    console.print(f"cycles: from the context's first beat to the payload's last, idle; aim: {AIM}", soft_wrap=True)
