"""The golden ranking of a query's items."""

import numpy as np
import pytest

from microduet.golden import GoldenResult
from microduet.queries.golden import best_first, best_items
from microduet_hw.status import Status


def golden(logits: list[int]) -> GoldenResult:
    values = np.array(logits, np.int64)
    return GoldenResult(
        vector=np.zeros((len(logits), 1), np.int64),
        layers=(),
        logits=values,
        scores16=values + 1000,
        saturations=(0,),
        logit_fraction=0,
        sigmoid=True,
    )


def test_equal_logits_rank_by_tag() -> None:
    best = best_items(golden([5, 9, 5, -1, 9]), top_k=4, tags=np.array([7, 3, 2, 0, 1]))
    assert best.tags.tolist() == [1, 3, 2, 7]
    assert best.logits.tolist() == [9, 9, 5, 5]
    assert best.scores16.tolist() == [1009, 1009, 1005, 1005]
    assert best_first(np.array([0, 0]), np.array([1, 0])).tolist() == [1, 0]


@pytest.mark.parametrize("top_k", [1, 2, 3, 64])
def test_never_more_than_there_are(top_k: int) -> None:
    assert best_items(golden([3, 1, 2]), top_k=top_k).tags.tolist() == [0, 2, 1][:top_k]


def test_items_with_flags_are_not_ranked_but_seen() -> None:
    best = best_items(golden([5, 9, 7]), top_k=16, status=np.array([0, 2, 0]))
    assert (best.tags.tolist(), best.status) == ([2, 0], Status.AXI_ERROR)


def test_an_empty_ranking_has_all_flags() -> None:
    best = best_items(golden([5, 9]), top_k=16, status=np.array([1, 4]))
    assert (len(best.tags), best.status) == (0, Status.INDEX_RANGE | Status.TIMEOUT)
