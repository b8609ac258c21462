"""`microduet memory load`: latency of random reads over load, as a table, as JSON, as a picture."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from microduet.errors import InputError
from microduet.folders import write_file
from microduet.progress import steps
from microduet.versions import versions
from microduet_sim.dram.load import MAX_BYTES, OUTSTANDING, TRANSACTIONS, LoadPoint, load_points
from microduet_sim.dram.parameters import DramParameters, read_parameters


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Arguments of `microduet memory load`."""

    config: Sequence[str]
    bytes: str
    plot: Path | None = None
    json: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """One parameter set's points, sizes one after the other."""

    config: str
    parameters: DramParameters
    points: list[LoadPoint]


def load(options: LoadOptions) -> int:
    """Measure every set at every load, and show it."""
    sizes = _sizes(options.bytes)
    if len(set(options.config)) < len(options.config):
        raise InputError(f"--config must name a set once, not {', '.join(options.config)}")
    if options.plot is not None and options.plot.suffix != ".svg":
        raise InputError(f"--plot must end in .svg, not {str(options.plot)!r}")
    sets = {config: read_parameters(config) for config in options.config}
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        measured: list[Measured] = []
        of = len(sets) * len(sizes) * len(OUTSTANDING)
        for number, (config, parameters) in enumerate(sets.items()):
            points: list[LoadPoint] = []
            for point in load_points(parameters, sizes):
                points.append(point)
                progress("points", number * of // len(sets) + len(points), of)
            measured.append(Measured(config=config, parameters=parameters, points=points))
    if options.plot is not None:
        from microduet.load_plot import load_svg

        write_file(options.plot, load_svg(measured))
    if options.json:
        print(json.dumps(_figures(measured)))
        return 0
    for each in measured:
        console.print(_table(each))
    return 0


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--bytes must be numbers with commas between them, not {text!r}") from None
    if not all(1 <= size <= MAX_BYTES for size in sizes) or len(set(sizes)) < len(sizes):
        raise InputError(f"--bytes must be different numbers of 1 to {MAX_BYTES}, not {text!r}")
    return sizes


def _figures(measured: Sequence[Measured]) -> dict[str, object]:
    sets = {
        each.config: {
            "tCK_ns": each.parameters.tCK_ns,
            "delay_ns": each.parameters.delay_ns,
            "peak_gigabytes_per_s": round(each.parameters.peak_gigabytes_per_s, 4),
            "refresh": str(each.parameters.refresh),
            "page": str(each.parameters.page),
            "window": each.parameters.window,
        }
        for each in measured
    }
    points = [{"config": each.config, **dataclasses.asdict(point)} for each in measured for point in each.points]
    return {"points": points, "sets": sets, "transactions": TRANSACTIONS, "versions": versions()}


def _table(measured: Measured) -> Table:
    parameters = measured.parameters
    title = f"{measured.config}, {TRANSACTIONS:,} reads per line; a port adds {parameters.delay_ns:g} ns"
    table = Table(box=None, title=title, title_justify="left")
    for name in ("bytes", "outstanding", "GB/s", "of peak", "mean ns", "p50 ns", "p99 ns"):
        table.add_column(name, justify="right")
    for number, point in enumerate(measured.points):
        table.add_row(
            str(point.bytes),
            str(point.outstanding),
            f"{point.gigabytes_per_s:.2f}",
            f"{point.peak_share:.1%}",
            *(f"{value:.1f}" for value in (point.mean_ns, point.p50_ns, point.p99_ns)),
            end_section=(number + 1) % len(OUTSTANDING) == 0,
        )
    return table
