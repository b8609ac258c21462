"""`microduet train` on data sets in files: the four formats, their bad lines, and logs that teach nothing."""

import json
from pathlib import Path

import pytest

from tests.sw.command_line import run
from tests.sw.data.sets import SETS, FileSet
from tests.sw.duet.test_shape import SMALL

pytestmark = pytest.mark.parametrize("files", SETS, ids=lambda files: files.kind)


@pytest.fixture
def folder(files: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "small.json").write_bytes(SMALL.to_json())
    made = tmp_path / "set"
    made.mkdir()
    files.write(made)
    return made


def train(folder: Path, *more: object) -> int:
    return run("train", folder.parent / "small.json", "--data", folder, "--seeds", 1, "--replicates", 20, *more)


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was said."""
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize("more", [(), ("--hash-rows", 30), ("--table-rows", 20)])
def test_trains_and_judges(files: FileSet, folder: Path, capsys: pytest.CaptureFixture[str], more: tuple) -> None:
    assert train(folder, "--json", *more) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["data"], found["skipped"], found["best_auc"]) == (files.kind, 0, None)
    assert list(found["figures"]) == ["base", "split", "int8"]
    assert found["rows"] > 100
    assert 0 < found["figures"]["int8"]["auc"]["mean"] < 1


def test_a_bad_line_is_named_and_skipped_only_when_asked(
    files: FileSet, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = files.text(folder).splitlines(keepends=True)
    files.rewrite(folder, "".join([*lines[:50], f"{files.bad}\n", *lines[50:]]))
    assert train(folder) == 2
    assert f"{files.file}:51: {files.fault}" in refused(capsys)
    assert train(folder, "--skip-bad", "--split", "none") == 0
    assert "bad lines left out: 1\n" in capsys.readouterr().out


def test_a_missing_column_is_named(files: FileSet, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.rewrite(folder, "".join(f"{files.shorter(line)}\n" for line in files.text(folder).splitlines()))
    assert train(folder) == 2
    assert f"{files.file}:1: {files.lack}" in refused(capsys)


def test_an_empty_file_is_named(files: FileSet, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / files.file).write_bytes(b"")
    assert train(folder) == 2
    assert f"{files.file}: is empty" in refused(capsys)


def test_too_few_rows_are_said_so(files: FileSet, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.rewrite(folder, "".join(files.text(folder).splitlines(keepends=True)[:2]))
    assert train(folder) == 2
    said = refused(capsys)
    assert f"{files.kind}: " in said
    assert "part has no rows" in said or "too few rows: none is left for training" in said


def test_another_sets_checkpoints_are_not_taken_for_this_ones(
    files: FileSet, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(folder, "--hash-rows", 30, "--split", "none", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    lines = files.text(folder).splitlines(keepends=True)
    files.rewrite(folder, "".join([*lines[:50], lines[50], lines[50], *lines[52:]]))
    assert train(folder, "--hash-rows", 30, "--split", "none", "--json") == 0
    assert json.loads(capsys.readouterr().out)["folder"] != first["folder"]
    assert train(folder, "--hash-rows", 30, "--split", "none", "--out", first["folder"]) == 2
    assert "is of another training" in refused(capsys)
