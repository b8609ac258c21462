"""Descriptions of models and of the user's side of them."""

from pathlib import Path

import msgspec
import pytest

from microduet.duet import zoo
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide, read_shape
from microduet.errors import ModelError

SMALL = DlrmShape(
    name="small",
    tables=(TableShape(rows=50, dim=4), TableShape(rows=60, dim=2)),
    features=(Lookups(table=0, lookups=5), Lookups(table=1), Lookups(table=0)),
    bottom=(8, 16, 8),
    top=(16, 8, 1),
    user=UserSide(features=(0, 1), static=(0, 1, 2, 4, 5, 6), context=(3, 7)),
)


def test_elements_stand_in_the_order_of_the_features_and_the_bottom_mlp_is_last() -> None:
    assert SMALL.top_inputs == 4 + 2 + 4 + 8
    assert SMALL.item_features == (2,)
    assert SMALL.positions((0, 2)) == [0, 1, 2, 3, 6, 7, 8, 9]
    assert [SMALL.columns(k) for k in range(3)] == [slice(0, 5), slice(5, 6), slice(6, 7)]


def test_survives_json(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_bytes(SMALL.to_json())
    assert read_shape(file) == SMALL
    assert zoo.shape_of(str(file)) == SMALL


@pytest.mark.parametrize("name", zoo.NAMES)
def test_smaller_tables_change_nothing_else(name: str) -> None:
    shape = zoo.shape_of(name)
    few = shape.with_rows(10)
    assert {table.rows for table in few.tables} == {10}
    assert few.replace(tables=shape.tables) == shape
    assert shape.with_rows(None) is shape


def test_rm5s_history_and_candidate_share_their_tables() -> None:
    shape = zoo.shape_of("rm5")
    assert len(shape.tables) == 3
    looked_up = [(feature.table, feature.lookups) for feature in shape.features]
    assert looked_up == [(0, 1), (1, 199), (2, 199), (1, 1), (2, 1)]
    assert shape.user.features == (0, 1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": ()}, "at least one feature"),
        ({"top": (16, 3)}, "1 or 2 outputs, not 3"),
        ({"top": (0, 1)}, "must be at least 1, not 0"),
        ({"bottom": (8,)}, "at least one layer, not"),
        ({"features": (Lookups(table=2),)}, "feature 0 is of table 2, not 0 to 1"),
        ({"user": UserSide(features=(0, 3), static=tuple(range(8)))}, "numbers of features in order"),
        ({"user": UserSide(features=(1, 0), static=tuple(range(8)))}, "numbers of features in order"),
        ({"user": UserSide(features=(0,), static=tuple(range(7)))}, "each of the 8 dense inputs"),
        ({"user": UserSide(features=(0,), static=tuple(range(8)), context=(7,))}, "exactly once"),
    ],
)
def test_refuses(change: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        SMALL.replace(**change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "description.json: Input data was truncated"),
        (b"{}", "missing required field"),
        (msgspec.json.encode(msgspec.to_builtins(SMALL) | {"top": [4]}), "must end in 1 or 2 outputs"),
        (None, "description.json: No such file"),
    ],
)
def test_refuses_a_bad_file_in_one_line(tmp_path: Path, text: bytes | None, message: str) -> None:
    file = tmp_path / "description.json"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ModelError, match=message) as raised:
        read_shape(file)
    assert "\n" not in str(raised.value)


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(ModelError, match=r"rm1, rm2, rm3, rm4, rm5, microrec-small or a description.*not 'rm9'"):
        zoo.shape_of("rm9")
