"""`microduet bench data`: rows per second of the loader of Criteo's text and of the generator, beside pandas."""

import contextlib
import json as json_module
import os
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from microduet.data import criteo, criteo_text
from microduet.data.generated import GeneratedLog, for_shape
from microduet.data.schema import PARTS, DataSet
from microduet.data.write import criteo_shape, write_criteo
from microduet.duet import zoo
from microduet.errors import InputError

SAMPLE = 20_000
"""Generated rows that a file of the bench repeats."""

HASHED = 100_000

TURNS = 5


def main(*, rows: int, model: str, seed: int, json: bool) -> int:
    """Measure, and print a table or one JSON object."""
    if rows < 7:
        raise InputError(f"--rows must be at least 7, not {rows}")
    found = measure(rows, model, seed)
    if json:
        print(json_module.dumps(found))
        return 0
    table = Table(box=None, title=f"{rows:,} rows of Criteo's text", title_justify="left")
    for name in ("what", "rows/s", "x pandas"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, speed in found.items():
        table.add_row(what, f"{speed:,.0f}", f"{speed / found['pandas']:.2f}" if "generated" not in what else "")
    Console(highlight=False).print(table)
    return 0


def measure(rows: int, model: str, seed: int) -> dict[str, float]:
    """Rows per second: pandas.read_csv, parsing for the first time (hash, parse, Parquet), chunks from then on, and
    the generator for the widths of `model`. Of `TURNS` runs each, taken in turns, the fastest one counts. The parser is
    compiled before."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "train.txt"
        _write(path, rows, seed)
        best: dict[str, float] = {}
        criteo_text.library()
        for turn in range(TURNS):
            with _cache(Path(scratch) / f"cache-{turn}"):
                work: dict[str, Callable[[], object]] = {
                    "pandas": lambda: pd.read_csv(path, sep="\t", header=None),
                    "first": lambda: criteo.open_log(path, rows=HASHED),
                    "chunks": lambda: _read(criteo.open_log(path, rows=HASHED)),
                }
                for name, call in work.items():
                    best[name] = max(best.get(name, 0.0), rows / _seconds(call))
    log = for_shape(zoo.shape_of(model).with_rows(10_000), rows=rows, seed=seed)
    count = min(rows, 20_000)
    best[f"generated-{model}"] = count / _seconds(lambda: list(log.chunks("train", count=count)))
    return best


@contextlib.contextmanager
def _cache(folder: Path) -> Generator[None]:
    """Keep what is parsed in `folder`, which nobody has used."""
    before = os.environ.get("MICRODUET_CACHE")
    os.environ["MICRODUET_CACHE"] = str(folder)
    try:
        yield
    finally:
        del os.environ["MICRODUET_CACHE"]
        if before is not None:
            os.environ["MICRODUET_CACHE"] = before


def _write(path: Path, rows: int, seed: int) -> None:
    part = max(1, min(rows, SAMPLE) - 2)
    write_criteo(GeneratedLog(criteo_shape(), rows=part, seed=seed, validation=1, test=1), path)
    lines = path.read_bytes().splitlines(keepends=True)
    with path.open("wb") as file:
        for first in range(0, rows, len(lines)):
            file.writelines(lines[: rows - first])


def _read(log: DataSet) -> None:
    for part in PARTS:
        for _ in log.chunks(part):
            pass


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
