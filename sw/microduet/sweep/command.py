"""`microduet sweep`: run what a file describes, on processes or a Ray cluster, and show the front."""

import dataclasses
import json
import time
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from microduet.errors import InputError
from microduet.folders import write_file
from microduet.perfetto import check_writable
from microduet.progress import steps
from microduet.sweep import config, results
from microduet.sweep.pareto import NAMES, best, costs, groups
from microduet.sweep.pools import LocalPool, Pool
from microduet.sweep.results import Row
from microduet.sweep.run import Ran, pending, run
from microduet.versions import versions

WORKERS = 2
"""Local ones, unless told otherwise: a simulator takes gigabytes for large tables."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Arguments of `microduet sweep`."""

    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    workers: int | None = None
    plot: Path | None = None
    json: bool = False


def main(path: Path, options: SweepOptions) -> int:
    """Run and print; 1 if a point has failed."""
    if options.address is not None and options.engine != "ray":
        raise InputError("address is of a Ray cluster: give --engine ray, too")
    sweep = config.read(path)
    picture = options.plot or sweep.plot
    if picture is not None:
        check_writable(picture)
    console, begun = Console(stderr=True, highlight=False), time.perf_counter()
    with results.opened(sweep.output) as kept:
        if pending(sweep.points, kept):
            pool = open_pool(options)
            try:
                with steps(console) as progress:
                    ran = run(sweep.points, kept, pool=pool, retries=sweep.retries, progress=progress)
            finally:
                pool.close()
        else:
            ran = Ran(done=0, failed=0, skipped=len(sweep.points))
        rows = [kept.rows[point.key] for point in sweep.points]
    if picture is not None and any(row.done for row in rows):
        from microduet.sweep.plot import front_svg

        write_file(picture, front_svg(rows, name=sweep.name))
    figures: dict[str, typing.Any] = {
        "name": sweep.name,
        "file": str(sweep.output),
        "points": len(rows),
        **dataclasses.asdict(ran),
        "seconds": round(time.perf_counter() - begun, 2),
        "failures": [{"point": row.point.label, "cause": row.outcome.cause} for row in rows if not row.done],
        "front": {title: [_shown(row) for row in best(members)] for title, members in groups(rows).items()},
        "engine": options.engine,
        "workers": options.workers,
        "plot": None if picture is None else str(picture),
        "versions": versions(),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        _print(figures, rows)
    return 1 if figures["failures"] else 0


def open_pool(options: SweepOptions) -> Pool:
    """The workers that `options` ask for."""
    if options.engine == "local":
        return LocalPool(workers=options.workers or WORKERS)
    from microduet.sweep.ray_pool import RayPool

    return RayPool(workers=options.workers, address=options.address)


def _shown(row: Row) -> dict[str, typing.Any]:
    figures = row.outcome.figures
    assert figures is not None, "a front has finished points only"
    return {
        "point": row.point.label,
        "arrays": figures.chosen,
        "predicted": figures.predicted,
        **dict(zip(NAMES, costs(row), strict=True)),
        "lookup_ns": figures.lookup_ns,
        "uram": figures.uram,
    }


def _print(figures: dict[str, typing.Any], rows: Sequence[Row]) -> None:
    console = Console(highlight=False)
    predicted = ", predicted" if any(row.outcome.figures and row.outcome.figures.predicted for row in rows) else ""
    for title, front in figures["front"].items():
        table = Table(title=f"{title}: the front{predicted}", box=None)
        table.title_justify = "left"
        for name in ("point", "arrays", "cycles", "DSP", "BRAM36", "lookup, ns"):
            table.add_column(name, justify="left" if name in ("point", "arrays") else "right")
        for one in front:
            lookup = "" if one["lookup_ns"] is None else f"{one['lookup_ns']:,.1f}"
            table.add_row(
                one["point"].removeprefix(f"{title}, "),
                one["arrays"].replace("[", "\\["),
                f"{one['cycles']:,.1f}",
                f"{one['dsp']:,}",
                f"{one['bram36']:,}",
                lookup,
            )
        console.print(table)
    for failure in figures["failures"]:
        console.print(f"failed: {failure['point']}: {failure['cause']}", markup=False)
    console.print(
        f"{figures['points']} points: {figures['done']} done, {figures['skipped']} done before, "
        f"{figures['failed']} failed; {figures['file']}"
    )
