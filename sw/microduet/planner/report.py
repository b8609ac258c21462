"""A plan on the terminal: a line per channel with its tables, bytes and time."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from microduet.placement import PlannedSource
from microduet.planner.allocate import gigabytes
from microduet.planner.figures import Figures
from microduet.planner.make import Made
from microduet.planner.model import load
from microduet.planner.physical import factors, physical_shape
from microduet.shape import ModelShape
from microduet_hw.config import Feature, Part

BAR = 16
"""Characters of the slowest channel's bar."""
SHOWN = 6
"""Tables named per channel."""


def show(made: Made, figures: Figures, shape: ModelShape, console: Console) -> None:
    """Print channels, figures and what is proven."""
    plan = made.plan
    tables = physical_shape(shape, plan.products).features
    names = ["x".join(map(str, members)) for members in factors(shape, plan.products)]
    table = Table(title=f"{plan.mode}: {plan.model} on {plan.board}, {plan.precision}", box=None)
    table.title_justify = "left"
    for name in ("channel", "tables", "bytes", "reads", "beats", "ns", ""):
        left = name in ("channel", "tables", "")
        table.add_column(name, justify="left" if left else "right", min_width=BAR if not name else None)
    for planned in plan.planned:
        takes = load(planned.source, tables, plan.precision)
        ns = takes.ps(planned.source.kind) / 1000
        table.add_row(
            planned.channel,
            _tables(planned, names, tables),
            gigabytes(sum(part.rows << part.stride_log2 for part in planned.source.parts)),
            str(takes.reads),
            str(takes.beats),
            f"{ns:.1f}",
            "█" * max(1, round(BAR * ns / figures.slowest_channel_ns)),
        )
    console.print(table)
    console.print(
        f"{figures.physical_tables} tables after {len(plan.products)} products, splits and copies: "
        f"{figures.dram_tables} in DRAM, {figures.onchip_tables} on chip; rounds {figures.rounds}; overhead "
        f"{figures.overhead_percent:.3f} % of the elements; slowest channel {figures.slowest_channel_ns:.1f} ns; "
        f"{made.seconds:.1f} s"
    )
    if made.proof:
        console.print(made.proof, soft_wrap=True)


def _tables(planned: PlannedSource, names: Sequence[str], tables: Sequence[Feature]) -> str:
    parts = [_part(part, names[part.feature], tables[part.feature]) for part in planned.source.parts]
    more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN + 1 else ""
    return ", ".join(parts[: SHOWN if more else None]) + more


def _part(part: Part, name: str, table: Feature) -> str:
    """A part as short text: its table, and what it holds of it if that is not all."""
    of: list[str] = []
    if part.columns < table.dim:
        of.append(f"columns {part.column_first}-{part.column_first + part.columns - 1}")
    if part.row_step_log2:
        of.append(f"rows {part.row_first} mod {1 << part.row_step_log2}")
    elif part.rows < table.rows:
        of.append(f"rows {part.row_first}-{part.row_first + part.rows - 1}")
    served = part.served(table)
    if len(served) < table.lookups:
        of.append(f"lookup {served.start}" if len(served) == 1 else f"lookups {served.start}-{served.stop - 1}")
    return f"{name} ({', '.join(of)})" if of else name
