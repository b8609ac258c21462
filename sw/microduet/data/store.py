"""Rows of a data set that were parsed once, kept as Parquet under the name of what they were parsed from."""

import contextlib
import dataclasses
import fcntl
import itertools
import shutil
import typing
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent import futures
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from microduet.errors import DataError
from microduet.folders import write_file
from microduet.unreadable import UNREADABLE
from microduet_hw.config import Frozen
from microduet_sim.cache import cache_folder

Array = npt.NDArray[typing.Any]
Columns = Mapping[str, Array]
"""Columns of equal length, (rows,) or (rows, width)."""

_WHOLE = "whole.json"
_KIND = "dtype"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows of one piece of the source.

    Members
    -------
    streams : columns of each stream of rows that the piece adds to
    bad : lines that were skipped
    """

    streams: Mapping[str, Columns]
    bad: int = 0


class PieceRecord(Frozen, frozen=True, kw_only=True):
    """What is known of a piece that is kept."""

    rows: dict[str, int]
    bad: int


Make = Callable[[int], Piece | None]
"""``make(number)``: a piece; None behind the last."""

_WORKERS = 2
"""Pieces that are made at a time, if their number is known: parsing leaves Python's lock alone most of the time."""


class Store:
    """Streams of rows in Parquet files, one per piece.

    Parameters
    ----------
    folder : of a whole store
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.pieces = msgspec.json.decode((folder / _WHOLE).read_bytes(), type=list[PieceRecord])
        except (OSError, *UNREADABLE) as error:
            raise DataError(f"{folder / _WHOLE}: cannot be read; remove the folder to parse the data again") from error

    @property
    def bad(self) -> int:
        """Lines that were skipped."""
        return sum(piece.bad for piece in self.pieces)

    def rows(self, stream: str) -> int:
        """Rows of a stream."""
        return sum(piece.rows.get(stream, 0) for piece in self.pieces)

    def read(self, stream: str, *, first: int, count: int, names: list[str] | None = None) -> Iterator[Columns]:
        """Rows first to first + count - 1, piece by piece; raises DataError if a file of the store is damaged."""
        before = 0
        for number, piece in enumerate(self.pieces):
            rows = piece.rows.get(stream, 0)
            low, high = max(first - before, 0), min(first + count - before, rows)
            before += rows
            if low < high:
                columns = _read(self.folder / _piece_name(stream, number), names)
                if {len(values) for values in columns.values()} != {rows}:
                    raise DataError(f"{self.folder}: piece {number} has lost rows; remove the folder")
                yield {name: values[low:high] for name, values in columns.items()}

    def derived(self, names: list[str], make: Callable[[], list[Array]]) -> list[Array]:
        """Arrays that follow from the rows, kept beside them; made when they are first asked for."""
        paths = [self.folder / f"{name}.parquet" for name in names]
        if not all(path.exists() for path in paths):
            for path, values in zip(paths, make(), strict=True):
                _write(path, {"values": values})
        return [_read(path, None)["values"] for path in paths]


def stored(
    kind: str, key: str, make: Make, *, pieces: int = 0, progress: Callable[[str, int, int], None] | None = None
) -> Store:
    """The store of `kind` under `key`; what is missing of it is made, piece by piece, and each is kept at once.

    A store appears under its name when it is whole. One that was interrupted continues behind its last piece; a second
    process that wants the same one waits.

    Parameters
    ----------
    kind, key : name of the store
    make : as Make
    pieces : how many there will be, 0 if nobody knows: they are then made one after the other
    progress : called as progress(what, done, of) after every piece

    Raises
    ------
    DataError
        What `make` raises, or if the cache cannot be written.
    """
    folder = cache_folder() / "data" / f"{kind}-{key}"
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f".{folder.name}.lock")):
            if not (folder / _WHOLE).exists():
                partial.mkdir(exist_ok=True)
                records = _fill(
                    partial,
                    make,
                    pieces,
                    lambda done: progress and progress(f"reading {kind}", done, max(pieces, done)),
                )
                write_file(partial / _WHOLE, msgspec.json.encode(records).decode())
                shutil.rmtree(folder, ignore_errors=True)
                partial.replace(folder)
            else:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return Store(folder)


def _fill(folder: Path, make: Make, pieces: int, done: Callable[[int], object]) -> list[PieceRecord]:
    def kept(number: int) -> PieceRecord | None:
        record = folder / f"{number:06}.json"
        try:
            return msgspec.json.decode(record.read_bytes(), type=PieceRecord)
        except (OSError, *UNREADABLE):
            return _keep(folder, number, make(number))

    records: list[PieceRecord] = []
    with futures.ThreadPoolExecutor(_WORKERS) as workers:
        try:
            for record in workers.map(kept, range(pieces)) if pieces else map(kept, itertools.count()):
                if record is None:
                    break
                records.append(record)
                done(len(records))
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise
    return records


def _keep(folder: Path, number: int, piece: Piece | None) -> PieceRecord | None:
    """Write the rows of a piece, and when they are there, its record."""
    if piece is None:
        return None
    for stream, columns in piece.streams.items():
        _write(folder / _piece_name(stream, number), columns)
    rows = {stream: len(next(iter(columns.values()))) for stream, columns in piece.streams.items()}
    record = PieceRecord(rows=rows, bad=piece.bad)
    write_file(folder / f"{number:06}.json", msgspec.json.encode(record).decode())
    return record


def _piece_name(stream: str, number: int) -> str:
    return f"{stream}-{number:06}.parquet"


def _write(path: Path, columns: Columns) -> None:
    """A Parquet file that appears all at once.

    A row of a matrix is one value of fixed length, whose type the field names: lists would be taken apart and counted.
    """
    fields: list[pa.Field] = []
    arrays: list[pa.Array] = []
    for name, values in columns.items():
        array, kind = pa.array(values) if values.ndim == 1 else None, {}
        if array is None:
            rows = np.ascontiguousarray(values)
            kind = {_KIND: rows.dtype.str}
            length = pa.binary(rows.shape[1] * rows.itemsize)
            array = pa.FixedSizeBinaryArray.from_buffers(length, len(rows), [None, pa.py_buffer(rows)])
        arrays.append(array)
        fields.append(pa.field(name, array.type, nullable=False, metadata=kind))
    scratch = path.with_name(f".{path.name}.scratch")
    table = pa.table(arrays, schema=pa.schema(fields))
    pq.write_table(table, scratch, compression="none", use_dictionary=False, write_statistics=False)
    scratch.replace(path)


def _read(path: Path, names: list[str] | None) -> dict[str, Array]:
    try:
        table = pq.read_table(path, columns=names, memory_map=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is damaged ({str(error).splitlines()[0]}); remove its folder") from error
    return {field.name: _numpy(table.column(field.name).combine_chunks(), field.metadata) for field in table.schema}


def _numpy(column: pa.Array, kind: Mapping[bytes, bytes] | None) -> Array:
    if kind is None or _KIND.encode() not in kind:
        return column.to_numpy(zero_copy_only=False)
    dtype = np.dtype(kind[_KIND.encode()].decode())
    width = column.type.byte_width // dtype.itemsize
    if not len(column):
        return np.zeros((0, width), dtype)
    whole = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    values = np.frombuffer(whole.buffers()[1], dtype).reshape(-1, width)
    return values[whole.offset : whole.offset + len(whole)]


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
