"""`microduet check` of whole models and of items with their users."""

import json
from pathlib import Path

import numpy as np
import pytest

from microduet import check_command
from microduet.duet.check import check_items
from microduet.errors import InputError, MicroduetError, ModelError
from microduet_hw.config import Precision
from tests.sw.duet.engines import DIN, SHAPES, SMALL, split_model

OPTIONS = {"data": None, "precision": None, "items": 60, "seed": 0, "dim": 32, "json": True}


@pytest.mark.parametrize("kind", ["duet", "exact"])
@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_items_stay_within_their_bounds(shape: object, kind: str) -> None:
    report = check_items(split_model(shape, kind), items=200)  # type: ignore[arg-type]
    assert [found.precision for found in report.precisions] == ["fixed16", "int8"]
    for found in report.precisions:
        assert all(layer.largest_error <= layer.bound for layer in found.layers)
        assert found.auc > 0.55
    fine, coarse = report.precisions
    assert fine.layers[0].error < coarse.layers[0].error


def test_an_exact_split_loses_no_more_than_the_uncut_engine() -> None:
    [found] = check_items(split_model(SMALL, "exact"), items=200, precisions=[Precision.FIXED16]).precisions
    assert found.score_error < 0.01
    assert found.top10_overlap >= 9


def test_a_description_is_checked_whole(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(DIN.to_json())
    assert check_command.main(str(path), **OPTIONS) == 0  # type: ignore[arg-type]
    found = json.loads(capsys.readouterr().out)
    assert [one["precision"] for one in found["precisions"]] == ["fixed16", "fixed32", "int8"]
    assert found["model"] == "din"


def test_the_items_of_a_split_are_shown(capsys: pytest.CaptureFixture) -> None:
    assert check_command.main("rm5-duet", **(OPTIONS | {"json": False})) == 0  # type: ignore[arg-type]
    assert "80x80" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "options", "kind", "message"),
    [
        ("rm5-duet", {"precision": "fixed32"}, ModelError, "fixed16 or int8, not fixed32"),
        ("rm5-duet", {"data": Path("x.npz")}, InputError, "random users: data must not be given"),
        ("rm7", {}, ModelError, "not 'rm7'"),
        ("none.pt", {}, MicroduetError, "there is no such checkpoint"),
        ("rm5", {"items": 0}, InputError, "items must be at least 1"),
    ],
)
def test_says_what_it_does_not_check(model: str, options: dict, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        check_command.main(model, **(OPTIONS | options))  # type: ignore[arg-type]


def test_labels_depend_on_the_seed() -> None:
    model = split_model(DIN, "duet")
    aucs = {check_items(model, items=100, seed=seed, precisions=[Precision.INT8]).auc for seed in (0, 0, 1)}
    assert len(aucs) == 2
    assert np.isfinite(list(aucs)).all()
