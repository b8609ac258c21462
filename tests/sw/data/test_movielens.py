"""MovieLens 100k and 1M: their files, order of time, histories without the future, and bad lines."""

import math
from pathlib import Path

import pytest

from microduet.data import movielens
from microduet.data.schema import PARTS
from microduet.errors import DataError, InputError
from tests.sw.data.logs import same, whole

FLAGS = {"toy": [3, 4, 5], "cafe": [0], "heat": [1, 6]}
NAMES = {"toy": "Animation|Children's|Comedy", "cafe": "unknown", "heat": "Action|Crime"}
TITLES = {"toy": "Toy Story (1995)", "cafe": "Café, Le", "heat": "Heat (2003)"}
RATINGS = [(7, 10, 5, 1000), (7, 30, 4, 900), (8, 10, 3, 950), (7, 20, 2, 1000), (7, 20, 1, 8200), (8, 30, 4, 950)]
RATINGS += [(8, 20, 5, 951), (8, 30, 1, 90_000), (7, 10, 4, 95_000), (8, 10, 4, 100_000)]
FILMS = {10: "toy", 20: "cafe", 30: "heat"}


def write_100k(folder: Path, ratings: list[tuple[int, ...]] = RATINGS) -> Path:
    (folder / "u.data").write_text("".join("\t".join(map(str, rating)) + "\n" for rating in ratings))
    (folder / "u.user").write_text("7|24|M|technician|85711\n8|53|F|other|T8H1N\n")
    lines = []
    for number, film in FILMS.items():
        flags = "|".join(str(int(k in FLAGS[film])) for k in range(19))
        date = "" if film == "cafe" else "01-Jan-1995"
        lines.append(f"{number}|{TITLES[film]}|{date}||http://x/?{film}|{flags}\n")
    (folder / "u.item").write_bytes("".join(lines).encode("latin-1"))
    return folder


def write_1m(folder: Path, ratings: list[tuple[int, ...]] = RATINGS) -> Path:
    (folder / "ratings.dat").write_text("".join("::".join(map(str, rating)) + "\n" for rating in ratings))
    (folder / "users.dat").write_text("7::M::25::10::85711\n8::F::50::3::98107-2117\n")
    films = "".join(f"{number}::{TITLES[film]}::{NAMES[film]}\n" for number, film in FILMS.items())
    (folder / "movies.dat").write_bytes(films.encode("latin-1"))
    return folder


WRITERS = pytest.mark.parametrize("write", [write_100k, write_1m])


@WRITERS
def test_rows_are_in_order_of_time_and_ratings_from_4_on_are_clicks(tmp_path: Path, write) -> None:
    log = movielens.open_log(write(tmp_path), history=3)
    columns = log.schema.columns
    train = whole(log)
    assert [log.rows(part) for part in PARTS] == [8, 1, 1]
    assert train.labels.tolist() == [1, 0, 1, 1, 1, 0, 0, 0]
    assert train.sparse[:, columns("user")].ravel().tolist() == [0, 1, 1, 1, 0, 0, 0, 1]
    assert train.sparse[:, columns("film")].ravel().tolist() == [2, 0, 2, 1, 0, 1, 1, 2]
    assert whole(log, "test").sparse[0, columns("film")].tolist() == [0]


@WRITERS
def test_a_history_holds_what_was_liked_strictly_before_newest_first(tmp_path: Path, write) -> None:
    log = movielens.open_log(write(tmp_path), history=3)
    liked = log.schema.columns("liked")
    none = [-1, -1, -1]
    assert whole(log).sparse[:, liked].tolist() == [
        none, none, none, [2, -1, -1], [2, -1, -1], [2, -1, -1], [0, 2, -1], [1, 2, -1],
    ]  # fmt: skip
    assert whole(log, "validation").sparse[:, liked].tolist() == [[0, 2, -1]]


