"""`microduet bench data`."""

import json

import pytest

from tests.sw.command_line import run


def test_prints_rows_per_second_of_loader_pandas_and_generator(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "data", "--rows", 300, "--model", "rm5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"pandas", "first", "chunks", "generated-rm5"}
    assert min(found.values()) > 0


def test_prints_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "data", "--rows", 50, "--model", "microrec-small") == 0
    shown = capsys.readouterr().out
    assert "x pandas" in shown
    assert "1.00" in shown


def test_refuses_too_few_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "data", "--rows", 3) == 2
    assert "--rows must be at least 7, not 3" in capsys.readouterr().err
