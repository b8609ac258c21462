"""How good predicted click probabilities are."""

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet.ranking import auc
from microduet_hw.config import Frozen

Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8] | npt.NDArray[np.bool_]

SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1 in a log-loss, so that one wrong certainty is not infinite."""

THRESHOLD = 0.5
"""A score of at least this predicts a click."""

NAMES = ("accuracy", "auc", "log_loss", "calibration")


class Metrics(Frozen, frozen=True, kw_only=True):
    """Figures of one model on one set of rows."""

    rows: int
    accuracy: float
    """Share of rows whose label is `score >= 0.5`."""
    auc: float
    """Area under the ROC curve, exact, ties counting half."""
    log_loss: float
    """Mean of -ln of the probability given to the label, in nats."""
    calibration: float
    """Predicted clicks over clicks; 1 is best."""


def metrics(scores: Scores, labels: Labels) -> Metrics:
    """Figures of `scores` (rows,) against `labels` (rows,) of 0 and 1, in O(n log n).

    Raises
    ------
    InputError
        If there are no rows, the shapes differ, a score is no probability, or labels are of one class only.
    """
    check_scores(scores, labels)
    clicks = labels.astype(bool)
    return Metrics(
        rows=len(scores),
        accuracy=float(correct(scores, clicks).mean()),
        auc=auc(scores, clicks),
        log_loss=float(losses(scores, clicks).mean()),
        calibration=float(scores.sum(dtype=np.float64) / clicks.sum()),
    )


def correct(scores: Scores, clicks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Per row, whether the label is predicted: bool (rows,)."""
    return (scores >= THRESHOLD) == clicks


def losses(scores: Scores, clicks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Per row, -ln of the probability given to the label: float64 (rows,)."""
    given = np.where(clicks, scores, 1 - scores.astype(np.float64))
    return -np.log(np.clip(given, SMALLEST, 1 - SMALLEST))


def check_scores(scores: Scores, labels: Labels) -> None:
    """Raise InputError, in one line, if `metrics` means nothing for `scores` and `labels`."""
    if scores.ndim != 1 or len(scores) == 0 or scores.shape != labels.shape:
        raise InputError(f"scores and labels must be of one shape (rows,), not {scores.shape} and {labels.shape}")
    if not ((scores >= 0) & (scores <= 1)).all():
        wrong = int(np.argmin((scores >= 0) & (scores <= 1)))
        raise InputError(f"scores must be probabilities, not {scores[wrong]} (row {wrong})")
    if not np.isin(labels, (0, 1)).all():
        raise InputError("labels must be 0 or 1")
    if labels.min() == labels.max():
        raise InputError(f"labels of both classes are needed, but all {len(labels)} are {int(labels[0])}")
