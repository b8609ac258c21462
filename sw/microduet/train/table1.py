"""`microduet report table1`: Duet's Table 1 beside what the same models reach here, with intervals."""

import dataclasses
import hashlib
import json
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from microduet.errors import CheckpointError, TrainingError
from microduet.folders import write_file
from microduet.progress import Steps, steps
from microduet.train.command import TrainOptions, sentence, shortfall, train
from microduet.train.compare import Comparison, Figure
from microduet.unreadable import UNREADABLE
from microduet.versions import versions
from microduet_sim.cache import cache_folder

PAPER = {
    "rm1": (78.71, 78.68, 78.64),
    "rm2": (78.67, 78.66, 78.62),
    "rm3": (78.75, 78.71, 78.69),
    "rm5": (68.74, 68.97, 68.97),
}
"""Accuracy of base, split and split + int8 in % (Duet, Table 1); RM1 to RM3 on Criteo, RM5 on Taobao."""

KINDS = ("base", "split", "int8")

LEARNT = {"rm1": 300_000, "rm2": 150_000, "rm3": 200_000, "rm5": 500_000}
"""Rows of the generated log that bring each base close to the best possible AUC, in minutes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table1Options:
    """Arguments of `microduet report table1`."""

    models: tuple[str, ...] = tuple(PAPER)
    data: str = "generated"
    rows: int | None = None
    seeds: int = 3
    test_rows: int = 1_000_000
    json: bool = False


def results(options: Table1Options, progress: Steps) -> dict[str, Comparison]:
    """One comparison per model, from an earlier run with these arguments if there was one.

    Raises
    ------
    TrainingError
        If a model is not in the paper's table.
    CheckpointError
        If a kept result cannot be read.
    """
    unknown = [model for model in options.models if model not in PAPER]
    if unknown or not options.models:
        raise TrainingError(f"--model must be {', '.join(PAPER)}, not {', '.join(unknown) or 'none'}")
    found: dict[str, Comparison] = {}
    for model in options.models:
        path = _path(model, options)
        if path.exists():
            found[model] = _read(path)
            continue
        own = TrainOptions(
            data=options.data, seeds=options.seeds, rows=_rows(model, options), test_rows=options.test_rows
        )
        found[model], _ = train(model, own, progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, msgspec.json.encode(found[model]).decode())
    return found


def _rows(model: str, options: Table1Options) -> int | None:
    return LEARNT[model] if options.rows is None and options.data == "generated" else options.rows


def _path(model: str, options: Table1Options) -> Path:
    """Where a result is kept: named by everything it depends on, this software's sources included."""
    digest = hashlib.sha256(
        repr((model, options.data, _rows(model, options), options.seeds, options.test_rows)).encode()
    )
    here = Path(__file__).parent
    for file in sorted(
        path for name in ("train", "data", "models", "duet") for path in here.parent.glob(f"{name}/*.py")
    ):
        digest.update(file.read_bytes())
    digest.update(json.dumps(versions()).encode())
    return cache_folder() / "table1" / f"{model}-{digest.hexdigest()[:12]}.json"


def _read(path: Path) -> Comparison:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Comparison)
    except (OSError, *UNREADABLE) as error:
        raise CheckpointError(f"{path}: {error}; remove it to measure again") from error


def main(options: Table1Options) -> int:
    """Run what was not run yet, and print the table or one JSON object."""
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        found = results(options, progress)
    if options.json:
        paper = {model: dict(zip(KINDS, PAPER[model], strict=True)) for model in found}
        listed = {model: msgspec.to_builtins(own) for model, own in found.items()}
        print(json.dumps({"paper": paper, "ours": listed, "versions": versions()}))
        return 0
    show(found, console)
    return 0


def show(found: dict[str, Comparison], console: Console) -> None:
    """A row per model: the paper's three accuracies and ours, then the differences and what may be said of them."""
    table = Table(box=None, title="accuracy, %, 95 % interval over test rows", title_justify="left")
    for name in ("model", "paper: base", "split", "int8", "ours: base", "split", "int8", "seeds differ by"):
        table.add_column(name, justify="right" if name != "model" else "left")
    changes = Table(box=None, title="accuracy lost, points", title_justify="left")
    for name in ("model", "by", "paper", "ours"):
        changes.add_column(name, justify="right" if name in ("paper", "ours") else "left")
    for model, own in found.items():
        paper = PAPER[model]
        figures = [own.figures[kind]["accuracy"] for kind in KINDS]
        spread = 100 * (max(figures[0].seeds) - min(figures[0].seeds))
        table.add_row(model, *(f"{value:.2f}" for value in paper), *map(_percent, figures), f"{spread:.3f}")
        for change in own.changes:
            printed = paper[KINDS.index(change.first)] - paper[KINDS.index(change.second)]
            name = f"{change.first} to {change.second}"
            changes.add_row(model, name, f"{printed:.2f}", _percent(change.figures["accuracy"], places=3))
    console.print(table)
    console.print(changes)
    for model, own in found.items():
        for change in own.changes:
            console.print(f"{model}: {sentence(change, short=shortfall(own, change))}", soft_wrap=True)
    console.print(meaning(found), soft_wrap=True)


def meaning(found: dict[str, Comparison]) -> str:
    """What differences as small as the paper's are, against the noise that was measured."""
    spreads = [100 * (max(f.seeds) - min(f.seeds)) for own in found.values() for f in [own.figures["base"]["accuracy"]]]
    widths = [
        100 * (interval.high - interval.low) / 2
        for own in found.values()
        for change in own.changes
        for interval in [change.figures["accuracy"].interval]
    ]
    printed = [abs(PAPER[model][0] - value) for model in found for value in PAPER[model][1:]]
    return (
        f"The paper's differences from its base are {min(printed):.2f} to {max(printed):.2f} points, of one training "
        f"each. Here one base differs from another seed's by up to {max(spreads):.3f} points, and a difference is "
        f"known to {min(widths):.3f} to {max(widths):.3f} points from these test rows."
    )


def _percent(figure: Figure, *, places: int = 2) -> str:
    low, high = figure.interval.low, figure.interval.high
    return f"{100 * figure.mean:.{places}f} ({100 * low:.{places}f}..{100 * high:.{places}f})"
