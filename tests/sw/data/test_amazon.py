"""Amazon's reviews: Python literals, DIN's pairs of a click and none, and bad lines."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from microduet.data import amazon
from microduet.data.schema import PARTS
from microduet.errors import DataError
from tests.sw.data.logs import same, whole

CATEGORIES = [["Electronics", "Cables"], ["Electronics", "Phones", "Cases"]]


def review(user: str, item: str, time: int) -> dict[str, object]:
    text = "It's \"good\", {'asin': 'X'} \u00e9"
    return {"reviewerID": user, "asin": item, "reviewText": text, "overall": 5.0, "unixReviewTime": time}


def write(folder: Path, reviews: Iterable[object], meta: Iterable[object]) -> Path:
    for name, lines in (("reviews_Electronics_5.json.gz", reviews), ("meta_Electronics.json.gz", meta)):
        with gzip.open(folder / name, "wt", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    return folder


def random_set(folder: Path, seed: int = 1) -> tuple[Path, dict[str, list[str]]]:
    """Users with their items in order of time."""
    generator = np.random.default_rng(seed)
    told: dict[str, list[str]] = {}
    lines = []
    for user in range(12):
        items = generator.choice(40, generator.integers(1, 8), replace=False)
        told[f"U{user}"] = [f"I{item}" for item in items]
        lines += [review(f"U{user}", f"I{item}", 1000 + place) for place, item in enumerate(items)]
    order = generator.permutation(len(lines))
    meta = [{"asin": f"I{item}", "categories": [["All", f"K{item % 5}"]]} for item in range(38)]
    return write(folder, [lines[k] for k in order], meta), told


def test_every_review_but_the_first_is_a_click_beside_an_item_never_reviewed(tmp_path: Path) -> None:
    folder, told = random_set(tmp_path)
    log = amazon.open_log(folder, history=5)
    columns = log.schema.columns
    lengths: dict[int, list[int]] = {}
    for part in PARTS:
        chunk = whole(log, part)
        assert chunk.labels.tolist() == [1, 0] * (len(chunk) // 2)
        assert np.array_equal(chunk.sparse[::2, : columns("item").start], chunk.sparse[1::2, : columns("item").start])
        for user, past in zip(chunk.sparse[::2, 0].tolist(), chunk.sparse[::2, columns("past-items")], strict=True):
            lengths.setdefault(user, []).append(int((past >= 0).sum()))
    expected = sorted(list(range(1, len(items))) for items in told.values() if len(items) > 1)
    assert sorted([min(n, 5) for n in sorted(seen)] for seen in lengths.values()) == [
        [min(n, 5) for n in seen] for seen in expected
    ]
    clicked = {(row[0], row[columns("item")][0]) for part in PARTS for row in whole(log, part).sparse[::2]}
    others = {(row[0], row[columns("item")][0]) for part in PARTS for row in whole(log, part).sparse[1::2]}
    assert not clicked & others


def test_the_last_review_tests_and_the_one_before_validates(tmp_path: Path) -> None:
    folder, told = random_set(tmp_path)
    log = amazon.open_log(folder)
    counts = [len(items) for items in told.values()]
    assert log.rows("test") == 2 * sum(count > 1 for count in counts)
    assert log.rows("validation") == 2 * sum(count > 2 for count in counts)
    assert sum(log.rows(part) for part in PARTS) == 2 * sum(count - 1 for count in counts)


def test_a_history_is_newest_first_and_has_its_items_categories(tmp_path: Path) -> None:
    reviews = [review("A", item, time) for item, time in (("c", 30), ("a", 10), ("d", 40), ("b", 20))]
    reviews += [review("B", "e", 1), review("B", "f", 2)]
    meta = [{"asin": "a", "categories": CATEGORIES}, {"asin": "b", "categories": [["Books"]]}]
    log = amazon.open_log(write(tmp_path, reviews, meta), history=4)
    columns = log.schema.columns
    user = whole(log).sparse[0, 0]
    train = whole(log).sparse[0]
    test = next(row for row in whole(log, "test").sparse if row[0] == user)
    a = train[columns("past-items")][0]
    b = train[columns("item")][0]
    assert train[columns("past-items")].tolist() == [a, -1, -1, -1]
    c, second, third, none = test[columns("past-items")].tolist()
    assert (second, third, none) == (b, a, -1)
    assert len({a, b, c}) == 3
    kinds = test[columns("past-categories")].tolist()
    assert len(set(kinds[:3])) == 3
    assert kinds[0] == test[columns("category")][0]
    assert {column.name: column.rows for column in log.schema.sparse}["past-categories"] == 3


def test_the_same_rows_come_twice_whatever_is_parsed_at_a_time(tmp_path: Path) -> None:
    folder, _ = random_set(tmp_path)
    plain, cut = amazon.open_log(folder), amazon.open_log(folder, lines=7)
    assert all(same(whole(plain, part), whole(cut, part)) for part in PARTS)


def test_seeds_choose_what_was_not_clicked(tmp_path: Path) -> None:
    folder, _ = random_set(tmp_path)
    one, two = (whole(amazon.open_log(folder, seed=seed)).sparse for seed in (1, 2))
    assert np.array_equal(one[::2], two[::2])
    assert not np.array_equal(one[1::2], two[1::2])


def test_an_interrupted_parse_continues(tmp_path: Path) -> None:
    folder, _ = random_set(tmp_path)

    def interrupt(what: str, done: int, _of: int) -> None:
        if what == "reading amazon-reviews" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        amazon.open_log(folder, lines=5, progress=interrupt)
    calls: list[str] = []
    log = amazon.open_log(folder, lines=5, progress=lambda what, *_: calls.append(what))
    assert same(whole(log), whole(amazon.open_log(folder)))
    assert "reading amazon-meta" not in calls


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'asin': 'x'}", "has no unixReviewTime"),
        ("{'reviewerID': 3, 'asin': 'x', 'unixReviewTime': 4}", "reviewerID must be a text, not 3"),
        ("{'reviewerID': 'u', 'asin': 'x', 'unixReviewTime': '4'}", "unixReviewTime must be a whole number, not '4'"),
        ("not a dictionary", "must be a dictionary"),
    ],
)
def test_a_bad_line_is_named_and_skipped_only_when_asked(tmp_path: Path, line: str, message: str) -> None:
    good = [review("A", f"i{k}", k) for k in range(5)] + [review("B", f"j{k}", k) for k in range(5)]
    write(tmp_path, [*good[:4], line, *good[4:]], [])
    with gzip.open(tmp_path / "meta_Electronics.json.gz", "wt") as file:
        file.write("{'asin': 'i1'}\n")
    with pytest.raises(DataError, match=f"reviews_Electronics_5.json.gz:5: {message}"):
        amazon.open_log(tmp_path, lines=3)
    log = amazon.open_log(tmp_path, lines=3, skip_bad=True)
    assert (log.skipped, log.rows("train")) == (1, 8)


def test_missing_cut_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 0 files reviews_"):
        amazon.open_log(tmp_path)
    folder, _ = random_set(tmp_path)
    file = folder / "reviews_Electronics_5.json.gz"
    whole_file = file.read_bytes()
    for contents in (whole_file[:-20], b"plain text"):
        file.write_bytes(contents)
        with pytest.raises(DataError, match=r"reviews_Electronics_5.json.gz: is not whole gzip"):
            amazon.open_log(folder)
