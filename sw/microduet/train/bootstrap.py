"""Paired bootstrap intervals of metrics and of their differences, on millions of rows.

Every replicate gives every row a weight drawn from Poisson(1), independently: the limit of drawing n of n rows
(Chamandy and others, "Estimating uncertainty for massive data streams", 2012). All models see the same weights, so
that differences are paired. Scores are sorted once; a replicate is then linear in the rows.
"""

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet.train.metrics import NAMES, Labels, Scores, check_scores, correct, losses
from microduet_hw.config import Frozen

REPLICATES = 200
LEVEL = 0.95


class Interval(Frozen, frozen=True, kw_only=True):
    """A percentile interval at level 0.95."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` is inside, its ends included."""
        return self.low <= value <= self.high


def replicates(
    models: Mapping[str, Scores], labels: Labels, *, count: int = REPLICATES, seed: int = 0
) -> dict[str, npt.NDArray[np.float64]]:
    """Metrics of every model in every replicate: per model float64 (count, metrics), in the order of `NAMES`.

    Equal seeds give equal weights for an equal number of rows, whatever the models.

    Raises
    ------
    InputError
        As `metrics`, or if `count` is below 2.
    """
    if count < 2:
        raise InputError(f"replicates must be at least 2, not {count}")
    for scores in models.values():
        check_scores(scores, labels)
    clicks = labels.astype(bool)
    areas = {name: _Area(scores, clicks) for name, scores in models.items()}
    sums = [
        column for scores in models.values() for column in (correct(scores, clicks), losses(scores, clicks), scores)
    ]
    matrix = np.stack([np.ones(len(clicks)), clicks, *sums], axis=1)
    del sums  # as large as the matrix
    generator = np.random.default_rng(seed)
    results = {name: np.full((count, len(NAMES)), np.nan) for name in models}
    for number in range(count):
        weights = _poisson(generator, len(labels))
        total, positives, *rest = weights.astype(np.float64) @ matrix
        if positives in (0, total):
            continue  # undefined on this replicate, and on so few rows that quantiles would mean nothing
        for place, (name, area) in enumerate(areas.items()):
            right, loss, predicted = rest[3 * place : 3 * place + 3]
            share = area.pairs(weights) / (positives * (total - positives))
            results[name][number] = right / total, share, loss / total, predicted / positives
    return results


def interval(values: npt.NDArray[np.float64], *, level: float = LEVEL) -> Interval:
    """The middle `level` of `values` (replicates,)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high))


def difference(
    found: Mapping[str, npt.NDArray[np.float64]], pairs: Sequence[tuple[str, str]], metric: str
) -> npt.NDArray[np.float64]:
    """Mean over `pairs` of `metric` of the first model less that of the second: float64 (replicates,).

    With one pair per seed of the training this is the paired difference of the mean over seeds.
    """
    column = NAMES.index(metric)
    return np.mean([found[first][:, column] - found[second][:, column] for first, second in pairs], axis=0)


class _Area:
    """Ranks of one model's scores: which rows are positive, which are not, both in ascending order of score."""

    def __init__(self, scores: Scores, clicks: npt.NDArray[np.bool_]) -> None:
        order = np.argsort(scores, kind="stable").astype(np.int32)
        positive = clicks[order]
        self._positive, self._negative = order[positive], order[~positive]
        below = scores[self._negative]
        self._first = np.searchsorted(below, scores[self._positive], side="left").astype(np.int32)
        last = np.searchsorted(below, scores[self._positive], side="right").astype(np.int32)
        self._last = last if (last != self._first).any() else None

    def pairs(self, weights: npt.NDArray[np.uint8]) -> float:
        """Weighted pairs in the right order, ties counting half; exact."""
        sums = np.zeros(len(self._negative) + 1, np.int32)
        np.cumsum(weights[self._negative], out=sums[1:])
        below = sums[self._first].astype(np.float64)
        if self._last is not None:
            below = (below + sums[self._last]) / 2
        return float(weights[self._positive].astype(np.float64) @ below)


@functools.cache
def _table() -> npt.NDArray[np.uint8]:
    """Poisson(1) by 16 random bits; rounding moves its mean by less than 1e-5, which the sums divide out."""
    ends = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    return np.searchsorted(ends, (np.arange(1 << 16) + 0.5) / (1 << 16), side="right").astype(np.uint8)


def _poisson(generator: np.random.Generator, count: int) -> npt.NDArray[np.uint8]:
    return _table()[generator.integers(0, 1 << 16, count, dtype=np.uint16)]
