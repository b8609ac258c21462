"""`microduet bench cards`: figures that fit together, and one line for what cannot be."""

import json

import pytest

from tests.support.environment import REPOSITORY
from tests.sw.command_line import run

ALIKE = f"{REPOSITORY}/tests/sw/cards/models.py:Alike"


def test_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "cards", "--model", ALIKE, "--cards", 2, "--items", 64, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    (row,) = figures["rows"]
    assert (row["cards"], row["mismatches"]) == (2, 0)
    bounds = {name: row[f"{name}_bound_items_per_s"] for name in ("arithmetic", "lookups", "network")}
    assert row["limit"] == min(bounds, key=lambda name: bounds[name])
    assert 0 < row["items_per_s"] <= 1.02 * min(bounds.values())
    assert "speed_up" not in row, "one card was not measured"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cards", 65], "cards must be 1 to 64, not 65"),
        (["--cards", 99, "--model", "microrec-small"], "cards must be 1 to 64, not 99"),
        (["--cards", 2, "--model", "rm1"], "rm1: only a model whose first layer reads the whole vector"),
        (["--cards", 2, "--model", "nothing"], "model must be microrec-small, microrec-large"),
        (["--cards", 2, "--gbps", 0], "network gbps must be above 0 and at most 10000, not 0"),
        (["--cards", 2, "--address", "host:1"], "address is of a Ray cluster: give --engine ray, too"),
        (["--cards", 2, "--board", "u50"], "board must be u280, u55c or a .toml file, not 'u50'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[object], message: str
) -> None:
    assert run("bench", "cards", *arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_no_cards_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "cards", "--cards", 0) != 0
    assert "0" in capsys.readouterr().err
