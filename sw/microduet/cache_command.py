"""`microduet cache`: what is kept between runs, and how to be rid of it."""

import json as json_module
import shutil
from pathlib import Path

from rich.console import Console
from rich.table import Table

from microduet_sim.cache import cache_folder

KINDS = {
    "models": "simulators",
    "bundles": "compiled models",
    "verilog": "generated gateware",
    "synth": "synthesised modules",
    "tables": "table rows in C++",
    "benches": "simulators of the tests",
    "proofs": "what was proven of the gateware",
    "data": "click logs",
    "torch": "what torch.compile made",
    "trained": "checkpoints",
    "table1": "comparisons of checkpoints",
}

KEPT = ("trained", "table1")
"""What took hours and is not removed with the rest: whoever wants to be rid of it removes its folder."""


def main(*, clear: bool, json: bool) -> int:
    """Print what each kind of entry takes; with `clear`, remove all but what is trained first."""
    root = cache_folder()
    if clear:
        for kind in KINDS.keys() - KEPT:
            shutil.rmtree(root / kind, ignore_errors=True)
    rows = {kind: _contents(root / kind) for kind in KINDS}
    if json:
        entries = {kind: {"entries": count, "bytes": size} for kind, (count, size) in rows.items()}
        print(json_module.dumps({"folder": str(root), **entries}))
        return 0
    table = Table(title=str(root), title_justify="left", box=None)
    for name in ("kind", "entries", "MiB"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for kind, (count, size) in rows.items():
        table.add_row(KINDS[kind], str(count), f"{size / 2**20:.1f}")
    Console(highlight=False).print(table)
    return 0


def _contents(folder: Path) -> tuple[int, int]:
    """Entries of a folder, locks aside, and the bytes of all files in it."""
    entries = [path for path in folder.glob("*") if path.suffix != ".lock"]
    return len(entries), sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
