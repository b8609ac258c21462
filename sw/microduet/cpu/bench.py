"""``microduet bench cpu``: MicroRec's models on this processor, batch by batch, as its Tables 2 and 4 have them."""

import dataclasses
import functools
import json
import platform
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from microduet import zoo
from microduet.cpu.systems import Whole
from microduet.cpu.tables import TableKind, table_bytes
from microduet.cpu.tune import Tried, Tuned, cores, tune
from microduet.duet.shape import DlrmShape, Lookups, TableShape
from microduet.errors import InputError
from microduet.progress import Steps, steps
from microduet.versions import versions

Figures = dict[str, typing.Any]

BATCHES = (1, 64, 256, 512, 1024, 2048)
"""Of MicroRec's Table 2."""

PAPER_MS = {
    "microrec-small": {1: 3.34, 64: 5.41, 256: 8.15, 512: 11.15, 1024: 17.17, 2048: 28.18},
    "microrec-large": {1: 7.48, 64: 10.23, 256: 15.62, 512: 21.06, 1024: 31.72, 2048: 56.98},
}
"""MicroRec's CPU baseline, 16 vCPU (Table 2), ms per batch."""

PAPER_LOOKUP_MS = {
    "microrec-small": {1: 2.59, 64: 3.86, 256: 4.71, 512: 5.96, 1024: 8.39, 2048: 12.96},
    "microrec-large": {1: 6.25, 64: 8.05, 256: 10.92, 512: 13.67, 1024: 18.11, 2048: 31.25},
}
"""Its embedding layer alone (Table 4)."""

VECTORS = frozenset({"avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve"})
"""Instructions that decide how fast layers are, as /proc/cpuinfo names them."""

