"""What `microduet bench nmp` measured, as ratios and as tables."""

import math
import typing
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

Figures = dict[str, typing.Any]

PARTS = ("whole", "duet")
"""What the datacentre computes for a candidate: all of the model, or the items' part and the layers behind both."""

TIMES = {"lookups": "ms", "query": "query_ms", "paper": "paper_ms"}
"""What is compared: simulated lookups alone, our query, the paper's query."""


def ratios(rows: Sequence[Figures]) -> list[Figures]:
    """How much faster Duet and TRiM are, of every pair of rows that was measured: lookups, query, the paper's query.

    Geometric means over the models follow, named ``mean``.
    """
    found = {(row["model"], row["part"], row["mode"]): row for row in rows}
    models = list(dict.fromkeys(row["model"] for row in rows))
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    pairs = [(f"whole over duet, {mode}", ("whole", mode), ("duet", mode)) for mode in modes]
    pairs += [
        (f"{slow} over {fast}, {part}", (part, slow), (part, fast))
        for slow, fast in (("plain", "recnmp"), ("recnmp", "trim"))
        for part in PARTS
        if slow in modes and fast in modes
    ]
    result: list[Figures] = []
    for name, one, other in pairs:
        own = [{"model": model, **_ratio(found[model, *one], found[model, *other])} for model in models]
        result += [{"ratio": name, **each} for each in own]
        if len(own) > 1:
            result.append(
                {"ratio": name, "model": "mean", **{time: _mean([each[time] for each in own]) for time in TIMES}}
            )
    return result


def _ratio(slow: Figures, fast: Figures) -> dict[str, float | None]:
    return {
        name: slow[key] / fast[key] if slow[key] is not None and fast[key] is not None else None
        for name, key in TIMES.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.exp(sum(map(math.log, known)) / len(known)) if len(known) == len(values) else None


def show(result: Figures, console: Console) -> None:
    """Times beside the paper's, then ratios beside the paper's."""
    memory = result["memory"]
    console.print(
        f"{result['n']:,} candidates; {memory['channels']} x {memory['set']} with ranks: {memory['ranks']}, "
        f"{memory['peak_gigabytes_per_s']:.1f} GB/s at the channels; MLPs {_computed(result)}",
        soft_wrap=True,
    )
    names = (
        "model",
        "part",
        "memory",
        "lookups ms",
        "GB/s",
        "bound by",
        "MLPs ms",
        "query ms",
        "paper ms",
        "paper GB/s",
    )
    times = Table(*names, box=None)
    for row in result["rows"]:
        times.add_row(
            row["model"], row["part"], row["mode"], f"{row['ms']:.3f}", f"{row['gigabytes_per_s']:.1f}",
            f"{row['bound']} {row['bound_share']:.1%}", f"{row['compute_ms']:.3f}", f"{row['query_ms']:.3f}",
            _text(row["paper_ms"], 1), _text(row["paper_gigabytes_per_s"], 1),
        )  # fmt: skip
    console.print(times)
    table = Table("ratio", "model", "lookups", "query", "paper", box=None)
    for row in result["ratios"]:
        table.add_row(row["ratio"], row["model"], *(_text(row[name], 2) for name in TIMES))
    console.print(table)
    implied = [row for row in result["rows"] if row["mode"] == "trim" and row["paper_efficiency"] is not None]
    if implied and result["compute"] == "estimate":
        shares = ", ".join(f"{row['model']} {row['part']} {row['paper_efficiency']:.1%}" for row in implied)
        console.print(f"the paper's times with TRiM less our lookups, as MLPs: {shares} of the peak", soft_wrap=True)


def _computed(result: Figures) -> str:
    processor = result["processor"]
    if result["compute"] == "measured":
        return f"in PyTorch on {processor['name']}, {processor['cores']} cores"
    return (
        f"estimated for {processor['cores']} cores at {processor['ghz']} GHz, {processor['flops_per_cycle']} float32 "
        f"operations per cycle, {processor['efficiency']:.0%} of that"
    )


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
