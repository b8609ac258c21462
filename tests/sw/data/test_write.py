"""The generated log in the files of others: the loaders find in them what the generator made."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from microduet.data import criteo, movielens
from microduet.data.generated import GeneratedLog
from microduet.data.schema import PARTS, Chunk
from microduet.data.write import counts_of, criteo_shape, movielens_shape, write_criteo, write_movielens
from microduet.errors import DataError
from tests.sw.data.logs import whole


def together(chunks: list[Chunk]) -> Chunk:
    return Chunk(
        labels=np.concatenate([chunk.labels for chunk in chunks]),
        sparse=np.concatenate([chunk.sparse for chunk in chunks]),
        dense=np.concatenate([chunk.dense for chunk in chunks]),
    )


def test_criteos_loader_finds_the_generated_rows(tmp_path: Path) -> None:
    log = GeneratedLog(criteo_shape(500), rows=900, seed=21, validation=100, test=100)
    write_criteo(log, tmp_path / "train.txt")
    made = together([whole(log, part) for part in PARTS])
    loaded = criteo.open_log(tmp_path / "train.txt", block=50_000)
    found = together([whole(loaded, part) for part in ("train", "test", "validation")])
    assert np.array_equal(found.labels, made.labels)
    np.testing.assert_allclose(found.dense, np.log1p(np.maximum(counts_of(made.dense), 0)), rtol=1e-6)
    assert (counts_of(made.dense) < 0).any()
    for column in range(26):
        _, first, number = np.unique(made.sparse[:, column], return_index=True, return_inverse=True)
        by_appearance = np.empty(len(first), np.int64)
        by_appearance[np.argsort(first)] = np.arange(len(first))
        assert np.array_equal(found.sparse[:, column], by_appearance[number])


@pytest.mark.parametrize("form", ["100k", "1m"])
def test_movielens_loader_finds_the_generated_users_films_and_clicks(tmp_path: Path, form) -> None:
    log = GeneratedLog(movielens_shape(200), rows=1500, seed=22, validation=100, test=200)
    write_movielens(log, tmp_path, form)
    loaded = movielens.open_log(tmp_path, history=4)
    labels = np.concatenate([whole(log, part).labels for part in PARTS])
    users, films = (np.concatenate([getattr(log.who(part), name) for part in PARTS]) for name in ("users", "items"))
    found = together([whole(loaded, part) for part in PARTS])
    assert np.array_equal(found.labels, labels)
    columns = loaded.schema.columns
    assert np.array_equal(found.sparse[:, columns("user")][:, 0], np.unique(users, return_inverse=True)[1])
    numbers = np.unique(films, return_inverse=True)[1]
    assert np.array_equal(found.sparse[:, columns("film")][:, 0], numbers)
    for row in range(0, 1800, 97):
        liked = [numbers[k] for k in range(row) if users[k] == users[row] and labels[k]][::-1][:4]
        assert found.sparse[row, columns("liked")].tolist() == liked + [-1] * (4 - len(liked))


def test_both_forms_of_movielens_say_the_same(tmp_path: Path) -> None:
    log = GeneratedLog(movielens_shape(50), rows=300, seed=23, validation=50, test=50)
    rows = []
    for form in ("100k", "1m"):
        write_movielens(log, tmp_path / form, form)
        loaded = movielens.open_log(tmp_path / form)
        names = ("user", "film", "liked", "hour", "gender")
        rows.append([whole(loaded).sparse[:, loaded.schema.columns(name)] for name in names])
    assert all(np.array_equal(left, right) for left, right in itertools.islice(zip(*rows, strict=True), 5))


def test_a_log_of_other_columns_or_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a log in Criteo's form has 13 dense inputs and 26 ids"):
        write_criteo(GeneratedLog(movielens_shape(50), rows=10, test=10), tmp_path / "train.txt")
    log = GeneratedLog(criteo_shape(50), rows=10, validation=10, test=10)
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_criteo(log, tmp_path / "none" / "train.txt")
    assert not list(tmp_path.iterdir())
