"""`microduet memory`: the DRAM model's parameters, and traces replayed on one channel."""

import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from microduet.errors import InputError
from microduet.folders import write_file
from microduet.progress import steps
from microduet.versions import versions
from microduet_sim.dram import replay as dram
from microduet_sim.dram.parameters import (
    BUILT_IN,
    DramParameters,
    Page,
    Refresh,
    built_in_text,
    read_parameters,
)

COMMANDS_PER_BURST = 4
"""Room for commands in the log: of a burst at most a precharge, an activation, its own, and its share of refreshes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Arguments of `microduet memory replay`."""

    config: str
    trace: Path
    outstanding: int
    refresh: bool = True
    page: str | None = None
    window: int | None = None
    out: Path | None = None
    commands: Path | None = None
    json: bool = False


def params(name: str | None) -> int:
    """Print one built-in set, or all of them."""
    if name is None:
        print("\n".join(f"[{each}]\n{built_in_text(each)}" for each in BUILT_IN), end="")
        return 0
    if name not in BUILT_IN:
        raise InputError(f"a parameter set must be {', '.join(BUILT_IN[:-1])} or {BUILT_IN[-1]}, not {name!r}")
    print(built_in_text(name), end="")
    return 0


def replay(options: ReplayOptions) -> int:
    """Replay a trace and print what it measured."""
    if options.outstanding < 1:
        raise InputError(f"--outstanding must be at least 1, not {options.outstanding}")
    parameters = _parameters(options)
    trace = dram.read_trace(options.trace, parameters)
    log = 0
    if options.commands is not None:
        bursts = int((trace.bytes.astype(int) // parameters.burst_bytes + 2).sum())
        log = COMMANDS_PER_BURST * bursts + 1024
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        replayed = dram.replay(
            trace,
            parameters,
            outstanding=options.outstanding,
            commands=log,
            progress=lambda done, of: progress("transactions", done, of),
        )
    if options.out is not None:
        write_file(options.out, replayed.csv())
    if options.commands is not None:
        write_file(options.commands, replayed.commands_csv())
    figures = replayed.figures() | {
        "config": options.config,
        "outstanding": options.outstanding,
        "refresh": str(parameters.refresh),
        "page": str(parameters.page),
        "window": parameters.window,
        "tCK_ns": parameters.tCK_ns,
    }
    if options.json:
        print(json.dumps(figures | {"versions": versions()}))
        return 0
    table = Table(box=None, show_header=False)
    for name, value in figures.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    console.print(table)
    return 0


def _parameters(options: ReplayOptions) -> DramParameters:
    parameters = read_parameters(options.config)
    changes: dict[str, object] = {}
    if not options.refresh:
        changes["refresh"] = Refresh.OFF
    if options.page is not None:
        changes["page"] = Page(options.page)
    if options.window is not None:
        if options.window < 1:
            raise InputError(f"--window must be at least 1 (12, or 64 with the reorder buffer), not {options.window}")
        changes["window"] = options.window
    return parameters.replace(**changes)
