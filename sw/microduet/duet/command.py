"""`microduet models`: what every split costs and saves."""

import dataclasses
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from microduet.duet import zoo
from microduet.duet.figures import UPLOAD_MBPS, Figures, figures
from microduet.errors import ModelError
from microduet_hw.config import Frozen


class ModelsOptions(Frozen, frozen=True, kw_only=True):
    """Arguments of `microduet models`."""

    split: str = "all"
    mbps: float = UPLOAD_MBPS
    json: bool = False


def main(name: str | None, options: ModelsOptions) -> int:
    """Print the figures of one model, or of all."""
    if options.split not in ("all", "duet", "exact"):
        raise ModelError(f"split must be all, duet or exact, not {options.split!r}")
    rows: list[Figures] = []
    for model in [name] if name else zoo.NAMES:
        shape = zoo.shape_of(model)
        for kind in ("duet", "exact"):
            split = zoo.split_of(shape, kind) if options.split in ("all", kind) else None
            if split is not None:
                rows.append(figures(shape, split, mbps=options.mbps))
    if options.json:
        import msgspec

        from microduet.versions import versions

        listed = [msgspec.to_builtins(dataclasses.asdict(row)) for row in rows]
        print(json.dumps({"rows": listed, "mbps": options.mbps, "versions": versions()}))
    else:
        show(rows, options.mbps, Console(highlight=False))
    return 0


def show(rows: Sequence[Figures], mbps: float, console: Console) -> None:
    """Two tables: widths, then counts."""
    widths = _table("parts, inputs first", ("static bottom", "dynamic bottom", "user top", "item top", "combined"))
    counts = _table(
        f"per candidate, and per query at {mbps:g} Mb/s",
        ("MAC before", "after", "lookups", "after", "payload B", "us", "top B", "bottom B", "scratchpad B"),
    )
    for row in rows:
        found = row.parts
        bottoms = (f"whole {_widths(found.bottom)}", "") if found.bottom else (found.static, found.dynamic)
        parts = (*bottoms, found.user_top, found.item_top, found.combined)
        widths.add_row(row.model, row.split, *(one if isinstance(one, str) else _widths(one) for one in parts))
        counts.add_row(
            row.model,
            row.split,
            *(f"{n:,}" for n in (row.macs_before, row.macs_after, row.lookups_before, row.lookups_after)),
            f"{row.payload_bytes:,}",
            f"{row.payload_us:.0f}",
            *(f"{n:,}" for n in (row.top_weight_bytes, row.bottom_weight_bytes, row.scratchpad_bytes)),
        )
    console.print(widths)
    console.print(counts)
    hidden = [row for row in rows if row.model == "microrec-small" and row.split == "exact"]
    for row in hidden:
        console.print(
            f"{row.model} without its output layer, as its paper counts: {row.hidden_macs_before:,} -> "
            f"{row.hidden_macs_after:,} MACs"
        )
    lossless = [f"{row.model} {row.lossless_bytes:,}" for row in rows if row.split == "exact"]
    if lossless:
        console.print(f"exact sends 32-bit sums; every bit of a fixed16 engine's sums would be {', '.join(lossless)} B")


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("model")
    table.add_column("split")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _widths(widths: Sequence[int]) -> str:
    return "-".join(map(str, widths)) or "-"
