"""What `microduet cache` shows and removes."""

import json
from pathlib import Path

import pytest

from microduet import cache_command


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models" / "one").mkdir(parents=True)
    (tmp_path / "models" / "one" / "model.so").write_bytes(b"12345")
    for kind in cache_command.KEPT:
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "rm1.json").write_text("hours of work")
    (tmp_path / "mine.txt").write_text("not of the cache")
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path))
    return tmp_path


def test_entries_and_bytes_are_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cache_command.main(clear=False, json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["folder"] == str(root)
    assert shown["models"] == {"entries": 1, "bytes": 5}


def test_clearing_removes_what_is_quickly_made_again_and_nothing_else(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cache_command.main(clear=True, json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["models"] == {"entries": 0, "bytes": 0}
    for kind in cache_command.KEPT:
        assert shown[kind] == {"entries": 1, "bytes": 13}
    assert (root / "mine.txt").is_file()


def test_an_empty_cache_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "nothing"))
    assert cache_command.main(clear=True, json=False) == 0
    assert "simulators" in capsys.readouterr().out
