"""The items of the generated click log: how popular they are, their groups, and what describes them in every table."""

import functools

import numpy as np
import numpy.typing as npt

from microduet.data.draws import STEPS, Words, Zipf, draw, stream

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]

GROUPS = 16
"""Groups of items that users have a taste for; an id's group is its number modulo 16."""

FAMILIES = 4096
"""Items of one number modulo this are variants of one thing: their lists of attributes are equal."""

EXPONENT = 1.05
"""Of the popularity of items, attributes and users' activity (Zipf)."""

LOYALTY = 0.5
"""Share of a user's clicks, and of the items shown to him, that his taste chose."""


class Items:
    """Draws items and their attributes.

    Parameters
    ----------
    count : how many items there are
    table : whose ids are the items' own numbers, -1 if there is none
    seed : decides what describes an item
    """

    def __init__(self, count: int, *, table: int, seed: int) -> None:
        self.count, self._table, self._seed = count, table, seed
        self._popularity = Zipf(count, EXPONENT)
        self._zipf = functools.cache(lambda rows: Zipf(rows, EXPONENT))
        self._known: dict[int, Ids] = {}
        self._lists: dict[tuple[int, int], Ids] = {}

    def chosen(self, words: Words, groups: Ids) -> Ids:
        """Popular items, LOYALTY of them moved to the nearest item of `groups`."""
        ranks = self._popularity.ranks(words)
        if self.count < 2 * GROUPS:
            return ranks
        loyal = (words >> np.uint64(48)).astype(np.int32) < np.int32(LOYALTY * STEPS)
        return np.where(loyal, _of_group(ranks, groups, self.count), ranks)

    def attributes(self, items: npt.NDArray[np.integer], table: int, rows: int) -> Ids:
        """The id of `items` (n,) in `table`, int32 (n,): popular ones more often, all of the item's group."""
        if table == self._table:
            return items.astype(np.int32)
        return self._drawn(items.astype(np.int64)[:, None], table, rows, 1)[:, 0]

    def every_attribute(self, table: int, rows: int) -> Ids:
        """The id of every item in `table`, then -1: int32 (items + 1,), to be looked up by item, -1 for no item."""
        if table not in self._known:
            ids = self.attributes(np.arange(self.count), table, rows)
            self._known[table] = np.append(ids, np.int32(-1))
        return self._known[table]

    def lists(self, table: int, rows: int, places: int) -> Ids:
        """The `places` ids of every family in `table`, int32 (families, places)."""
        if (table, places) not in self._lists:
            families = np.arange(min(FAMILIES, self.count))[:, None]
            self._lists[table, places] = self._drawn(families, table, rows, places)
        return self._lists[table, places]

    def _drawn(self, items: Ints, table: int, rows: int, places: int) -> Ids:
        words = draw(stream(self._seed, 7, table), items * places + np.arange(places))
        ranks = self._zipf(rows).ranks(words)
        if rows >= 2 * GROUPS:
            ranks = _of_group(ranks, (items & (GROUPS - 1)).astype(np.int32), rows)
        return ranks


def _of_group(ranks: Ids, groups: Ids, rows: int) -> Ids:
    moved = ranks & np.int32(~(GROUPS - 1)) | groups
    return np.where(moved < rows, moved, moved - np.int32(GROUPS))