SHARE = 0.36
"""Of the memory that is free, for the float32 copy of the tables; float16 and int8 stay beside it, nearly as much."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CpuBenchOptions:
    """Arguments of `microduet bench cpu`."""

    model: str = "microrec-small"
    batches: tuple[int, ...] = BATCHES
    table_gb: float | None = None
    compiled: bool = True
    seed: int = 0
    json: bool = False


def main(options: CpuBenchOptions) -> int:
    """Measure and print."""
    if options.model not in PAPER_MS:
        raise InputError(f"model must be {', '.join(PAPER_MS)}, not {options.model!r}")
    if not options.batches or min(options.batches) < 1:
        raise InputError(f"batches must be at least 1, not {options.batches}")
    console = Console(stderr=options.json, highlight=False)
    whole = microrec_shape(options.model)
    budget = free_bytes() * SHARE if options.table_gb is None else options.table_gb * 1e9
    shape = fitted(whole, budget)
    # Tables take longer to make than to be tried, so they are made once for all batches.
    make = functools.cache(lambda kind: Whole(shape, tables=kind, seed=options.seed))
    with steps(console) as progress:
        rows = [measure(shape, batch, options, progress, make=make) for batch in options.batches]
    features = range(len(whole.features))
    result = {
        "model": options.model,
        "cpu": cpu_name(),
        "cores": cores(),
        "table_bytes": table_bytes(shape, features),
        "whole_table_bytes": table_bytes(whole, features),
        "rows": rows,
        "seed": options.seed,
        "versions": versions(),
    }
    if options.json:
        print(json.dumps(result))
    else:
        show(result, console)
    return 0


def measure(
    shape: DlrmShape, batch: int, options: CpuBenchOptions, progress: Steps, *, make: Callable[[TableKind], Whole]
) -> Figures:
    """The whole model, which `make` gives, and its lookups alone, each at its best variant."""
    generator = torch.Generator().manual_seed(options.seed)
    columns = [torch.randint(shape.tables[f.table].rows, (batch, f.lookups), generator=generator)
               for f in shape.features]  # fmt: skip
    inputs = (torch.cat(columns, 1), None)

    def report(what: str, done: int, of: int, /) -> None:
        progress(f"batch {batch}: {what}", done, of)

    found = tune(make, inputs, compiles=options.compiled, progress=report)
    alone = tune(lambda kind: make(kind).bags, inputs, compiles=False, progress=report)
    return {
        "batch": batch,
        **_row("", found),
        **_row("lookup_", alone),
        "items_per_s": batch / found.times.median_ms * 1000,
        "paper_ms": PAPER_MS[shape.name].get(batch),
        "paper_lookup_ms": PAPER_LOOKUP_MS[shape.name].get(batch),
    }


def _row(prefix: str, tuned: Tuned) -> Figures:
    times = tuned.times
    return {
        f"{prefix}ms": times.median_ms,
        f"{prefix}p25_ms": times.p25_ms,
        f"{prefix}p75_ms": times.p75_ms,
        f"{prefix}variant": str(tuned.variant),
        f"{prefix}grid": grid(tuned.grid),
    }


def grid(tried: Sequence[Tried]) -> list[Figures]:
    """Every variant that was tried, with its median or why it did not run."""
    return [
        {"variant": str(one.variant), "ms": one.times.median_ms if one.times else None, "failed": one.failed}
        for one in tried
    ]


def microrec_shape(name: str) -> DlrmShape:
    """MicroRec's model as the modules of the processor's systems take it."""
    shape = zoo.find(name).shape
    return DlrmShape(
        name=name,
        tables=tuple(TableShape(rows=feature.rows, dim=feature.dim) for feature in shape.features),
        features=tuple(Lookups(table=k) for k in range(len(shape.features))),
        top=zoo.MICROREC_WIDTHS,
    )


def fitted(shape: DlrmShape, budget: float) -> DlrmShape:
    """`shape` with its largest tables cut so that one float32 copy takes at most `budget` bytes."""
    tables = list(shape.tables)
    features = range(len(shape.features))
    while table_bytes(shape.replace(tables=tuple(tables)), features) > budget:
        largest = max(range(len(tables)), key=lambda k: tables[k].rows * tables[k].dim)
        if tables[largest].rows < 2:
            raise InputError(f"{shape.name}: its tables do not fit {budget / 1e9:.3f} GB")
        tables[largest] = tables[largest].replace(rows=tables[largest].rows // 2)
    return shape.replace(tables=tuple(tables))


def free_bytes() -> int:
    """Memory that is free, from /proc/meminfo; 4 GB where there is none."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 4_000_000_000
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable")), "4000000")
    return int(kilobytes) * 1024


def cpu_name(information: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself, its family and model, for virtual ones keep their name to themselves, and the
    vectors and matrices that it has instructions for."""
    try:
        lines = information.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" not in said:
        return platform.machine()
    numbers = [f"{key.removeprefix('cpu ')} {said[key]}" for key in ("cpu family", "model") if key in said]
    vectors = sorted(set(said.get("flags", "").split()) & VECTORS)
    return ", ".join((said["model name"], *numbers, *vectors))


def show(result: Figures, console: Console) -> None:
    """The sweep as a table."""
    table = Table("batch", "ms", "quartiles", "items/s", "paper ms", "lookup ms", "variant", box=None)
    for row in result["rows"]:
        paper = "" if row["paper_ms"] is None else f"{row['paper_ms']:.2f}"
        table.add_row(
            str(row["batch"]),
            f"{row['ms']:.3f}",
            f"{row['p25_ms']:.3f}..{row['p75_ms']:.3f}",
            f"{row['items_per_s']:,.0f}",
            paper,
            f"{row['lookup_ms']:.3f}",
            row["variant"],
        )
    console.print(table)
    kept = result["table_bytes"] / result["whole_table_bytes"]
    console.print(
        f"{result['cpu']}, {result['cores']} cores; tables of {result['table_bytes'] / 1e9:.2f} GB, {kept:.0%} of the "
        "model's; the paper's baseline is a server of 16 vCPU",
        soft_wrap=True,
    )
