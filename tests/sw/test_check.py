"""What `check` finds, and what it says of bad data."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from microduet import check, check_command
from microduet.errors import InputError, MicroduetError
from microduet.models import microrec_small
from microduet.ranking import auc, top_overlap
from microduet.trace import trace
from microduet_hw.config import Precision
from tests.sw.cases import Mixed, batch


def test_narrower_precisions_err_more_and_rank_almost_alike() -> None:
    report = check.check(trace(microrec_small()), items=400)
    by_precision = {found.precision: found for found in report.precisions}
    errors = [by_precision[p].layers[0].error for p in (Precision.FIXED32, Precision.FIXED16, Precision.INT8)]
    assert errors == sorted(errors)
    assert errors[0] < errors[2] / 1e5
    assert by_precision[Precision.FIXED32].top10_overlap == 10
    for found in report.precisions:
        assert abs(found.auc_change) < 0.01
        for layer in found.layers:
            assert layer.low <= 0 <= layer.high
            assert layer.error <= layer.largest_error <= layer.bound


def test_labels_drawn_from_the_model_are_ranked_as_well_as_can_be() -> None:
    report = check.check(trace(microrec_small()), items=400, precisions=(Precision.FIXED32,))
    assert report.labels == "drawn"
    assert 0.7 < report.auc < 0.9


def test_data_are_calibrated_on_the_first_half_and_judged_on_the_second() -> None:
    model = trace(Mixed())
    sparse, dense = batch(model, 60)
    assert dense is not None
    dense[30:] *= 100  # outside what the first half showed
    data = check.Data(sparse, dense, np.arange(60) % 2 == 0)
    report = check.check(model, data=data, precisions=(Precision.FIXED16,))
    assert (report.items, report.labels) == (30, "data")
    assert sum(layer.saturations for layer in report.precisions[0].layers) > 0


def test_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"data": None, "precision": "int8", "seed": 1, "dim": 8}
    assert check_command.main("rmc2-8", items=50, json=True, **arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["model"] == "rmc2-8"
    assert len(printed["precisions"][0]["layers"]) == 4


def test_prints_a_table_per_precision(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command.main("rmc2-8", items=50, json=False, data=None, precision=None, seed=1, dim=4) == 0
    printed = capsys.readouterr().out
    for word in (*Precision, "output", "top 10"):
        assert word in printed


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"dense": np.zeros((4, 3), np.float32)}, "must hold an array 'sparse'"),
        ({"sparse": np.zeros((4, 5), np.int64)}, r"sparse must have shape \(items, 6\)"),
        ({"sparse": np.zeros((4, 6), np.int64)}, "dense must be float32"),
        ({"sparse": np.zeros((4, 6), np.int64), "labels": np.zeros(3)}, r"labels must be 0 or 1, of shape \(4,\)"),
        ({"sparse": np.zeros((4, 6), np.int64), "labels": np.full(4, 2)}, "labels must be 0 or 1"),
        ({"sparse": np.zeros((3, 6), np.int64)}, "must hold at least 4 items, not 3"),
    ],
)
def test_says_what_is_wrong_with_a_data_file(tmp_path: Path, arrays: dict, message: str) -> None:
    path = tmp_path / "data.npz"
    if "labels" in arrays or len(arrays.get("sparse", [])) == 3:
        arrays["dense"] = np.zeros((len(arrays["sparse"]), 3), np.float32)
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        check.read_data(path, trace(Mixed()))


def test_refuses_what_is_no_npz_file(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_text("label,id")
    with pytest.raises(InputError, match=r"data\.npz: cannot be read"):
        check.read_data(tmp_path / "data.npz", trace(Mixed()))


@pytest.mark.parametrize(
    ("arguments", "message"), [({"items": 0}, "items must be at least 1"), ({"precision": "half"}, "precision must be")]
)
def test_refuses_bad_arguments(arguments: dict, message: str) -> None:
    given = {"data": None, "precision": None, "items": 10, "seed": 0, "dim": 4, "json": True, **arguments}
    with pytest.raises(MicroduetError, match=message):
        check_command.main("rmc2-8", **given)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
        ([1, 2, 2, 3], [0, 1, 0, 1], 0.875),
        ([1, 2], [1, 1], math.nan),
    ],
)
def test_auc_counts_ties_half(scores: list[int], labels: list[int], expected: float) -> None:
    assert auc(np.array(scores), np.array(labels, bool)) == pytest.approx(expected, nan_ok=True)


def test_top_overlap_ignores_the_order_within_the_head() -> None:
    assert top_overlap(np.array([5, 4, 3, 2]), np.array([4, 5, 2, 3]), count=2) == 2
    assert top_overlap(np.array([5, 4, 3, 2]), np.array([2, 3, 4, 5]), count=2) == 0
