"""Users, items and what they do in the generated click log: every id is a function of the seed and a row's number."""

import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from microduet.data.draws import STEPS, Words, Zipf, draw, normal_steps, stream
from microduet.duet.shape import DlrmShape

Ints = npt.NDArray[np.int64]

GROUPS = 16
"""Groups of items that users have a taste for; an id's group is its number modulo 16."""

ERA = 32
"""Clicks after which a user's taste may drift."""

RESET = 4
"""A device forgets its history every RESET times its length, so that some histories are always short."""

EXPONENT = 1.05
"""Of the popularity of items, attributes and users' activity (Zipf)."""

LOYALTY = 0.5
"""Share of a user's clicks, and of the items shown to him, that his taste chose."""

Kind = typing.Literal["user id", "static", "context", "history", "item id", "item"]


@dataclasses.dataclass(frozen=True)
class Feature:
    """One sparse feature of the shape: what its ids are."""

    number: int
    kind: Kind
    table: int
    rows: int
    lookups: int


@dataclasses.dataclass(frozen=True)
class Who:
    """The rows' numbers, users, users' clicks so far and candidates, int64 (rows,) each."""

    numbers: Ints
    users: Ints
    clicks: Ints
    items: Ints


def features_of(shape: DlrmShape) -> tuple[Feature, ...]:
    """What each feature of `shape` holds.

    The user's first feature of one lookup is his number, every fourth other one is context, the rest are his
    attributes; several lookups are a history. The item's first feature of one lookup is its number.
    """
    found: list[Feature] = []
    singles, numbered = 0, False
    for number, feature in enumerate(shape.features):
        kind: Kind = "item"
        if number in shape.user.features:
            kind = "history"
            if feature.lookups == 1:
                kind = "user id" if singles == 0 else "context" if singles % 4 == 0 else "static"
                singles += 1
        elif feature.lookups == 1 and not numbered:
            kind, numbered = "item id", True
        found.append(Feature(number, kind, feature.table, shape.tables[feature.table].rows, feature.lookups))
    return tuple(found)


