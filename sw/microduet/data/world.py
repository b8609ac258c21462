"""Users and what they do in the generated click log: every id is a function of the seed and a row's number."""

import copy
import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from microduet.data.draws import Words, Zipf, draw, normal_steps, stream
from microduet.data.items import EXPONENT, GROUPS, Ids, Ints, Items
from microduet.duet.shape import DlrmShape

ERA = 32
"""Clicks after which a user's taste may drift."""

RESET = 4
"""A device forgets its history every RESET times its length, so that some histories are always short."""

Kind = typing.Literal["user id", "static", "context", "history", "item id", "item", "item list"]


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


@dataclasses.dataclass(frozen=True)
class Rows:
    """What some rows are drawn from.

    Members
    -------
    past : int32 (rows, longest history), the items that the rows' users clicked, newest first; -1: none
    families : int64 (rows,), the candidates'
    singles : ids of the features of one lookup, by their number, int32 (rows,) each
    dense : float32 (rows, D)
    """

    past: Ids
    families: Ints
    singles: dict[int, Ids]
    dense: npt.NDArray[np.float32]


def features_of(shape: DlrmShape) -> tuple[Feature, ...]:
    """What each feature of `shape` holds.

    The user's first feature of one lookup is his number, every fourth other one is context, the rest are his
    attributes; several lookups are a history. The item's first feature of one lookup is its number; several lookups
    are a list of attributes.
    """
    found: list[Feature] = []
    singles, numbered = 0, False
    for number, feature in enumerate(shape.features):
        kind: Kind = "item" if feature.lookups == 1 else "item list"
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
        numbered = [feature for feature in self.features if feature.kind == "item id"]
        count = max(f.rows for f in numbered or self.features)
        self.items = Items(count, table=numbered[0].table if numbered else -1, seed=seed)
        self.longest = max((f.lookups for f in self.features if f.kind == "history"), default=0)
        self._activity = Zipf(users, 0.5)
        self._zipfs = {f.rows: Zipf(f.rows, EXPONENT) for f in self.features}
        self._normal = normal_steps()

    def of(self, users: int) -> "World":
        """The same world, with `users` users; what is known of its items is shared."""
        other = copy.copy(self)
        other.users, other._activity = users, Zipf(users, 0.5)
        return other

    def _draw(self, purpose: int, counters: Ints, *more: int) -> Words:
        return draw(stream(self._seed, purpose, *more), counters)

    def who(self, numbers: Ints) -> Who:
        """Users and candidates of rows `numbers`."""
        users = self._activity.ranks(self._draw(1, numbers)).astype(np.int64)
        reset = RESET * max(1, self.longest)
        clicks = numbers // self.users + (self._draw(2, users) % np.uint64(reset)).astype(np.int64)
        favourites = self._favourites(users, clicks // ERA)
        items = self.items.chosen(self._draw(3, numbers), favourites)
        return Who(numbers, users, clicks, items.astype(np.int64))

    def _favourites(self, users: Ints, eras: Ints) -> Ids:
        """The group that users like in `eras`: one of all times, and in every other era a new one."""
        always = self._draw(4, users)
        now = self._draw(5, users * 65_536 + eras)
        return np.where(now >> np.uint64(32) & np.uint64(1), now, always).astype(np.int32) & np.int32(GROUPS - 1)

    def histories(self, who: Who) -> Ids:
        """The last items that the rows' users clicked before, newest first, int32 (rows, longest); -1: none.

        A click of a user is the same item in every row that sees it; one click later it is one place further back.
        """
        if not self.longest:
            return np.zeros((len(who.numbers), 0), np.int32)
        back = np.arange(1, self.longest + 1)
        events = who.clicks[:, None] - back
        eras = np.arange(self.longest // ERA + 2)
        last = who.clicks // ERA
        tastes = self._favourites(who.users[:, None], np.maximum(last[:, None] - eras, 0))
        groups = np.take_along_axis(tastes, np.minimum(last[:, None] - events // ERA, len(eras) - 1), 1)
        words = self._draw(6, who.users[:, None] * (1 << 24) + np.maximum(events, 0))
        age = who.clicks % (RESET * self.longest)
        return np.where(back <= age[:, None], self.items.chosen(words, groups), np.int32(-1))

    def rows(self, who: Who) -> Rows:
        """All inputs of rows, in the form that the click model reads."""
        lists = next((self._list(f) for f in self.features if f.kind == "item list"), None)
        return Rows(
            past=self.histories(who),
            families=who.items % (1 if lists is None else len(lists)),
            singles={f.number: self._single(f, who) for f in self.features if f.kind not in ("history", "item list")},
            dense=self.dense(who),
        )

    def _list(self, feature: Feature) -> Ids:
        return self.items.lists(feature.table, feature.rows, feature.lookups)

    def _single(self, feature: Feature, who: Who) -> Ids:
        match feature.kind:
            case "user id":
                return (who.users % feature.rows).astype(np.int32)
            case "static" | "context":
                counters = who.users if feature.kind == "static" else who.numbers
                return self._zipfs[feature.rows].ranks(self._draw(8, counters, feature.number))
            case _:
                return self.items.attributes(who.items, feature.table, feature.rows)

    def sparse(self, rows: Rows, out: Ints | None = None) -> Ints:
        """Ids of all features in their order, int64 (rows, lookups), -1 for an empty place; in `out` if given."""
        ids = np.empty((len(rows.families), self.shape.lookups), np.int64) if out is None else out
        for feature in self.features:
            columns = ids[:, self.shape.columns(feature.number)]
            if feature.kind == "history":
                known = self.items.every_attribute(feature.table, feature.rows)
                columns[:] = known.take(rows.past[:, : feature.lookups])
            elif feature.kind == "item list":
                columns[:] = self._list(feature).take(rows.families, axis=0)
            else:
                columns[:, 0] = rows.singles[feature.number]
        return ids

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
                first, end = columns[0], columns[-1] + 1
                where = slice(first, end) if end - first == len(columns) else list(columns)
                values[:, where] = self._normal.take(bits[:, : len(columns)])
        return values
