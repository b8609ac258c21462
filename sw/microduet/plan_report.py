"""What the compiler chose and why, as tables: where the tables went, which arrays compute the layers."""

from rich.console import Console
from rich.table import Table

from microduet.placement import Plan
from microduet.search import TOLERANCE, SearchResult
from microduet_hw.config import SourceKind

SHOWN = 6
"""Candidates in the table."""
MEBIBYTE = 1 << 20


def show_plan(plan: Plan, console: Console) -> None:
    """Print what every kind of memory holds and the longest queue of reads that an item meets."""
    table = Table(title=f"tables of {plan.model} on {plan.board}", title_justify="left", box=None)
    for name in ("memory", "channels", "parts", "MiB", "beats per item, most on one"):
        table.add_column(name, justify="left" if name == "memory" else "right")
    for kind in SourceKind:
        planned = [source for source in plan.planned if source.source.kind is kind]
        if planned:
            table.add_row(
                kind,
                str(len(planned)),
                str(sum(len(source.source.parts) for source in planned)),
                f"{sum(source.size for source in planned) / MEBIBYTE:.1f}",
                f"{max(source.beats for source in planned):.3g}",
            )
    console.print(table)


def show_search(result: SearchResult, console: Console) -> None:
    """Print the best arrangements, the winner first, and the rule that chose it."""
    table = Table(title="arrays", title_justify="left", box=None)
    for name in ("PEs x lanes, layers", "cycles", "idle, est.", "multipliers", "use", "DSP", "BRAM36", "URAM"):
        table.add_column(name, justify="left" if name.startswith("PEs") else "right")
    for number, candidate in enumerate(result.best[:SHOWN]):
        taken = candidate.resources
        table.add_row(
            candidate.label,
            str(candidate.cycles),
            str(candidate.latency),
            str(taken.multipliers),
            f"{candidate.use:.1%}",
            str(taken.dsp),
            str(taken.bram36),
            str(taken.uram),
            style="bold" if number == 0 else None,
        )
    console.print(table)
    console.print(
        f"chosen: the shortest idle latency within {TOLERANCE - 1:.0%} of the fewest cycles; "
        f"{result.budget} multipliers cannot do better than {result.limit:.1f}"
    )
