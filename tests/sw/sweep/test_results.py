"""The result file: what is read is what was written, and what is not touched."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from microduet.errors import InputError
from microduet.sweep import results
from microduet.sweep.point import Outcome, Point
from microduet.sweep.results import KEY, SCHEMA, Row
from tests.sw.sweep.evaluations import figures


def _rows():
    first = Point(measure="engine", model="rm1", precision="int8", channels=3, multipliers=5)
    second = Point(measure="search", model="rm2", multipliers=9)
    return [
        Row(point=first, outcome=Outcome(figures=figures(first)), code="c", attempts=1),
        Row(point=second, outcome=Outcome(cause="why"), code="c", attempts=2),
    ]


def test_what_is_read_is_what_was_written(tmp_path):
    path = tmp_path / "a.parquet"
    with results.opened(path) as kept:
        for row in _rows():
            kept.put(row)
    assert list(results.read(path).values()) == _rows()
    table = pq.read_table(path)
    assert table["status"].to_pylist() == ["done", "failed"]
    assert table["channels"].to_pylist() == [3, None]


def test_one_sweep_at_a_time(tmp_path):
    path = tmp_path / "a.parquet"
    with results.opened(path), pytest.raises(InputError, match="another sweep has it"), results.opened(path):
        pass
    with results.opened(path):
        pass


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: pq.write_table(SCHEMA.with_metadata({KEY: "7"}).empty_table(), path), "version 7, not of"),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "is not a result file"),
        (lambda path: path.write_text("text"), "is not a result file"),
    ],
)
def test_other_files_are_left_alone(tmp_path, write, message):
    path = tmp_path / "a.parquet"
    write(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=message), results.opened(path):
        pass
    assert path.read_bytes() == before


def test_folder_that_does_not_exist(tmp_path):
    with (
        pytest.raises(InputError, match="cannot be written: No such file"),
        results.opened(tmp_path / "no" / "a.parquet"),
    ):
        pass


def test_key_depends_on_every_field_and_on_named_files(tmp_path):
    file = tmp_path / "board.toml"
    point = Point(measure="search", model="rm1", board=str(file))
    file.write_text("a")
    first = point.key
    file.write_text("b")
    assert (
        len({first, point.key, Point(measure="search", model="rm1").key, Point(measure="engine", model="rm1").key}) == 4
    )
