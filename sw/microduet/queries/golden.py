"""What the answer to a query should be: the golden models' user vector and ranking."""

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microduet.queries.ranking import QueryStatus, Ranking
from microduet_hw.status import Status

if typing.TYPE_CHECKING:
    from microduet.bundle import Bundle
    from microduet.edge.bundle import EdgeBundle
    from microduet.golden import GoldenResult

Ids = npt.NDArray[np.int64]


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


class GoldenSystem:
    """The golden models of an edge unit and an engine, as one.

    Parameters
    ----------
    edge, engine : bundles of one split model
    """

    def __init__(self, edge: "EdgeBundle", engine: "Bundle") -> None:
        from microduet.duet.golden import GoldenUser

        self._edge = edge
        self._user = GoldenUser(config=edge.config, model=edge.model)
        self._items = engine.golden()

    def user_vector(
        self,
        histories: Sequence[Sequence[npt.ArrayLike]],
        static: npt.ArrayLike | None,
        context: npt.ArrayLike,
    ) -> npt.NDArray[np.uint8]:
        """The unit's payload, uint8 (bytes,).

        Parameters
        ----------
        histories : of each group its entries, float32 (elements,) each
        static, context : float32 (inputs,); left out of account if the unit has no such inputs
        """
        edge, config = self._edge, self._edge.config
        rows = [
            np.array([edge.entry(number, entry) for entry in entries], np.int64).reshape(1, -1, history.elements)
            for number, (entries, history) in enumerate(zip(histories, config.histories, strict=True))
        ]
        return self._user.run(
            rows,
            edge.static(static)[None] if config.static is not None and static is not None else None,
            edge.context(context)[None] if config.dynamic is not None else None,
        ).payload[0]

    def best(self, user: npt.NDArray[np.uint8], candidates: Ids, *, top_k: int) -> Best:
        """The best of candidates int64 (n, lookups) for a user vector; they are called 0, 1, 2, ..."""
        return best_items(self._items.run(candidates, users=user), top_k=top_k)

    def differs(self, ranking: Ranking, user: npt.NDArray[np.uint8], candidates: Ids, *, k: int) -> bool:
        """Whether a ranking, its user vector or, where asked for, any candidate's own result is not as it should be."""
        if ranking.status is not QueryStatus.OK or ranking.payload is None or (ranking.payload != user).any():
            return True
        result = self._items.run(candidates, users=user)
        best = best_items(result, top_k=k)
        right = bool((ranking.tags == best.tags).all() and (ranking.logits == best.logits).all())
        right &= bool((ranking.scores == (best.scores16 / 65536).astype(np.float32)).all())
        if ranking.own is not None:
            own = np.stack([result.logits, result.scores16, np.zeros_like(result.logits)], 1)
            right &= bool((ranking.own == own).all())
        return not right
