"""A trained split as edge unit and engine compute it: over the test part in integers, a sample in RTL."""

import json
from pathlib import Path

import numpy as np
import pytest

from microduet.train.gateware import GROUP, tops
from tests.support.environment import require_tool
from tests.sw.command_line import run
from tests.sw.duet.test_shape import SMALL

RISING = np.arange(GROUP)


@pytest.mark.parametrize(
    ("floats", "logits", "same", "members"),
    [
        (RISING, RISING, 1, 1),
        (RISING, -RISING, 0, 0),
        (RISING, np.where(RISING == 99, 98, np.where(RISING == 98, 99, RISING)), 0, 1),
        (RISING, np.where(RISING == 99, -1, RISING), 0, 0.9),
        (RISING * 0, RISING * 0, 1, 1),
        (np.tile(RISING, 2), np.concatenate([RISING, -RISING]), 0.5, 0.5),
        (np.tile(RISING, 2)[:-1], np.concatenate([RISING, -RISING])[:-1], 1, 1),
        (RISING[:-1], RISING[:-1], None, None),
    ],
    ids=["same", "reversed", "two-swapped", "one-missing", "all-equal", "two-groups", "rest-left-out", "too-few"],
)
def test_ten_best_of_a_hundred_rows_are_compared(
    floats: np.ndarray, logits: np.ndarray, same: float | None, members: float | None
) -> None:
    assert tops(floats.astype(np.float32), logits.astype(np.int64)) == (same, members)


def test_trained_weights_rank_in_rtl_as_in_the_golden_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require_tool("verilator")
    model = tmp_path / "small.json"
    model.write_bytes(SMALL.to_json())
    few = ("--rows", 3000, "--test-rows", 2000, "--seeds", 1, "--replicates", 20, "--gateware", 3)
    assert run("train", model, *few, "--out", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)["gateware"]
    assert (found["rows"], found["sample"], found["sample_items"], found["mismatches"]) == (2000, 3, 48, 0)
    assert abs(found["auc_integer"] - found["auc_float"]) < 0.01
    assert found["top_10_members"] > 0.8


def test_a_sample_of_a_model_that_is_not_split_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "small.json"
    model.write_bytes(SMALL.to_json())
    assert run("train", model, "--rows", 300, "--split", "none", "--gateware", 1, "--out", tmp_path / "out") == 2
    assert "--gateware needs --split duet, not none" in capsys.readouterr().err
