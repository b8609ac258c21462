"""A check's findings as tables."""

from rich.console import Console
from rich.table import Table

from microduet.check import CheckReport, PrecisionCheck

COLUMNS = ("layer", "shape", "range", "unit", "cut", "rms error", "expected", "largest", "bound")


def show(report: CheckReport) -> None:
    """Print a table per precision, then what the precisions do to the ranking."""
    console = Console()
    labels = "drawn from the float model's probabilities" if report.labels == "drawn" else "given"
    console.print(f"{report.model}: {report.items} items, seed {report.seed}, labels {labels}")
    for found in report.precisions:
        console.print(_layers(found))
    console.print(_ranking(report))


def _layers(found: PrecisionCheck) -> Table:
    table = Table(
        title=f"{found.precision}, input unit {found.input_step:.3g}",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "layer" else "right")
    for layer in found.layers:
        table.add_row(
            "output" if layer is found.layers[-1] else str(layer.layer),
            f"{layer.inputs}x{layer.outputs}",
            f"{layer.low:.3g}..{layer.high:.3g}",
            f"{layer.step:.1e}",
            str(layer.saturations),
            f"{layer.error:.1e}",
            f"{layer.expected_error:.1e}",
            f"{layer.largest_error:.1e}",
            f"{layer.bound:.1e}",
        )
    return table


def _ranking(report: CheckReport) -> Table:
    table = Table(title=f"ranking, AUC in float {report.auc:.4f}", title_justify="left", box=None)
    for name in ("precision", "AUC", "change", "top 10 kept", "largest score error"):
        table.add_column(name, justify="left" if name == "precision" else "right")
    for found in report.precisions:
        table.add_row(
            found.precision,
            f"{found.auc:.4f}",
            f"{found.auc_change:+.5f}",
            f"{found.top10_overlap} of 10",
            f"{found.score_error:.5f}",
        )
    return table
