"""Tables in pieces by columns, and whole again."""

import typing

import numpy as np
import numpy.typing as npt

from microduet.cards.bundle import CardsBundle
from microduet.cards.partition import Piece
from microduet.generated import COLUMN_FACTOR, MASK, SEED_FACTOR, GeneratedTable
from microduet.golden import QuantisedTable
from microduet.traced import StoredTable, Table

if typing.TYPE_CHECKING:
    from microduet.quantisation import InputQuantisation


def table_piece(table: Table, piece: Piece) -> Table:
    """The columns of `table` that `piece` says, as a table of their own."""
    first, columns = piece.column_first, piece.columns
    if isinstance(table, StoredTable):
        if columns == table.weight.shape[1]:
            return table
        return StoredTable(weight=table.weight[:, first : first + columns])
    # The hash begins with seed A + column D: a first column of its own is another seed, as A is odd.
    seed = (table.seed + first * COLUMN_FACTOR * pow(SEED_FACTOR, -1, MASK + 1)) & MASK
    return table.replace(dim=columns, seed=seed)


class JoinedRows:
    """Rows of a table whose columns lie in several pieces, looked up by an int64 array of any shape."""

    def __init__(self, pieces: list[QuantisedTable], *, input: "InputQuantisation") -> None:
        self._pieces, self._input = pieces, input

    def __getitem__(self, ids: npt.NDArray[np.int64], /) -> npt.NDArray[np.int64]:
        rows = [
            self._input.generated(piece, ids) if isinstance(piece, GeneratedTable) else piece[ids]
            for piece in self._pieces
        ]
        return np.concatenate([np.asarray(some).astype(np.int64) for some in rows], axis=-1)


def whole_tables(bundle: CardsBundle) -> list[QuantisedTable]:
    """Tables per feature of the model."""
    found: dict[int, list[tuple[int, QuantisedTable]]] = {}
    for part, pieces in zip(bundle.parts, bundle.manifest.pieces, strict=True):
        for table, piece in zip(part.tables, pieces, strict=True):
            found.setdefault(piece.feature, []).append((piece.column_first, table))
    result: list[QuantisedTable] = []
    for number in range(len(bundle.shape.features)):
        pieces = [table for _, table in sorted(found[number], key=lambda pair: pair[0])]
        result.append(pieces[0] if len(pieces) == 1 else JoinedRows(pieces, input=bundle.engine.input))
    return result
