"""What every click log offers to training: named columns, whose they are, and rows in chunks; no torch."""

import dataclasses
import typing
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet_hw.config import Frozen

Part = typing.Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = typing.get_args(Part)

Side = typing.Literal["user", "item"]
Role = typing.Literal["static", "context", "history", "item"]
DenseRole = typing.Literal["static", "context", "item"]

CHUNK_ROWS = 65_536


class Column(Frozen, frozen=True, kw_only=True):
    """One sparse feature of a click log.

    Parameters
    ----------
    rows : ids are 0 to rows - 1, after indexing or hashing
    lookups : ids per row of the log; a history that is shorter is filled with -1
    side : whether the user's device or the item knows it
    role : static attributes, context of a query and history are the user's; item is the item's
    table : columns that name the same table have ids of one kind and may share an embedding; "" for a table of its own

    Raises
    ------
    InputError
        If a number is below 1, or the role is not of the side.
    """

    name: str
    rows: int
    lookups: int = 1
    side: Side
    role: Role
    table: str = ""

    def __post_init__(self) -> None:
        if min(self.rows, self.lookups) < 1:
            raise InputError(f"column {self.name}: rows and lookups must be at least 1, not {self.rows} and "
                             f"{self.lookups}")  # fmt: skip
        if (self.role == "item") != (self.side == "item"):
            raise InputError(f"column {self.name}: a column of side {self.side} cannot have role {self.role}")


class DenseColumn(Frozen, frozen=True, kw_only=True):
    """One number per row of the log; static and context are the user's."""

    name: str
    role: DenseRole

    @property
    def side(self) -> Side:
        """Whose it is."""
        return "item" if self.role == "item" else "user"


class DataSchema(Frozen, frozen=True, kw_only=True):
    """Columns of a click log, in the order of a chunk's.

    Parameters
    ----------
    contents : tells logs of equal columns apart: a name of the files' contents, "" for a generated log

    Raises
    ------
    InputError
        If two columns have one name.
    """

    name: str
    sparse: tuple[Column, ...]
    dense: tuple[DenseColumn, ...] = ()
    contents: str = ""

    def __post_init__(self) -> None:
        names = [column.name for column in (*self.sparse, *self.dense)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{self.name}: two columns are called {twice[0]}")

    @property
    def lookups(self) -> int:
        """Columns of a chunk's sparse ids."""
        return sum(column.lookups for column in self.sparse)

    def columns(self, name: str) -> slice:
        """Columns of a chunk's sparse ids that belong to `name`; raises InputError, listing the names."""
        first = 0
        for column in self.sparse:
            if column.name == name:
                return slice(first, first + column.lookups)
            first += column.lookups
        raise InputError(f"{self.name}: no column {name!r}; there are {', '.join(c.name for c in self.sparse)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some rows of a click log, next to each other.

    Members
    -------
    labels : uint8 (rows,), 1 for a click
    sparse : int64 (rows, lookups of all columns), -1 for an empty place
    dense : float32 (rows, dense columns)
    """

    labels: npt.NDArray[np.uint8]
    sparse: npt.NDArray[np.int64]
    dense: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice) -> "Chunk":
        return Chunk(labels=self.labels[rows], sparse=self.sparse[rows], dense=self.dense[rows])


class DataSet(typing.Protocol):
    """A click log in three parts. It is never in memory as a whole, and its rows always come in one order."""

    @property
    def schema(self) -> DataSchema:
        """Its columns."""
        ...

    def rows(self, part: Part) -> int:
        """Rows of a part."""
        ...

    def chunks(
        self, part: Part, *, first: int = 0, count: int | None = None, size: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Rows first to first + count - 1 of a part (to its end if None), `size` at a time, the last chunk fewer.

        Raises
        ------
        InputError
            If the part does not have these rows.
        """
        ...


def check_range(data: str, available: int, first: int, count: int | None, size: int) -> int:
    """How many rows `chunks` is asked for; raises InputError, naming `data`, if there are not as many."""
    wanted = available - first if count is None else count
    if first < 0 or wanted < 0 or first + wanted > available:
        raise InputError(f"{data}: rows {first} to {first + wanted - 1} were asked for, but there are {available}")
    if size < 1:
        raise InputError(f"{data}: chunks must have at least 1 row, not {size}")
    return wanted
