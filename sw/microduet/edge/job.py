"""The main job of an edge unit: ``microduet run rm3-edge``."""

import json
import sys

from rich.console import Console
from rich.table import Table

from microduet.edge import bench
from microduet.edge.compile import SUFFIX, spec_of
from microduet.errors import InputError
from microduet.progress import steps
from microduet.versions import versions

TITLES = {
    "cycles": "context in to payload out, idle, cycles",
    "aim_cycles": f"{bench.AIM}",
    "click_cycles": "click in to seen by the next query, cycles",
    "pooled_read_cycles": "reading the pooled history, cycles",
    "payload_bytes": "payload, bytes (header 32 more)",
    "sent_bytes": "payload without its zeros, bytes",
    "payload_us": "that over 24 Mb/s, us",
    "scratchpad_bytes": "scratchpad, bytes",
    "running_sum_bytes": "running sums, bytes",
    "weight_bytes": "weights on the chip, bytes",
    "queries": "queries compared with the golden model",
    "mismatches": "payloads that differ",
}


def main(model: str, *, items: int, seed: int, json_output: bool) -> int:
    """Run a random session of `items` messages behind its preload, compare every payload, print the figures."""
    if items < 1:
        raise InputError(f"items must be at least 1, not {items}")
    console = Console(stderr=json_output, highlight=False)
    name = spec_of(model, seed=seed).shape.name
    options = bench.EdgeBenchOptions(models=(name,), streamed=(), sessions=1, actions=items, seed=seed)
    with steps(console) as progress:
        row = bench.measure(name, False, options, progress)
    figures = row | {"model": name + SUFFIX, "seed": seed, "versions": versions()}
    if json_output:
        print(json.dumps(figures))
    else:
        table = Table(box=None, show_header=False)
        table.add_row("edge unit", str(figures["model"]))
        for key, title in TITLES.items():
            value = figures[key]
            table.add_row(title, f"{value:,}" if isinstance(value, int | float) else str(value))
        console.print(table)
        cycles, mhz = row["cycles"], row["clock_mhz"]
        console.print(f"at {mhz:,} MHz a query takes {cycles / mhz:.2f} us")
    if row["mismatches"]:
        print(f"{row['mismatches']} payloads are not the golden model's, seed {seed}", file=sys.stderr)
    return 1 if row["mismatches"] else 0
