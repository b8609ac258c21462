"""How good a ranking is: area under the ROC curve, and agreement of two rankings' heads."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating] | npt.NDArray[np.integer]


def auc(scores: Values, labels: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a positive item ranks before a negative one, ties counting half.

    NaN if all labels are equal. By ranks (Mann and Whitney, 1947).
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[places][labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def top_overlap(exact: Values, other: Values, *, count: int) -> int:
    """How many of the first `count` items of one ranking are among those of the other; of equals, the first counts."""
    first = {*np.argsort(-exact, kind="stable")[:count].tolist()}
    return len(first & {*np.argsort(-other, kind="stable")[:count].tolist()})
