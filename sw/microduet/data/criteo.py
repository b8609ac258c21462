"""Criteo's Kaggle display advertising log: a label, 13 numbers and 26 categories per line, tabs between them."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from microduet.data.criteo_text import CATEGORIES, FIELDS, NUMBERS, parse
from microduet.data.files import (
    BLOCK_BYTES,
    BadLines,
    block_count,
    content_key,
    lines_before,
    need_rows,
    room_block,
    split_lines,
)
from microduet.data.ids import numberings
from microduet.data.schema import Chunk, Column, DataSchema, DenseColumn, Part
from microduet.data.store import Array, Columns, Piece, stored
from microduet.data.stored_log import StoredLog
from microduet.progress import Steps

DAYS = 7
"""The file is taken for so many days of equal numbers of lines, in order of time (DLRM, dlrm_data_pytorch.py)."""

USER_CATEGORIES = math.floor(len(CATEGORIES) * 3 / 4)
STATIC_NUMBERS = math.floor(len(NUMBERS) * 7 / 8)
"""Criteo does not say what its columns mean. All numbers are taken for the user's, and 3/4 of the categories; 7/8
of the numbers are static, the rest context: Duet's shares (section 6)."""

_VERSION = 3
_NUMBER = re.compile(rb"-?[0-9]{1,10}|")
_CATEGORY = re.compile(rb"[0-9a-fA-F]{8}|")
_LIMIT = 1 << 31


def open_log(
    path: Path | str,
    *,
    rows: int | None = None,
    skip_bad: bool = False,
    progress: Steps | None = None,
    block: int = BLOCK_BYTES,
) -> StoredLog:
    """The log in the file `path`: days 1 to 6 train, the first half of day 7 is the test part, the second validation.

    Numbers become ln(max(x, 0) + 1), and empty ones 0. An empty category is category 0. Rows keep the file's order;
    DLRM itself shuffles the training part.

    Parameters
    ----------
    rows : of every table, ids are then categories modulo `rows`; None numbers them in order of first appearance
    skip_bad : leave out lines that are not of the format, and count them; otherwise the first one is an error
    progress : called while the file is parsed for the first time
    block : bytes of text that are parsed at a time

    Raises
    ------
    DataError
        If the file is missing or empty, or a line is bad.
    """
    path = Path(path)
    need_rows(rows)
    bad = BadLines(path, skip_bad)
    key = content_key([path], "criteo", _VERSION, skip_bad, block)

    def make(number: int) -> Piece:
        return _piece(bad, room_block(path, number, block), lambda: 1 + lines_before(path, number, block))

    store = stored("criteo", key, make, pieces=block_count(path, block), progress=progress)
    ids = numberings(store, ["rows"], [f"categories/{k}" for k in range(len(CATEGORIES))], rows)

    def encode(columns: Columns) -> Chunk:
        found: Array = columns["categories"]
        if rows is not None:
            sparse = ids[0].ids(found)
        else:
            sparse = np.stack([own.ids(found[:, k]) for k, own in enumerate(ids)], 1)
        numbers = np.maximum(columns["numbers"], 0).astype(np.float32)
        return Chunk(labels=columns["label"].astype(np.uint8), sparse=sparse, dense=np.log1p(numbers))

    parts: dict[Part, tuple[str, int, int]] = {
        part: ("rows", first, length) for part, (first, length) in seven_days(store.rows("rows")).items()
    }
    return StoredLog(_schema([max(len(own), 1) for own in ids]), store, parts, encode)


def seven_days(rows: int) -> dict[Part, tuple[int, int]]:
    """First row and number of rows of every part.

    As DLRM cuts them: the first days get a line more if they cannot be equal; so does the test part of the last.
    """
    last = rows // DAYS
    first = rows - last
    test = -(-last // 2)
    return {"train": (0, first), "test": (first, test), "validation": (first + test, last - test)}


def _schema(rows: list[int]) -> DataSchema:
    sparse = tuple(
        Column(name=name, rows=count, side="user", role="static")
        if number < USER_CATEGORIES
        else Column(name=name, rows=count, side="item", role="item")
        for number, (name, count) in enumerate(zip(CATEGORIES, rows, strict=True))
    )
    dense = tuple(
        DenseColumn(name=name, role="static" if number < STATIC_NUMBERS else "context")
        for number, name in enumerate(NUMBERS)
    )
    return DataSchema(name="criteo", sparse=sparse, dense=dense)


def _piece(bad: BadLines, text: Array, first: Callable[[], int]) -> Piece:
    """Parse a block at once; look at its lines one by one only if that fails."""
    columns = parse(text)
    if columns is not None:
        return Piece(streams={"rows": columns})
    every = split_lines(text.tobytes())
    good = bad.keep_good(every, first, fault)
    columns = parse(b"".join(line + b"\n" for line in good))
    assert columns is not None, "both see the same faults"
    return Piece(streams={"rows": columns}, bad=len(every) - len(good))


def fault(line: bytes) -> str | None:
    """What is wrong with a line, or None."""
    fields = line.split(b"\t")
    if len(fields) != FIELDS:
        return f"{len(fields)} fields between tabs, not {FIELDS}"
    label, numbers, categories = fields[0], fields[1 : 1 + len(NUMBERS)], fields[1 + len(NUMBERS) :]
    if label not in (b"0", b"1"):
        return f"the label must be 0 or 1, not {label.decode(errors='replace')!r}"
    for name, field in zip(NUMBERS, numbers, strict=True):
        if not _NUMBER.fullmatch(field) or (field and not -_LIMIT <= int(field) < _LIMIT):
            return f"{name} must be empty or a whole number of 32 bits, not {field.decode(errors='replace')!r}"
    for name, field in zip(CATEGORIES, categories, strict=True):
        if not _CATEGORY.fullmatch(field):
            return f"{name} must be empty or 8 hexadecimal digits, not {field.decode(errors='replace')!r}"
    return None
