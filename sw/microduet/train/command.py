"""`microduet train`: models from click logs, and how good they are."""

import hashlib
import json
import typing
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from microduet.data.opening import open_data
from microduet.duet import zoo
from microduet.duet.split import SplitName
from microduet.errors import TrainingError
from microduet.folders import write_file
from microduet.progress import Steps, steps
from microduet.train.compare import Change, Comparison, Figure, Plan, compare
from microduet.train.metrics import NAMES
from microduet.train.run import Settings, Training, checkpoint_path
from microduet.train.shapes import TABLE_ROWS, model_shape
from microduet.train.usable import check_parts
from microduet.versions import versions
from microduet_hw.config import Frozen
from microduet_sim.cache import cache_folder

if typing.TYPE_CHECKING:
    from microduet.train.gateware import GatewareQuality

TABLE_BYTES = 128 << 20
"""Of a model's float32 tables together, where --table-rows is not given."""

ENGINE_PRECISIONS = ("fixed16", "int8")
"""Of engines that rank for users."""

PLACES = {"accuracy": 4, "auc": 5, "log_loss": 5, "calibration": 4}


class TrainOptions(Frozen, frozen=True, kw_only=True):
    """Arguments of `microduet train`."""

    data: str
    split: SplitName = "duet"
    seeds: int = 3
    rows: int | None = None
    epochs: int = 1
    batch: int = 256
    table_rows: int | None = None
    hash_rows: int | None = None
    skip_bad: bool = False
    test_rows: int = 1_000_000
    replicates: int = 200
    precision: str = "auto"
    gateware: int = 0
    engine_precision: str = "fixed16"
    out: Path | None = None
    json: bool = False


def train(model: str, options: TrainOptions, progress: Steps) -> tuple[Comparison, Path]:
    """The comparison, kept as result.json beside checkpoints and curves.svg, and the folder of them all; raises as
    `plan`, and TrainingError if the log's rows cannot be learnt or judged."""
    wanted = plan(model, options, progress)
    return trained(wanted, progress), wanted.folder


