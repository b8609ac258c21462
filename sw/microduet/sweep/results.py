"""The result file of a sweep: a row per point, complete after every point."""

import contextlib
import fcntl
import os
import tempfile
import types
import typing
from collections.abc import Generator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from microduet.errors import InputError
from microduet.sweep.point import Figures, Outcome, Point

VERSION = "1"
"""Of the file: another one is not touched."""
KEY = b"microduet.sweep"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A point in the file.

    Members
    -------
    code : digest of the sources that gave the outcome
    attempts : evaluations so far, by all runs of this code
    """

    point: Point
    outcome: Outcome
    code: str
    attempts: int

    @property
    def done(self) -> bool:
        """Whether there are figures."""
        return self.outcome.figures is not None


def _arrow(kind: typing.Any) -> pa.DataType:
    """The column type of a field: of numbers, truth values, and text for everything else."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return _arrow(typing.get_args(kind)[0])
    plain = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    return plain.get(kind, pa.string())


def _columns(kind: type[msgspec.Struct]) -> dict[str, pa.DataType]:
    return {name: _arrow(hint) for name, hint in typing.get_type_hints(kind, include_extras=True).items()}


SCHEMA = pa.schema(
    {"key": pa.string(), "code": pa.string(), "status": pa.string(), "cause": pa.string(), "attempts": pa.int64()}
    | _columns(Point)
    | _columns(Figures),
    metadata={KEY: VERSION},
)


class Results:
    """Rows by their points' keys, in a Parquet file that is replaced as a whole after each.

    Rows of other points, of earlier sweeps into the same file, stay.
    """

    def __init__(self, path: Path, rows: dict[str, Row]) -> None:
        self.path, self.rows = path, rows

    def put(self, row: Row) -> None:
        """Keep `row` in the place of the same point's.

        Raises
        ------
        InputError
            If the file cannot be written: it is then as it was.
        """
        self.rows[row.point.key] = row
        table = pa.Table.from_pylist([_flat(key, one) for key, one in self.rows.items()], schema=SCHEMA)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        try:
            _replace(self.path, sink.getvalue())
        except OSError as error:
            kept = sum(one.done for one in self.rows.values()) - row.done
            raise InputError(
                f"{self.path}: cannot be written: {error.strerror or error}; "
                f"the {kept} finished points before are kept, run again to go on"
            ) from error


@contextlib.contextmanager
def opened(path: Path) -> Generator[Results]:
    """The results at `path`, which no other sweep can open meanwhile.

    Raises
    ------
    InputError
        If another sweep has it, it cannot be read, or it is not a result file of this version.
    """
    try:
        lock = path.with_name(f".{path.name}.lock").open("w")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{path}: another sweep has it: wait for its end or choose another output") from error
        yield Results(path, read(path))


def read(path: Path) -> dict[str, Row]:
    """The rows of a result file by key; none if there is no file."""
    if not path.exists():
        return {}
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: is not a result file of microduet sweep: it is left alone") from error
    version = (table.schema.metadata or {}).get(KEY)
    if version is None:
        raise InputError(f"{path}: is not a result file of microduet sweep: it is left alone")
    if version.decode() != VERSION or not table.schema.equals(SCHEMA):
        raise InputError(
            f"{path}: is a result file of version {version.decode()}, not of this one's {VERSION}: "
            "it is left alone, choose another output"
        )
    return {flat["key"]: _row(flat) for flat in table.to_pylist()}


def _flat(key: str, row: Row) -> dict[str, typing.Any]:
    figures = row.outcome.figures
    flat = msgspec.to_builtins(row.point) | ({} if figures is None else msgspec.to_builtins(figures))
    counters = None if figures is None else msgspec.json.encode(figures.counters).decode()
    own = {"key": key, "code": row.code, "cause": row.outcome.cause, "attempts": row.attempts, "counters": counters}
    return flat | own | {"status": "done" if row.done else "failed"}


def _row(flat: dict[str, typing.Any]) -> Row:
    def part(kind: type[msgspec.Struct]) -> typing.Any:
        return msgspec.convert({name: flat[name] for name in kind.__struct_fields__}, kind)

    figures = None
    if flat["status"] == "done":
        flat["counters"] = msgspec.json.decode(flat["counters"])
        figures = part(Figures)
    outcome = Outcome(figures=figures, cause=flat["cause"])
    return Row(point=part(Point), outcome=outcome, code=flat["code"], attempts=flat["attempts"])


def _replace(path: Path, contents: pa.Buffer) -> None:
    """Put `contents` in the place of the file, on the disk, or leave it as it was."""
    partial: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("wb", prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
            partial = Path(file.name)
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
