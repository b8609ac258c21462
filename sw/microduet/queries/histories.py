"""The embeddings that go down with an answer, so that a click on one of its items can go into the user's history."""

import itertools
import typing
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microduet.errors import InputError
from microduet_hw.edge.config import EdgeConfig

if typing.TYPE_CHECKING:
    from microduet.models.split import SplitModel

FLOAT_BYTES = 4
"""Embeddings go down as float32."""

Entry = tuple[npt.NDArray[np.float32], ...]
"""Of one item: per history group float32 (elements of all its tables,)."""


class Histories:
    """Looks up, in the datacentre, what an item leaves in a history that it is clicked into.

    Parameters
    ----------
    model : a `duet` split; the tables of its user features
    """

    def __init__(self, model: "SplitModel") -> None:
        from microduet.duet.configure import histories
        from microduet.duet.users import user_tables

        shape = model.shape
        self._tables = user_tables(model)
        self._rows = [shape.tables[shape.features[k].table].rows for k in shape.user.features]
        self._groups = [len(group.dims) for group in histories(model.spec.shape, model.split)]

    @property
    def lookups(self) -> int:
        """Ids of one entry: one per user feature."""
        return len(self._tables)

    def entry(self, ids: npt.ArrayLike) -> Entry:
        """The embeddings of one item: `ids` int64 (lookups,), a row of each user feature's table.

        Raises
        ------
        InputError
            If there are not as many ids, or one is not a row of its table.
        """
        from microduet.duet.users import user_rows

        given = np.asarray(ids, np.int64)
        if given.shape != (self.lookups,):
            raise InputError(f"an entry has {self.lookups} ids, not {given.shape}")
        rows: list[npt.NDArray[np.float32]] = []
        for number, (table, limit, one) in enumerate(zip(self._tables, self._rows, given.tolist(), strict=True)):
            if not 0 <= one < limit:
                raise InputError(f"id {number} of an entry must be 0 to {limit - 1}, not {one}")
            rows.append(user_rows(table, np.array([one]))[0].astype(np.float32))
        return split_entry(rows, self._groups)


def split_entry(rows: Sequence[npt.NDArray[np.float32]], groups: Sequence[int]) -> Entry:
    """Rows of all user features as one array per history group, whose numbers of features are given."""
    ends = np.cumsum([0, *groups])
    return tuple(np.concatenate(rows[first:end]) for first, end in itertools.pairwise(ends))


def entry_bytes(config: EdgeConfig) -> int:
    """Bytes of one item's embeddings on their way down."""
    return FLOAT_BYTES * sum(history.elements for history in config.histories)
