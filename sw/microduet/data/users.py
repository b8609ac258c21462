"""What users did before a moment, and rows whose ids are kept ready for a table."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microduet.data.schema import PARTS, Chunk, Column, DataSchema, DenseColumn, Part
from microduet.data.store import Array, Columns, Store
from microduet.data.stored_log import StoredLog

Ints = npt.NDArray[np.int64]

HISTORY = 50
"""Past events per row, if nothing else is asked for."""


@dataclasses.dataclass(frozen=True)
class Events:
    """Who did something, and when: int64 (events,) each, in any order."""

    users: Ints
    times: Ints


def past(events: Events, rows: Events, length: int) -> Ints:
    """Places in `events` of the last `length` things that each row's user did strictly before the row's time.

    Newest first, of equal times the later in `events` first; -1 where there are no more. int64 (rows, length).
    """
    if not len(events.users):
        return np.full((len(rows.users), length), -1)
    users = np.unique(np.concatenate([events.users, rows.users]))
    low = min(events.times.min(), rows.times.min(initial=events.times.min()))
    span = max(events.times.max(), rows.times.max(initial=low)) - low + 2
    keys = np.searchsorted(users, events.users) * span + (events.times - low)
    order = np.argsort(keys, kind="stable")
    begins = np.searchsorted(users, rows.users) * span
    ends = np.searchsorted(keys[order], begins + (rows.times - low), side="left")
    starts = np.searchsorted(keys[order], begins, side="left")
    places = ends[:, None] - 1 - np.arange(length)
    return np.where(places >= starts[:, None], order[np.maximum(places, 0)], -1)


def pick(values: Array, places: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """`values` at `places`, and -1 where a place is -1: int32."""
    if not len(values):
        return np.full(places.shape, -1, np.int32)
    return np.where(places < 0, -1, values[np.maximum(places, 0)]).astype(np.int32)


def ready(labels: Array, sparse: Sequence[Array], dense: Sequence[Array] = ()) -> Columns:
    """Rows as `ready_log` reads them: columns (rows,) or (rows, lookups) side by side, in the order of its columns."""
    wide = [(part if part.ndim > 1 else part[:, None]).astype(np.int32) for part in sparse]
    columns: dict[str, Array] = {"label": labels.astype(np.uint8), "sparse": np.concatenate(wide, 1)}
    if dense:
        columns["dense"] = np.stack(dense, 1).astype(np.float32)
    return columns


def sizes(*counts: int) -> Columns:
    """A row of the stream "sizes": ids of each column are below these; the greatest of all pieces holds."""
    return {"sizes": np.array([counts], np.int64)}


def ready_log(
    name: str, store: Store, columns: Sequence[Column], dense: Sequence[DenseColumn], *, rows: int | None
) -> StoredLog:
    """A log of rows made by `ready`, in streams called as its parts.

    Parameters
    ----------
    columns : without their rows, which are those of the stream "sizes", or `rows` if that is given
    rows : of every table; ids are then taken modulo `rows`
    """
    found = np.concatenate([c["sizes"] for c in store.read("sizes", first=0, count=store.rows("sizes"))]).max(0)
    tables = {column.table or column.name: 1 for column in columns}
    for column, count in zip(columns, found.tolist(), strict=True):
        tables[column.table or column.name] = max(tables[column.table or column.name], count)
    sized = tuple(column.replace(rows=rows or tables[column.table or column.name]) for column in columns)

    def encode(read: Columns) -> Chunk:
        sparse = read["sparse"].astype(np.int64)
        if rows is not None:
            sparse = np.where(sparse < 0, -1, sparse % rows)
        empty = np.zeros((len(sparse), 0), np.float32)
        return Chunk(labels=read["label"], sparse=sparse, dense=read["dense"] if dense else empty)

    parts: dict[Part, tuple[str, int, int]] = {part: (part, 0, store.rows(part)) for part in PARTS}
    return StoredLog(DataSchema(name=name, sparse=sized, dense=tuple(dense)), store, parts, encode)
