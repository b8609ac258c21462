"""The model that is trained: the layers of a description, the features of a click log, tables of a stated size."""

import numpy as np
import numpy.typing as npt

from microduet.data.schema import Chunk, DataSchema
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide
from microduet.errors import TrainingError

TABLE_ROWS = 100_000


def model_shape(model: DlrmShape, schema: DataSchema, *, table_rows: int = TABLE_ROWS) -> DlrmShape:
    """`model` with the inputs of `schema`: its own description if the log has its columns, its widths if not.

    A log of other columns has one feature per column; columns that name the same table share one. Tables are as wide
    as the model's first; a table has as many rows as there are ids, but at most `table_rows`.

    Raises
    ------
    TrainingError
        If a dense column is the item's, which no model of this form takes, or `table_rows` is below 1.
    """
    if table_rows < 1:
        raise TrainingError(f"--table-rows must be at least 1, not {table_rows}")
    items = [column.name for column in schema.dense if column.side == "item"]
    if items:
        raise TrainingError(f"{schema.name}: dense column {items[0]} is the item's, but dense inputs are the user's")
    if _is_own(model, schema):
        tables = tuple(table.replace(rows=min(table.rows, table_rows)) for table in model.tables)
        return model.replace(tables=tables)
    dim = model.tables[0].dim
    names = [column.table or f"\0{column.name}" for column in schema.sparse]
    order = list(dict.fromkeys(names))
    rows = [max(c.rows for c, name in zip(schema.sparse, names, strict=True) if name == table) for table in order]
    columns = range(len(schema.dense))
    return DlrmShape(
        name=f"{model.name}-{schema.name}",
        tables=tuple(TableShape(rows=min(count, table_rows), dim=dim) for count in rows),
        features=tuple(
            Lookups(table=order.index(name), lookups=column.lookups)
            for column, name in zip(schema.sparse, names, strict=True)
        ),
        bottom=(len(columns), *(model.bottom[1:] or (2 * dim, dim))) if columns else (),
        top=model.top,
        user=UserSide(
            features=tuple(k for k, column in enumerate(schema.sparse) if column.side == "user"),
            static=tuple(k for k in columns if schema.dense[k].role == "static"),
            context=tuple(k for k in columns if schema.dense[k].role == "context"),
        ),
    )


def _is_own(model: DlrmShape, schema: DataSchema) -> bool:
    lookups = [feature.lookups for feature in model.features] == [column.lookups for column in schema.sparse]
    users = model.user.features == tuple(k for k, column in enumerate(schema.sparse) if column.side == "user")
    static = model.user.static == tuple(k for k, column in enumerate(schema.dense) if column.role == "static")
    return lookups and users and static and model.dense == len(schema.dense)


class Hashing:
    """Ids of a log to rows of tables: modulo, as DLRM's own script does, where there are more ids than rows.

    Parameters
    ----------
    shape, schema : of the model and of the log
    """

    def __init__(self, shape: DlrmShape, schema: DataSchema) -> None:
        self._name, self._schema = schema.name, schema
        lookups = [column.lookups for column in schema.sparse]
        if lookups != [feature.lookups for feature in shape.features] or len(schema.dense) != shape.dense:
            raise TrainingError(f"{schema.name}: has other columns than {shape.name}")
        self._ids = np.repeat([column.rows for column in schema.sparse], lookups)
        rows = np.repeat([shape.tables[feature.table].rows for feature in shape.features], lookups)
        self._rows = rows if (self._ids > rows).any() else None

    def __call__(self, chunk: Chunk) -> npt.NDArray[np.int64]:
        """Rows of the tables, int64 (rows of the log, lookups), -1 for an empty place.

        Raises
        ------
        TrainingError
            If an id is beyond its column, a dense number is not finite, or a label is not 0 or 1.
        """
        sparse = chunk.sparse
        if sparse.ndim != 2 or sparse.shape[1] != len(self._ids):
            raise TrainingError(f"{self._name}: ids must be (rows, {len(self._ids)}), not {sparse.shape}")
        wrong = (sparse.min(0, initial=0) < -1) | (sparse.max(0, initial=-1) >= self._ids)
        if wrong.any():
            place = int(np.argmax(wrong))
            ends = np.cumsum([column.lookups for column in self._schema.sparse])
            column = self._schema.sparse[int(np.searchsorted(ends, place, side="right"))]
            row = int(np.argmax((sparse[:, place] < -1) | (sparse[:, place] >= column.rows)))
            raise TrainingError(
                f"{self._name}: column {column.name} must be -1 to {column.rows - 1}, not {sparse[row, place]}"
            )
        if not np.isfinite(chunk.dense).all():
            raise TrainingError(f"{self._name}: dense columns must be finite")
        if chunk.labels.max(initial=0) > 1:
            raise TrainingError(f"{self._name}: labels must be 0 or 1, not {chunk.labels.max()}")
        return sparse if self._rows is None else np.where(sparse < 0, -1, sparse % self._rows)
