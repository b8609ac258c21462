"""Which ids items ask for."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.array_files import map_array
from microduet.errors import InputError
from microduet.inputs import Shape, check_batch, column_rows

ZIPF_EXPONENT = 1.05
"""Popularity of rank r falls as r^-1.05, about what click logs show."""


def make_ids(shape: Shape, *, items: int, traffic: str, seed: int) -> npt.NDArray[np.int64]:
    """Ids of a batch: int64 (items, lookups).

    Parameters
    ----------
    traffic : "uniform", "zipf" (or "zipf:1.2" for another exponent), or a file of ids: .npy, or text with an item
        per line

    Raises
    ------
    InputError
        If there is no such file, or it does not fit the model: names the line.
    """
    if items < 1:
        raise InputError(f"items must be at least 1, not {items}")
    rng = np.random.default_rng(seed)
    rows = column_rows(shape)
    if traffic == "uniform":
        return (rng.random((items, len(rows))) * rows).astype(np.int64)
    if traffic.partition(":")[0] == "zipf":
        exponent = _exponent(traffic)
        return np.stack([zipf(rng, rows=int(count), size=items, exponent=exponent) for count in rows], axis=1)
    return _from_file(shape, Path(traffic), items)


def _exponent(traffic: str) -> float:
    text = traffic.partition(":")[2]
    try:
        exponent = float(text) if text else ZIPF_EXPONENT
    except ValueError:
        exponent = -1.0
    if not 0 < exponent <= 10:
        raise InputError(f"traffic zipf takes an exponent above 0 and up to 10, like zipf:1.2, not {text!r}")
    return exponent


def zipf(rng: np.random.Generator, *, rows: int, size: int, exponent: float = ZIPF_EXPONENT) -> npt.NDArray[np.int64]:
    """Ids 0 .. rows - 1 whose ranks are Zipf-distributed; the ranks are scattered over the table.

    The continuous law with the same exponent, by inversion: exact enough for traffic and as fast for 10^8 rows.
    """
    power = 1 - exponent
    if abs(power) < 1e-9:
        ranks = np.exp(np.log(rows + 1.0) * rng.random(size)).astype(np.int64) - 1
    else:
        span = (rows + 1.0) ** power - 1.0
        ranks = ((1.0 + span * rng.random(size)) ** (1 / power)).astype(np.int64) - 1
    step = _coprime(rows)
    return (np.minimum(ranks, rows - 1) * step) % rows


def _coprime(rows: int) -> int:
    """A step that visits every row: neighbouring ranks are then not neighbouring rows."""
    step = max(1, int(rows * 0.6180339887))
    while np.gcd(step, rows) != 1:
        step += 1
    return step


def _from_file(shape: Shape, path: Path, items: int) -> npt.NDArray[np.int64]:
    if not path.is_file():
        raise InputError(f"traffic must be uniform, zipf, zipf:EXPONENT or a file of ids, and there is no file {path}")
    try:
        if not path.stat().st_size:
            raise ValueError("it is empty")
        ids = map_array(path) if path.suffix == ".npy" else np.loadtxt(path, np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is not a table of ids: {error}") from error
    try:
        ids, _ = check_batch(shape, ids, np.zeros((len(ids), shape.dense), np.float32) if shape.dense else None)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return np.resize(ids, (items, ids.shape[1]))