def plan(model: str, options: TrainOptions, progress: Steps) -> Plan:
    """What the arguments ask for; the log is opened.

    Raises
    ------
    TrainingError
        If an argument is out of its range.
    DataError
        If the log is missing or not of its format.
    """
    if options.seeds < 1:
        raise TrainingError(f"--seeds must be at least 1, not {options.seeds}")
    if options.gateware and options.split != "duet":
        raise TrainingError(f"--gateware needs --split duet, not {options.split}")
    if options.engine_precision not in ENGINE_PRECISIONS:
        raise TrainingError(f"--engine-precision must be fixed16 or int8, not {options.engine_precision!r}")
    if options.table_rows is not None and options.table_rows < 1:
        raise TrainingError(f"--table-rows must be at least 1, not {options.table_rows}")
    whole = zoo.shape_of(model)
    width = sum(table.dim for table in whole.tables)
    fitting = max(1, min(TABLE_ROWS, TABLE_BYTES // (4 * width) // 1000 * 1000))
    table_rows = options.table_rows or options.hash_rows or fitting
    spec = f"generated:{options.rows}" if options.data == "generated" and options.rows else options.data
    small = whole.replace(tables=tuple(t.replace(rows=max(1, min(t.rows, table_rows))) for t in whole.tables))
    data = open_data(spec, small, rows=options.hash_rows, skip_bad=options.skip_bad, progress=progress)
    shape = model_shape(small, data.schema, table_rows=table_rows)
    settings = Settings(
        rows=options.rows or data.rows("train"), epochs=options.epochs, batch=options.batch, precision=options.precision
    )
    key = hashlib.sha256(msgspec.json.encode([shape, data.schema, settings])).hexdigest()[:12]
    folder = options.out or cache_folder() / "trained" / f"{shape.name}-{key}"
    return Plan(
        shape=shape,
        data=data,
        split=options.split,
        settings=settings,
        seeds=tuple(range(options.seeds)),
        test_rows=options.test_rows,
        folder=folder,
        replicates=options.replicates,
    )


def trained(wanted: Plan, progress: Steps) -> Comparison:
    """The comparison, kept in the plan's folder; raises TrainingError if the log's rows cannot be learnt or judged."""
    from microduet.train.curves import curves_svg

    settings = wanted.settings
    check_parts(wanted.data, train=settings.rows, validation=settings.validation_rows, test=wanted.test_rows)
    found = compare(wanted, progress)
    write_file(wanted.folder / "curves.svg", curves_svg(found))
    write_file(wanted.folder / "result.json", msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
    return found


def main(model: str, options: TrainOptions) -> int:
    """Train, judge, and print a table or one JSON object."""
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        wanted = plan(model, options, progress)
        found = trained(wanted, progress)
        quality = on_gateware(wanted, options, progress) if options.gateware else None
    skipped = getattr(wanted.data, "skipped", 0)
    if options.json:
        more = {"skipped": skipped, "folder": str(wanted.folder), "versions": versions()}
        print(json.dumps(msgspec.to_builtins(found) | more | {"gateware": msgspec.to_builtins(quality)}))
        return 1 if quality and quality.mismatches else 0
    show(found, console)
    if quality:
        show_quality(quality, console)
    if options.skip_bad:
        console.print(f"bad lines left out: {skipped:,}")
    console.print(f"checkpoints, curves.svg and result.json: {wanted.folder}", soft_wrap=True)
    return 1 if quality and quality.mismatches else 0


def on_gateware(wanted: Plan, options: TrainOptions, progress: Steps) -> "GatewareQuality":
    """How well the first seed's split ranks as edge unit and engine compute it; raises as `gateware_quality`."""
    from microduet.train.gateware import gateware_quality

    spec = zoo.DlrmModelSpec(shape=wanted.shape, seed=wanted.seeds[0], split=zoo.split_of(wanted.shape, "duet"))
    own = Training(spec, wanted.data, wanted.settings, checkpoint_path(wanted.folder, spec)).run(progress)
    return gateware_quality(
        own,
        rows=wanted.test_rows,
        queries=options.gateware,
        precision=options.engine_precision,
        progress=progress,
    )


def show_quality(found: "GatewareQuality", console: Console) -> None:
    """What ranking in integers costs, and whether the gateware agrees."""
    orders = "too few rows to rank 100 of them"
    if found.top_10 is not None:
        orders = (
            f"of groups of 100 rows {found.top_10:.1%} have the same ten best in the same order, "
            f"{found.top_10_members:.1%} of the ten agree"
        )
    console.print(
        f"in the integers of edge unit and {found.precision} engine, {found.rows:,} test rows: "
        f"AUC {found.auc_integer:.5f}, in float32 "
        f"{found.auc_float:.5f}; {orders}",
        soft_wrap=True,
    )
    console.print(
        f"gateware in simulation: {found.sample} queries of {found.sample_items} candidates, {found.mismatches} differ "
        "from the golden models",
        soft_wrap=True,
    )


def show(found: Comparison, console: Console) -> None:
    """A row per kind and per difference: mean over seeds, 95 % interval over test rows."""
    title = f"{found.model} on {found.data}: {found.rows:,} rows learnt, {found.test_rows:,} test rows, seeds "
    table = Table(title=title + ", ".join(map(str, found.seeds)), title_justify="left", box=None)
    table.add_column("")
    for name in NAMES:
        table.add_column(name.replace("_", "-"), justify="right")
    for kind, figures in found.figures.items():
        table.add_row(kind, *(_figure(figures[name], name) for name in NAMES))
    for change in found.changes:
        own = (_figure(change.figures[name], name) for name in NAMES)
        table.add_row(f"{change.first} less {change.second}", *own)
    console.print(table)
    if found.best_auc is not None:
        console.print(f"best possible AUC of these rows {found.best_auc:.5f}")
    for change in found.changes:
        console.print(sentence(change, short=shortfall(found, change)), soft_wrap=True)


CONVERGED = 0.01
"""A model within so much of the best possible AUC has learnt what the log has to teach, as far as this project asks."""


def shortfall(found: Comparison, change: Change) -> float:
    """How far the first model's AUC is below the best possible: 0 if that is not known, or both have equal weights."""
    if found.best_auc is None or change.second == "int8":
        return 0.0
    return found.best_auc - found.figures[change.first]["auc"].mean


def sentence(change: Change, *, short: float = 0.0) -> str:
    """What the data allow to be said of a difference in accuracy.

    Parameters
    ----------
    short : `shortfall` of the first model
    """
    figure = change.figures["accuracy"]
    first, second = change.first, change.second
    points = f"{100 * figure.mean:.3f} points of accuracy ({100 * figure.interval.low:.3f} to "
    points += f"{100 * figure.interval.high:.3f})"
    if short > CONVERGED:
        verdict = f"{first} is {short:.3f} of AUC below the best possible, so this says how far two trainings got"
    elif figure.interval.holds(0):
        verdict = "no difference can be told from these rows"
    elif change.within_seed_spread["accuracy"]:
        verdict = f"told by these rows, but smaller than {first} differs from seed to seed"
    else:
        verdict = f"more than {first} differs from seed to seed"
    return f"{first} less {second}: {points}: {verdict}"


def _figure(figure: Figure, name: str) -> str:
    places = PLACES[name]
    return f"{figure.mean:.{places}f} ({figure.interval.low:.{places}f}..{figure.interval.high:.{places}f})"
