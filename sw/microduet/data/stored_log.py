"""A click log whose rows are in a store."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from microduet.data.schema import CHUNK_ROWS, Chunk, DataSchema, Part, check_range
from microduet.data.store import Columns, Store
from microduet.errors import DataError


class StoredLog:
    """The parts are ranges of streams of the store; chunks are encoded as they are read.

    Parameters
    ----------
    store : what the loader parsed
    parts : stream, first row and number of rows of each part
    encode : a chunk from columns of the store

    Raises
    ------
    DataError
        If there is no row for training.
    """

    def __init__(
        self,
        schema: DataSchema,
        store: Store,
        parts: Mapping[Part, tuple[str, int, int]],
        encode: Callable[[Columns], Chunk],
    ) -> None:
        if not parts["train"][2]:
            raise DataError(f"{schema.name}: too few rows: none is left for training")
        self._schema = schema.replace(contents=store.folder.name)
        self._store, self._parts, self._encode = store, parts, encode

    @property
    def schema(self) -> DataSchema:
        """Its columns; `contents` is the store's name."""
        return self._schema

    @property
    def skipped(self) -> int:
        """Bad lines that were left out."""
        return self._store.bad

    def rows(self, part: Part) -> int:
        """Rows of a part."""
        return self._parts[part][2]

    def chunks(
        self, part: Part, *, first: int = 0, count: int | None = None, size: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """As DataSet.chunks; takes the memory of a chunk and of a piece of the store."""
        stream, start, rows = self._parts[part]
        wanted = check_range(f"{self._schema.name} {part}", rows, first, count, size)
        waiting: list[Columns] = []
        length = 0
        for columns in self._store.read(stream, first=start + first, count=wanted):
            place, rows = 0, len(next(iter(columns.values())))
            while place < rows:
                taken = min(rows - place, size - length)
                waiting.append({name: values[place : place + taken] for name, values in columns.items()})
                place, length = place + taken, length + taken
                if length == size:
                    yield self._encode(_joined(waiting))
                    waiting, length = [], 0
        if length:
            yield self._encode(_joined(waiting))


def _joined(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
