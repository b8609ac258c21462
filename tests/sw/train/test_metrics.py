"""Metrics against their definitions, and intervals against what they promise."""

import math
import time

import numpy as np
import pytest

from microduet.errors import InputError
from microduet.train.bootstrap import difference, interval, replicates
from microduet.train.metrics import NAMES, metrics


def drawn(rows: int, *, seed: int, places: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, rounded to `places` to make ties, and labels drawn from them."""
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    scores = generator.beta(1, 3, rows)
    return (scores if places is None else scores.round(places)), (generator.random(rows) < scores).astype(np.uint8)


@pytest.mark.parametrize("places", [None, 1])
def test_auc_is_the_share_of_pairs_in_order(places: int | None) -> None:
    scores, labels = drawn(300, seed=1, places=places)
    pairs = scores[labels == 1][:, None] - scores[labels == 0]
    assert metrics(scores, labels).auc == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2, abs=1e-12)


def test_figures_of_four_rows_by_hand() -> None:
    found = metrics(np.array([0.9, 0.5, 0.2, 0.4]), np.array([1, 0, 0, 1], np.uint8))
    assert (found.rows, found.accuracy, found.auc) == (4, 0.5, 0.75)
    assert found.log_loss == pytest.approx(-math.log(0.9 * 0.5 * 0.8 * 0.4) / 4)
    assert found.calibration == pytest.approx(1.0)


def test_one_wrong_certainty_costs_a_finite_loss() -> None:
    assert metrics(np.array([0.0, 1.0, 0.0]), np.array([1, 1, 0], np.uint8)).log_loss < 6


@pytest.mark.parametrize("places", [None, 2])
def test_a_replicate_is_the_metric_of_rows_that_are_repeated(places: int | None) -> None:
    scores, labels = drawn(500, seed=2, places=places)
    found = replicates({"one": scores}, labels, count=3, seed=7)["one"]
    generator = np.random.default_rng(7)
    for row in found:
        weights = generator.integers(0, 1 << 16, len(labels), dtype=np.uint16) / (1 << 16)
        repeats = sum((weights >= sum(math.exp(-1) / math.factorial(k) for k in range(n))) for n in range(1, 9))
        whole = metrics(np.repeat(scores, repeats), np.repeat(labels, repeats))
        assert row == pytest.approx([getattr(whole, name) for name in NAMES], abs=1e-9)


def test_an_interval_has_the_width_of_the_metric_s_own_noise() -> None:
    scores, labels = drawn(4000, seed=3)
    inside = interval(replicates({"one": scores}, labels, count=400)["one"][:, NAMES.index("accuracy")])
    share = metrics(scores, labels).accuracy
    assert inside.holds(share)
    assert inside.high - inside.low == pytest.approx(2 * 1.96 * math.sqrt(share * (1 - share) / 4000), rel=0.15)


def test_nineteen_of_twenty_intervals_hold_the_true_auc() -> None:
    """Of uniform probabilities it is 5/6: the ratio of the integrals of the densities 2p and 2(1 - p)."""
    generator = np.random.default_rng(4)
    held = 0
    for number in range(100):
        scores = generator.random(2000)
        labels = (generator.random(2000) < scores).astype(np.uint8)
        found = replicates({"one": scores}, labels, count=100, seed=number)["one"]
        held += interval(found[:, NAMES.index("auc")]).holds(5 / 6)
    assert 88 <= held <= 100


def test_pairs_of_models_share_their_noise() -> None:
    scores, labels = drawn(20_000, seed=5)
    near = np.clip(scores + np.random.default_rng(6).normal(0, 1e-3, len(scores)), 0, 1)
    found = replicates({"a": scores, "b": near, "c": scores[::-1].copy()}, labels, count=100)
    paired = interval(difference(found, [("a", "b")], "auc"))
    alone = interval(found["a"][:, NAMES.index("auc")])
    assert paired.high - paired.low < (alone.high - alone.low) / 20
    assert interval(difference(found, [("a", "b"), ("b", "a")], "auc")).holds(0)
    assert difference(found, [("a", "a")], "log_loss").max() == 0


def test_a_million_rows_take_a_fraction_of_a_second_per_replicate() -> None:
    scores, labels = drawn(1_000_000, seed=8)
    start = time.perf_counter()
    found = replicates({"one": scores}, labels, count=4)["one"][:, NAMES.index("auc")]
    assert time.perf_counter() - start < 8  # 0.5 s on an idle machine
    assert found.std() < 0.002


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], r"one shape \(rows,\), not \(0,\) and \(0,\)"),
        ([0.5, 0.5], [1], r"not \(2,\) and \(1,\)"),
        ([0.5, 1.5], [0, 1], r"scores must be probabilities, not 1.5 \(row 1\)"),
        ([float("nan"), 0.5], [0, 1], r"scores must be probabilities, not nan \(row 0\)"),
        ([0.5, 0.5], [0, 2], "labels must be 0 or 1"),
        ([0.5, 0.5], [0, 0], "labels of both classes are needed, but all 2 are 0"),
    ],
)
def test_refuses_what_has_no_metrics(scores: list, labels: list, message: str) -> None:
    arrays = np.array(scores, np.float64), np.array(labels, np.uint8)
    with pytest.raises(InputError, match=message):
        metrics(*arrays)
    with pytest.raises(InputError, match=message):
        replicates({"one": arrays[0]}, arrays[1])


def test_refuses_a_single_replicate() -> None:
    with pytest.raises(InputError, match="replicates must be at least 2, not 1"):
        replicates({}, np.array([0, 1], np.uint8), count=1)