@WRITERS
def test_attributes_genres_and_time(tmp_path: Path, write) -> None:
    log = movielens.open_log(write(tmp_path), history=1)
    columns, last = log.schema.columns, whole(log).sparse[6]
    first = whole(log).sparse[4]
    assert first[columns("gender")] == 0
    assert whole(log).sparse[1][columns("gender")] == 1
    nothing = 6  # the places behind a film's last genre
    assert (first[columns("genres")] < nothing).sum() == 3
    assert (first[columns("genres")] == nothing).sum() == 3
    assert (first[columns("decade")], last[columns("decade")]) == (11, 0)
    assert whole(log).sparse[0][columns("decade")] == 12
    assert (last[columns("hour")], last[columns("weekday")]) == (2, 4)
    dense = whole(log).dense
    assert dense[6].tolist() == pytest.approx([dense[0, 0], math.log(4), math.log(3)])
    assert dense[0, 1:].tolist() == [0, 0]


def test_zip_codes_with_letters_and_titles_in_latin_1_are_read(tmp_path: Path) -> None:
    schema = movielens.open_log(write_100k(tmp_path)).schema
    assert {column.name: column.rows for column in schema.sparse} == {
        "user": 2, "gender": 2, "occupation": 2, "zip": 2, "hour": 24, "weekday": 7, "liked": 3, "film": 3,
        "genres": 7, "decade": 16,
    }  # fmt: skip
    assert {column.name: column.role for column in schema.sparse}["liked"] == "history"


def test_hashed_ids_keep_empty_places_empty(tmp_path: Path) -> None:
    write_1m(tmp_path)
    exact, hashed = movielens.open_log(tmp_path), movielens.open_log(tmp_path, rows=2)
    assert {column.rows for column in hashed.schema.sparse} == {2}
    ids = whole(exact).sparse
    ids[ids >= 0] %= 2
    assert whole(hashed).sparse.tolist() == ids.tolist()


def test_the_same_rows_come_twice(tmp_path: Path) -> None:
    write_1m(tmp_path)
    assert all(same(whole(movielens.open_log(tmp_path), p), whole(movielens.open_log(tmp_path), p)) for p in PARTS)


@pytest.mark.parametrize(
    ("write", "name", "line", "message"),
    [
        (write_100k, "u.data", "7 10 5 1000", r"u.data:11: must be user, film, rating 1 to 5 and time"),
        (write_100k, "u.data", "7\t10\t6\t1000", r"u.data:11: must be"),
        (write_100k, "u.user", "9|x|M|other|1", r"u.user:3: must be user\|age\|M or F"),
        (write_100k, "u.item", "40|Title|||0|1", r"u.item:4: must be film\|title"),
        (write_1m, "ratings.dat", "7::10::5", r"ratings.dat:11: must be user::film::rating"),
        (write_1m, "users.dat", "9::X::1::1::1", r"users.dat:3: must be user::M or F"),
        (write_1m, "movies.dat", "40:Heat:Action", r"movies.dat:4: must be film::title::genres"),
        (write_1m, "movies.dat", "", r"movies.dat:4: must be"),
    ],
)
def test_a_bad_line_is_named_and_skipped_only_when_asked(tmp_path: Path, write, name, line, message) -> None:
    write(tmp_path)
    good = whole(movielens.open_log(tmp_path))
    with (tmp_path / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message):
        movielens.open_log(tmp_path)
    log = movielens.open_log(tmp_path, skip_bad=True)
    assert log.skipped == 1
    assert same(whole(log), good)


@pytest.mark.parametrize(
    ("rating", "message"), [((9, 10, 5, 1), "is of user 9, which no file"), ((7, 99, 5, 1), "is of film 99, which no")]
)
def test_a_rating_of_someone_unknown_is_refused_or_skipped(tmp_path: Path, rating, message: str) -> None:
    write_1m(tmp_path, [*RATINGS, rating])
    with pytest.raises(DataError, match=f"ratings.dat:11: {message}"):
        movielens.open_log(tmp_path)
    log = movielens.open_log(tmp_path, skip_bad=True)
    assert (log.skipped, log.rows("train")) == (1, 8)


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has neither u.data nor ratings.dat"):
        movielens.open_log(tmp_path)
    write_100k(tmp_path)
    (tmp_path / "u.item").unlink()
    with pytest.raises(DataError, match=r"has no u.item"):
        movielens.open_log(tmp_path)
    (tmp_path / "u.item").touch()
    with pytest.raises(DataError, match=r"u.item: is empty"):
        movielens.open_log(tmp_path)
    with pytest.raises(InputError, match="at least 1 row, not 0"):
        movielens.open_log(write_100k(tmp_path), rows=0)
