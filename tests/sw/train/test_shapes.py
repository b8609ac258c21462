"""Which model is trained on which log, and ids that do not fit."""

import numpy as np
import pytest

from microduet.data.schema import Column, DataSchema, DenseColumn
from microduet.duet import zoo
from microduet.errors import TrainingError
from microduet.train.shapes import Hashing, model_shape
from tests.sw.duet.test_shape import SMALL
from tests.sw.train.logs import schema_of, small_log

OTHER = DataSchema(
    name="films",
    sparse=(
        Column(name="user", rows=1000, side="user", role="static"),
        Column(name="seen", rows=5000, lookups=20, side="user", role="history", table="film"),
        Column(name="film", rows=5000, side="item", role="item", table="film"),
    ),
    dense=(DenseColumn(name="age", role="static"), DenseColumn(name="hour", role="context")),
)


def test_a_log_of_the_models_own_columns_keeps_its_description() -> None:
    assert model_shape(SMALL, schema_of()) == SMALL
    assert [table.rows for table in model_shape(SMALL, schema_of(), table_rows=55).tables] == [50, 55]


def test_another_log_gets_the_models_widths() -> None:
    shape = model_shape(zoo.shape_of("rm1"), OTHER, table_rows=2000)
    assert [(table.rows, table.dim) for table in shape.tables] == [(1000, 32), (2000, 32)]
    assert [(feature.table, feature.lookups) for feature in shape.features] == [(0, 1), (1, 20), (1, 1)]
    assert (shape.bottom, shape.top) == ((2, 64, 32), (256, 64, 1))
    assert (shape.user.features, shape.user.static, shape.user.context) == ((0, 1), (0,), (1,))


def test_a_model_without_dense_inputs_gets_a_bottom_mlp_where_there_are_some() -> None:
    assert model_shape(zoo.shape_of("rm5"), OTHER).bottom == (2, 36, 18)


def test_more_ids_than_rows_are_taken_modulo() -> None:
    log = small_log(train=100)
    shape = SMALL.with_rows(7)
    chunk = log.whole("train")
    assert np.array_equal(Hashing(SMALL, log.schema)(chunk), chunk.sparse)
    found = Hashing(shape, log.schema)(chunk)
    assert np.array_equal(found, np.where(chunk.sparse < 0, -1, chunk.sparse % 7))
    assert (found == -1).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda chunk: chunk.sparse.__setitem__((3, 5), 60), "log: column s1 must be -1 to 59, not 60"),
        (lambda chunk: chunk.sparse.__setitem__((3, 0), -2), "log: column s0 must be -1 to 49, not -2"),
        (lambda chunk: chunk.dense.__setitem__((0, 1), np.nan), "log: dense columns must be finite"),
        (lambda chunk: chunk.labels.__setitem__(9, 2), "log: labels must be 0 or 1, not 2"),
    ],
)
def test_refuses_rows_that_do_not_fit(change: object, message: str) -> None:
    log = small_log(train=10)
    chunk = log.whole("train")
    change(chunk)  # type: ignore[operator]
    with pytest.raises(TrainingError, match=message):
        Hashing(SMALL, log.schema)(chunk)


def test_refuses_a_log_of_other_columns() -> None:
    with pytest.raises(TrainingError, match="films: has other columns than small"):
        Hashing(SMALL, OTHER)


def test_refuses_dense_columns_of_the_item() -> None:
    schema = OTHER.replace(dense=(DenseColumn(name="price", role="item"),))
    with pytest.raises(TrainingError, match="films: dense column price is the item's"):
        model_shape(SMALL, schema)


def test_refuses_tables_without_rows() -> None:
    with pytest.raises(TrainingError, match="--table-rows must be at least 1, not 0"):
        model_shape(SMALL, OTHER, table_rows=0)
