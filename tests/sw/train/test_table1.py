"""`microduet report table1`."""

import json
from pathlib import Path

import pytest

from microduet.train import table1
from tests.sw.command_line import run

FEW = ("report", "table1", "--model", "rm5", "--rows", 300, "--seeds", 2, "--test-rows", 300)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path))
    monkeypatch.setattr("microduet.train.command.TABLE_ROWS", 100)
    return tmp_path


def test_sets_the_papers_numbers_beside_measured_ones(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*FEW, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["paper"] == {"rm5": {"base": 68.74, "split": 68.97, "int8": 68.97}}
    ours = found["ours"]["rm5"]
    assert (ours["rows"], ours["test_rows"], ours["seeds"]) == (300, 300, [0, 1])
    monkeypatch.setattr(table1, "train", None)  # nothing is trained again
    monkeypatch.setenv("COLUMNS", "200")
    assert run(*FEW) == 0
    text = capsys.readouterr().out
    assert f"{100 * ours['figures']['base']['accuracy']['mean']:.2f} (" in text
    assert "rm5: base less split: " in text
    assert "The paper's differences from its base are 0.23 to 0.23 points" in text


@pytest.mark.parametrize("model", ["rm4", "rm9"])
def test_refuses_models_that_the_papers_table_has_not(capsys: pytest.CaptureFixture, model: str) -> None:
    assert run("report", "table1", "--model", model) == 2
    assert f"--model must be rm1, rm2, rm3, rm5, not {model}" in capsys.readouterr().err


def test_refuses_a_damaged_result(capsys: pytest.CaptureFixture, cache: Path) -> None:
    assert run(*FEW, "--json") == 0
    [path] = (cache / "table1").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    capsys.readouterr()
    assert run(*FEW) == 2
    printed = capsys.readouterr().err
    assert "remove it to measure again" in printed
    assert printed.count("\n") == 1
