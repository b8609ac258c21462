"""`microduet bench train` on a few rows."""

import json

import pytest

from tests.sw.command_line import run

FEW = ("--batch", 32, "--batches", 2, "--rounds", 2, "--table-rows", 50)


def test_prints_both_rates_and_their_ratio(capsys: pytest.CaptureFixture) -> None:
    assert run("bench", "train", *FEW, "--precision", "float32", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "rm1-criteo-form"
    assert (found["batch"], found["table_rows"], found["precision"]) == (32, 50, "float32")
    assert len(found["ratios"]) == 2
    assert found["ratio"] == pytest.approx(found["rows_per_s"] / found["plain_rows_per_s"])
    assert found["versions"]["torch"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rounds", 0), "--batch, --batches and --rounds must be at least 1"),
        (("--model", "rm9"), "model must be rm1"),
        (("--table-rows", 0), "rows and lookups must be at least 1, not 0 and 1"),
    ],
)
def test_refuses_in_one_line(capsys: pytest.CaptureFixture, arguments: tuple, message: str) -> None:
    assert run("bench", "train", *arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