class World:
    """Draws users, candidates, histories, attributes and dense inputs for any rows of the log.

    Parameters
    ----------
    shape : the model whose inputs are drawn
    seed : equal seeds draw equal worlds
    users : how many there are
    """

    def __init__(self, shape: DlrmShape, *, seed: int, users: int) -> None:
        self.shape, self.users, self._seed = shape, users, seed
        self.features = features_of(shape)
        items = [feature for feature in self.features if feature.kind == "item id"]
        self._item_table = items[0].table if items else -1
        self.items = max(f.rows for f in items or self.features)
        self._history = max((f.lookups for f in self.features if f.kind == "history"), default=1)
        self._popularity = Zipf(self.items, EXPONENT)
        self._activity = Zipf(users, 0.5)
        self._zipfs = {f.rows: Zipf(f.rows, EXPONENT) for f in self.features}
        self._normal = normal_steps()

    def _draw(self, purpose: int, counters: Ints, *more: int) -> Words:
        return draw(stream(self._seed, purpose, *more), counters)

    def who(self, numbers: Ints) -> Who:
        """Users and candidates of rows `numbers`."""
        users = self._activity.ranks(self._draw(1, numbers)).astype(np.int64)
        reset = RESET * self._history
        clicks = numbers // self.users + (self._draw(2, users) % np.uint64(reset)).astype(np.int64)
        favourites = self._favourites(users, clicks // ERA)
        items = self._choose(self._draw(3, numbers), favourites, self._popularity)
        return Who(numbers, users, clicks, items.astype(np.int64))

    def _favourites(self, users: Ints, eras: Ints) -> npt.NDArray[np.int32]:
        """The group that users like in `eras`: one of all times, and in every other era a new one."""
        always = self._draw(4, users)
        now = self._draw(5, users * 65_536 + eras)
        return np.where(now >> np.uint64(32) & np.uint64(1), now, always).astype(np.int32) & np.int32(GROUPS - 1)

    def _choose(self, words: Words, groups: npt.NDArray[np.int32], popularity: Zipf) -> npt.NDArray[np.int32]:
        """Popular ids, LOYALTY of them moved to the nearest id of `groups`."""
        ranks = popularity.ranks(words)
        if popularity.rows < 2 * GROUPS:
            return ranks
        loyal = (words >> np.uint64(48)).astype(np.int32) < np.int32(LOYALTY * STEPS)
        return np.where(loyal, _of_group(ranks, groups, popularity.rows), ranks)

    def histories(self, who: Who, lookups: int) -> npt.NDArray[np.int32]:
        """The last `lookups` items that the rows' users clicked before, newest first, int32 (rows, lookups); -1: none.

        A click of a user is the same item in every row that sees it; one click later it is one place further back.
        """
        back = np.arange(1, lookups + 1)
        events = who.clicks[:, None] - back
        eras = np.arange(lookups // ERA + 2)
        last = who.clicks // ERA
        tastes = self._favourites(who.users[:, None], np.maximum(last[:, None] - eras, 0))
        groups = np.take_along_axis(tastes, np.minimum(last[:, None] - events // ERA, len(eras) - 1), 1)
        words = self._draw(6, who.users[:, None] * (1 << 24) + np.maximum(events, 0))
        age = who.clicks % (RESET * self._history)
        return np.where(back <= age[:, None], self._choose(words, groups, self._popularity), np.int32(-1))

    def attributes(self, items: npt.NDArray[np.integer], table: int, rows: int, places: int) -> npt.NDArray[np.int32]:
        """Ids in `table` of items (..., 1), int32 (..., places): popular ones more often, all of the item's group."""
        if table == self._item_table and places == 1:
            return items.astype(np.int32)
        counters = items.astype(np.int64) * places + np.arange(places)
        ranks = self._zipfs[rows].ranks(self._draw(7, counters, table))
        if rows >= 2 * GROUPS:
            ranks = _of_group(ranks, items.astype(np.int32) & np.int32(GROUPS - 1), rows)
        return ranks

    def ids(self, feature: Feature, who: Who, histories: npt.NDArray[np.int32] | None) -> npt.NDArray[np.int32]:
        """Ids of one feature, int32 (rows, lookups), -1 for an empty place."""
        match feature.kind:
            case "user id":
                return (who.users[:, None] % feature.rows).astype(np.int32)
            case "static" | "context":
                counters = who.users if feature.kind == "static" else who.numbers
                return self._zipfs[feature.rows].ranks(self._draw(8, counters, feature.number))[:, None]
            case "history":
                assert histories is not None
                past = histories[:, : feature.lookups]
                ids = self.attributes(past[..., None], feature.table, feature.rows, 1)[..., 0]
                return np.where(past < 0, np.int32(-1), ids)
            case "item id" | "item":
                return self.attributes(who.items[:, None], feature.table, feature.rows, feature.lookups)

    def sparse(self, who: Who) -> list[npt.NDArray[np.int32]]:
        """Ids of all features, in their order."""
        longest = max((f.lookups for f in self.features if f.kind == "history"), default=0)
        histories = self.histories(who, longest) if longest else None
        return [self.ids(feature, who, histories) for feature in self.features]

    def dense(self, who: Who) -> npt.NDArray[np.float32]:
        """Standard normal numbers, float32 (rows, D): static columns a function of the user, context of the row."""
        values = np.empty((len(who.numbers), self.shape.dense), np.float32)
        for purpose, counters, columns in (
            (9, who.users, self.shape.user.static),
            (10, who.numbers, self.shape.user.context),
        ):
            if columns:
                words = -(-len(columns) // 4)
                bits = self._draw(purpose, counters[:, None] * words + np.arange(words)).view(np.uint16)
                values[:, list(columns)] = self._normal.take(bits[:, : len(columns)])
        return values


def _of_group(ranks: npt.NDArray[np.int32], groups: npt.NDArray[np.int32], rows: int) -> npt.NDArray[np.int32]:
    moved = ranks & np.int32(~(GROUPS - 1)) | groups
    return np.where(moved < rows, moved, moved - np.int32(GROUPS))
