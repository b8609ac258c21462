"""Criteo's text: its quirks, DLRM's rules, bad lines, and a cache that is whole or not there."""

import math
from pathlib import Path

import numpy as np
import pytest

from microduet.data import criteo, store
from microduet.data.schema import PARTS
from microduet.errors import DataError, InputError
from tests.sw.data.logs import same, whole


def line(label: object = 0, numbers: dict[int, object] | None = None, categories: dict[int, str] | None = None) -> str:
    """A line with these numbers (1 to 13) and categories (1 to 26); the rest is empty."""
    fields = [str(label)]
    fields += [str((numbers or {}).get(k, "")) for k in range(1, 14)]
    return "\t".join(fields + [(categories or {}).get(k, "") for k in range(1, 27)])


def written(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes((end.join(lines) + end).encode())
    return path


def random_lines(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        numbers = {k: int(generator.integers(-3, 5000)) for k in range(1, 14) if generator.random() < 0.8}
        categories = {k: f"{generator.integers(0, 50) * 83:08x}" for k in range(1, 27) if generator.random() < 0.9}
        found.append(line(generator.integers(0, 2), numbers, categories))
    return found


def by_the_rule(lines: list[str]) -> tuple[list[int], list[list[int]], list[list[float]]]:
    """Labels, ids and numbers as DLRM's script makes them, line by line."""
    known: list[dict[str, int]] = [{} for _ in range(26)]
    labels, sparse, dense = [], [], []
    for text in lines:
        fields = text.split("\t")
        labels.append(int(fields[0]))
        dense.append([math.log(max(int(field or 0), 0) + 1) for field in fields[1:14]])
        values = [field or "00000000" for field in fields[14:]]
        sparse.append([own.setdefault(value, len(own)) for own, value in zip(known, values, strict=True)])
    return labels, sparse, dense


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_agrees_with_dlrms_rules_line_by_line(tmp_path: Path, end: str) -> None:
    lines = random_lines(700, seed=1)
    log = criteo.open_log(written(tmp_path / "train.txt", lines, end), block=20_000)
    labels, sparse, dense = by_the_rule(lines)
    places = {"train": slice(0, 600), "test": slice(600, 650), "validation": slice(650, 700)}
    for part, rows in places.items():
        found = whole(log, part, size=64)
        assert found.labels.tolist() == labels[rows]
        assert found.sparse.tolist() == sparse[rows]
        np.testing.assert_allclose(found.dense, dense[rows], rtol=1e-6)
    assert [column.rows for column in log.schema.sparse] == [max(ids) + 1 for ids in zip(*sparse, strict=True)]


def test_empty_negative_and_widest_fields(tmp_path: Path) -> None:
    texts = [line(1, {1: -7, 2: 2**31 - 1, 3: -(2**31)}, {1: "ffffffff", 2: "0000000A"}), *[line()] * 6]
    log = criteo.open_log(written(tmp_path / "train.txt", texts), rows=1000)
    first = whole(log)
    assert first.labels.tolist() == [1, 0, 0, 0, 0, 0]
    assert first.dense[0].tolist() == pytest.approx([0, math.log(2**31), *[0] * 11])
    assert first.sparse[0].tolist() == [0xFFFFFFFF % 1000, 10, *[0] * 24]
    assert not first.sparse[1:].any()


@pytest.mark.parametrize(
    ("rows", "train", "test", "validation"), [(7, 6, 1, 0), (14, 12, 1, 1), (20, 18, 1, 1), (701, 601, 50, 50)]
)
def test_six_days_train_and_the_seventh_is_halved(rows: int, train: int, test: int, validation: int) -> None:
    parts = criteo.seven_days(rows)
    assert parts["train"] == (0, train)
    assert parts["test"] == (train, test)
    assert parts["validation"] == (train + test, validation)


def test_days_are_those_of_numpys_array_split() -> None:
    for rows in range(7, 60):
        days = [len(day) for day in np.array_split(np.arange(rows), 7)]
        halves = [len(half) for half in np.array_split(np.arange(days[-1]), 2)]
        found = criteo.seven_days(rows)
        assert [found[part][1] for part in ("train", "test", "validation")] == [sum(days[:-1]), *halves]


def test_hashed_ids_stay_in_tables_of_the_stated_size(tmp_path: Path) -> None:
    path = written(tmp_path / "train.txt", random_lines(300, seed=2))
    log = criteo.open_log(path, rows=7)
    ids = whole(log).sparse
    assert (ids.min(), ids.max()) == (0, 6)
    assert {column.rows for column in log.schema.sparse} == {7}


def test_three_quarters_of_the_categories_and_all_numbers_are_the_users(tmp_path: Path) -> None:
    schema = criteo.open_log(written(tmp_path / "train.txt", random_lines(20, seed=3))).schema
    assert [column.side for column in schema.sparse] == ["user"] * 19 + ["item"] * 7
    assert [column.role for column in schema.dense] == ["static"] * 11 + ["context"] * 2


@pytest.mark.parametrize("block", [3000, 5001, 1 << 20])
def test_neither_blocks_nor_chunks_nor_a_missing_last_newline_change_the_rows(tmp_path: Path, block: int) -> None:
    lines = random_lines(200, seed=4)
    path = tmp_path / "train.txt"
    path.write_text("\n".join(lines))
    expected = by_the_rule(lines)[1]
    log = criteo.open_log(path, block=block)
    assert whole(log, size=7).sparse.tolist() == expected[: log.rows("train")]
    assert same(whole(log, first=13, count=101, size=50), whole(log)[13:114])


def test_the_same_content_is_parsed_once(tmp_path: Path) -> None:
    path = written(tmp_path / "train.txt", random_lines(100, seed=5))
    calls: list[tuple[str, int, int]] = []
    first = criteo.open_log(path, block=8000, progress=lambda *report: calls.append(report))
    assert calls[-1] == ("reading criteo", len(calls), len(calls))
    assert len(calls) > 1
    copy = tmp_path / "copy.txt"
    copy.write_bytes(path.read_bytes())
    again = criteo.open_log(copy, block=8000, progress=lambda *_: pytest.fail("was parsed again"))
    assert all(same(whole(first, part), whole(again, part)) for part in PARTS)


def test_changed_content_is_parsed_again(tmp_path: Path) -> None:
    path = written(tmp_path / "train.txt", random_lines(30, seed=6))
    assert criteo.open_log(path).rows("train") == 26
    written(path, random_lines(60, seed=6))
    assert criteo.open_log(path).rows("train") == 52


def test_an_interrupted_parse_continues_and_is_never_taken_for_whole(tmp_path: Path, cache: Path) -> None:
    path = written(tmp_path / "train.txt", random_lines(400, seed=7))

    def interrupt(_what: str, done: int, _of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        criteo.open_log(path, block=8000, progress=interrupt)
    assert not list(cache.glob("data/criteo-*"))
    kept = {file: file.stat().st_mtime_ns for file in cache.glob("data/.criteo-*.partial/*.parquet")}
    assert len(kept) >= 3
    half = sorted(kept)[1]
    half.with_name("000001.json").unlink()
    half.write_bytes(half.read_bytes()[:100])
    log = criteo.open_log(path, block=8000)
    assert whole(log).labels.tolist() == by_the_rule(path.read_text().splitlines())[0][: log.rows("train")]
    folder = next(cache.glob("data/criteo-*"))
    unchanged = [file for file in kept if (folder / file.name).stat().st_mtime_ns == kept[file]]
    assert len(unchanged) == len(kept) - 1


def test_a_damaged_cache_is_named(tmp_path: Path, cache: Path) -> None:
    path = written(tmp_path / "train.txt", random_lines(40, seed=8))
    log = criteo.open_log(path)
    file = next(cache.glob("data/criteo-*/rows-000000.parquet"))
    file.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"rows-000000.parquet: is damaged"):
        whole(log)
    (file.parent / "whole.json").unlink()
    with pytest.raises(DataError, match=r"whole\.json: cannot be read"):
        store.Store(file.parent)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\t1", "2 fields between tabs, not 40"),
        (line() + "\t", "41 fields between tabs, not 40"),
        ("", "1 fields between tabs, not 40"),
        (line(2), "the label must be 0 or 1, not '2'"),
        (line(""), "the label must be 0 or 1, not ''"),
        (line(1, {4: "1.5"}), "I4 must be empty or a whole number of 32 bits, not '1.5'"),
        (line(1, {13: 2**31}), "I13 must be empty or a whole number of 32 bits"),
        (line(1, {}, {3: "12345"}), "C3 must be empty or 8 hexadecimal digits, not '12345'"),
        (line(1, {}, {26: "0000000g"}), "C26 must be empty or 8 hexadecimal digits, not '0000000g'"),
    ],
)
@pytest.mark.parametrize("place", [0, 57, 99])
def test_a_bad_line_is_named_and_skipped_only_when_asked(tmp_path: Path, text: str, message: str, place: int) -> None:
    good = random_lines(99, seed=9)
    path = written(tmp_path / "train.txt", [*good[:place], text, *good[place:]])
    with pytest.raises(DataError, match=f"train.txt:{place + 1}: {message}"):
        criteo.open_log(path, block=4000)
    log = criteo.open_log(path, block=4000, skip_bad=True)
    assert log.skipped == 1
    assert whole(log).sparse.tolist() == by_the_rule(good)[1][: log.rows("train")]


def test_bad_lines_are_counted(tmp_path: Path) -> None:
    lines = random_lines(20, seed=10)
    for place in (3, 5, 8, 13):
        lines[place] = "?"
    path = written(tmp_path / "train.txt", lines)
    with pytest.raises(DataError, match=r"train.txt:4: 1 fields.*; 4 bad lines in this block, also 6, 9, \.\.\."):
        criteo.open_log(path)
    assert criteo.open_log(path, skip_bad=True).skipped == 4


def test_nothing_to_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.txt: No such file"):
        criteo.open_log(tmp_path / "none.txt")
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(DataError, match=r"empty.txt: is empty"):
        criteo.open_log(empty)
    bad = written(tmp_path / "bad.txt", ["?", "!"])
    with pytest.raises(DataError, match="criteo: too few rows: none is left for training"):
        criteo.open_log(bad, skip_bad=True)
    with pytest.raises(InputError, match="at least 1 row, not 0"):
        criteo.open_log(bad, rows=0)
