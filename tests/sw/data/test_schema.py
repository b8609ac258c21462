"""Columns of a click log and their rules."""

import numpy as np
import pytest

from microduet.data.schema import Chunk, Column, DataSchema, DenseColumn, check_range
from microduet.errors import InputError

USER = Column(name="user", rows=10, side="user", role="static")
CLICKED = Column(name="clicked", rows=20, lookups=3, side="user", role="history", table="item")
ITEM = Column(name="item", rows=20, side="item", role="item", table="item")
LOG = DataSchema(name="log", sparse=(USER, CLICKED, ITEM), dense=(DenseColumn(name="age", role="static"),))


def test_a_columns_places_follow_those_before_it() -> None:
    assert LOG.lookups == 5
    assert [LOG.columns(name) for name in ("user", "clicked", "item")] == [slice(0, 1), slice(1, 4), slice(4, 5)]


def test_static_and_context_numbers_are_the_users() -> None:
    assert [DenseColumn(name="n", role=role).side for role in ("static", "context", "item")] == ["user", "user", "item"]


def test_a_slice_of_a_chunk_is_a_chunk() -> None:
    chunk = Chunk(
        labels=np.arange(4, dtype=np.uint8), sparse=np.arange(8).reshape(4, 2), dense=np.zeros((4, 1), np.float32)
    )
    part = chunk[1:3]
    assert len(chunk) == 4
    assert part.labels.tolist() == [1, 2]
    assert part.sparse.tolist() == [[2, 3], [4, 5]]
    assert part.dense.shape == (2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "column user: rows and lookups must be at least 1, not 0 and 1"),
        ({"lookups": 0}, "not 10 and 0"),
        ({"role": "item"}, "of side user cannot have role item"),
        ({"side": "item"}, "of side item cannot have role static"),
    ],
)
def test_a_column_refuses(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        USER.replace(**change)


def test_names_are_used_once_and_unknown_ones_are_refused() -> None:
    with pytest.raises(InputError, match="log: two columns are called user"):
        LOG.replace(dense=(DenseColumn(name="user", role="context"),))
    with pytest.raises(InputError, match="no column 'colour'; there are user, clicked, item"):
        LOG.columns("colour")


@pytest.mark.parametrize(
    ("first", "count", "size", "message"),
    [
        (0, 11, 4, "rows 0 to 10 were asked for, but there are 10"),
        (-1, 3, 4, "rows -1 to 1"),
        (11, None, 4, "but there are 10"),
        (0, None, 0, "at least 1 row, not 0"),
    ],
)
def test_rows_that_are_not_there_are_refused(first: int, count: int | None, size: int, message: str) -> None:
    assert check_range("log", 10, 3, None, 4) == 7
    with pytest.raises(InputError, match=message):
        check_range("log", 10, first, count, size)
