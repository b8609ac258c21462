"""What the engine's answer to a query should be: the golden model's ranking of its items."""

import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from microduet_hw.status import Status

if typing.TYPE_CHECKING:
    from microduet.golden import GoldenResult


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Best:
    """The best items of a query, best first.

    Members
    -------
    tags : uint32 (k,), of the items
    logits : int64 (k,)
    scores16 : int64 (k,), fractions of 2^16
    status : flags of all of the query's items
    """

    tags: npt.NDArray[np.uint32]
    logits: npt.NDArray[np.int64]
    scores16: npt.NDArray[np.int64]
    status: Status


def best_items(
    result: "GoldenResult",
    *,
    top_k: int,
    tags: npt.NDArray[np.integer] | None = None,
    status: npt.NDArray[np.integer] | None = None,
) -> Best:
    """The answer to a query whose items have the golden `result`.

    Parameters
    ----------
    top_k : of the engine
    tags : of the items; by default 0, 1, 2, ...
    status : flags of the items; one that has any is not ranked
    """
    numbers = np.arange(len(result.logits), dtype=np.uint32) if tags is None else np.asarray(tags).astype(np.uint32)
    flags = np.zeros(len(numbers), np.int64) if status is None else np.asarray(status, np.int64)
    good = np.flatnonzero(flags == 0)
    best = good[best_first(result.logits[good], numbers[good])][:top_k]
    return Best(
        tags=numbers[best],
        logits=result.logits[best],
        scores16=result.scores16[best],
        status=Status(int(np.bitwise_or.reduce(flags, initial=0))),
    )


def best_first(logits: npt.NDArray[np.integer], tags: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Places of items by rank: higher logits first, lower tags first among equals."""
    return np.lexsort((tags, -logits.astype(np.int64)))
