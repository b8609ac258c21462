"""What a user may name as a click log."""

from pathlib import Path

import pytest

from microduet.data import open_data
from microduet.data.generated import GeneratedLog
from microduet.data.write import criteo_shape, movielens_shape, write_criteo, write_movielens
from microduet.duet import zoo
from microduet.errors import DataError, InputError
from tests.sw.data.test_taobao import FILES as taobao_files

SHAPE = zoo.shape_of("rm5").with_rows(100)


@pytest.mark.parametrize(("spec", "rows"), [("generated", 1_000_000), ("generated:20_000", 20_000)])
def test_opens_a_generated_log(spec: str, rows: int) -> None:
    log = open_data(spec, SHAPE)
    assert log.rows("train") == rows
    assert log.rows("test") == 1_000_000


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("generated:many", "ROWS must be a number, not 'many'"),
        ("generated:-3", "not '-3'"),
        ("generated:0", "rows must be 1 to"),
    ],
)
def test_refuses(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_data(spec, SHAPE)


def test_a_generated_log_needs_a_shape() -> None:
    with pytest.raises(InputError, match="a model is needed"):
        open_data("generated")


@pytest.mark.parametrize("prefix", ["", "KIND:"])
@pytest.mark.parametrize("kind", ["criteo", "movielens", "taobao"])
def test_tells_a_log_by_its_files(tmp_path: Path, kind: str, prefix: str) -> None:
    if kind == "criteo":
        write_criteo(GeneratedLog(criteo_shape(50), rows=30, validation=10, test=10), tmp_path / "train.txt")
    elif kind == "movielens":
        write_movielens(GeneratedLog(movielens_shape(50), rows=30, validation=10, test=10), tmp_path, "1m")
    else:
        for name, lines in taobao_files.items():
            (tmp_path / name).write_text("\n".join(lines) + "\n")
    log = open_data(f"{prefix.replace('KIND', kind)}{tmp_path}", rows=9)
    assert log.schema.name == kind
    assert {column.rows for column in log.schema.sparse} == {9}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere", "nowhere: no such file or folder"),
        ("criteo:nowhere", "nowhere: No such file or directory"),
        ("amazon:nowhere", "nowhere: has 0 files reviews_"),
    ],
)
def test_says_what_is_not_there(spec: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_data(spec)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has none of train.txt, u.data"):
        open_data(str(tmp_path))
    with pytest.raises(InputError, match="data must be generated"):
        open_data("movielens:")
