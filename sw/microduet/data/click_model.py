"""The model that draws the clicks of the generated log: known, a function of a row's inputs alone, and learnable."""

import typing
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from microduet.data.items import GROUPS
from microduet.data.world import Rows, World
from microduet_hw.config import Frozen

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32]

KNOWN = 16_384
"""Ids from this rank on are too rare to matter: they carry nothing."""

HEAD = 64
"""An id of rank k weighs 1 / (1 + k / HEAD): the common ones decide."""

GROUP_SHARE = 0.5
"""Of an id's hidden number, the share of its variance that is its group's."""

_SAMPLE = 8192
_LIMIT = 4.0


class ClickShares(Frozen, frozen=True, kw_only=True):
    """How clicks come about.

    Parameters
    ----------
    rate : mean probability of a click, about
    spread : standard deviation of the logits
    dense, user, item, interaction : shares of the logits' variance; those that a shape has no inputs for are left out
    """

    rate: float = 0.25
    spread: float = 1.6
    dense: float = 0.25
    user: float = 0.2
    item: float = 0.45
    interaction: float = 0.1


class Sums(typing.NamedTuple):
    """Sums of hidden numbers, float64 (rows,): of the user's features, of those that show his taste, of the item's."""

    user: Floats
    taste: Floats
    item: Floats


class ClickModel:
    """P(click) = sigmoid(bias + spread * (sqrt(d) D + sqrt(u) U + sqrt(i) I + sqrt(x) X)).

    Every id has a hidden number, in part its group's, which shrinks with its rank; a feature's is the sum over its
    lookups, standardised. D is a weighted sum of the dense inputs, U the sum of the user's features, I that of the
    item's, and X the product of I and of the user's histories. All four are standardised and cut at 4 deviations.

    Parameters
    ----------
    world : draws the rows that set the scales; its number of users does not decide the hidden numbers
    seed : decides them
    shares : as ClickShares
    """

    def __init__(self, world: World, *, seed: int, shares: ClickShares) -> None:
        self._shares, self._world, self._features = shares, world, world.features
        generator = np.random.default_rng([seed, 0xC11C])
        centres = generator.standard_normal(GROUPS)
        tables = {f.table: f.rows for f in world.features}
        hidden = {t: _hidden(generator, centres, tables[t]) for t in sorted(tables)}
        self._hidden = [hidden[f.table] * np.float32(f.kind != "user id") for f in world.features]
        count = world.shape.dense
        weights = generator.standard_normal(count) / np.sqrt(1 + np.arange(count) / 8)
        self._weights = weights.astype(np.float32)
        self._item = np.array([f.kind in ("item id", "item", "item list") for f in world.features])
        past = np.array([f.kind == "history" for f in world.features])
        self._taste = past if past.any() else ~self._item
        rows = world.rows(world.who(np.arange(_SAMPLE)))
        self._means = self._standardise(world.sparse(rows))
        self._past, self._lists = self._of_items()
        self._standard, self._bias = (np.ones(4), np.zeros(4)), 0.0
        self._standard = _standardising(self._terms(self.sums(rows), rows.dense))
        self._bias = self._bias_for(self.logits(rows))

    def _standardise(self, sparse: npt.NDArray[np.int64]) -> Floats:
        """Scale the hidden numbers so that every feature's sums vary by 1; the sums' means, (features,)."""
        scale, means = _standardising(np.stack([*self._pooled(sparse)], 1))
        self._hidden = [(own * one).astype(np.float32) for own, one in zip(self._hidden, scale, strict=True)]
        return means * scale

    def _bias_for(self, logits: Floats) -> float:
        low, high = -30.0, 30.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if sigmoid(logits + middle).mean() < self._shares.rate else (low, middle)
        return low

    def _of_items(self) -> tuple[dict[int, Numbers], Numbers]:
        """What the features of one item add up to: of past items, by the length of their histories, and of families."""
        items = self._world.items
        past: dict[int, Numbers] = {}
        lists = np.zeros(1, np.float32)
        for feature, hidden in zip(self._features, self._hidden, strict=True):
            if feature.kind == "history":
                own = _looked_up(hidden, items.every_attribute(feature.table, feature.rows))
                past[feature.lookups] = past.get(feature.lookups, 0) + own
            elif feature.kind == "item list":
                lists = lists + _looked_up(hidden, items.lists(feature.table, feature.rows, feature.lookups)).sum(1)
        return past, lists

    def _pooled(self, sparse: npt.NDArray[np.int64]) -> Iterator[Floats]:
        """Of each feature, the sums of the hidden numbers of its ids, (rows,)."""
        for feature, hidden in zip(self._features, self._hidden, strict=True):
            ids = sparse[:, self._world.shape.columns(feature.number)]
            yield _looked_up(hidden, ids).sum(1).astype(np.float64)

    def sums_of(self, sparse: npt.NDArray[np.int64]) -> Sums:
        """The sums from a row's inputs, int64 (rows, lookups): what `sums` gives, but for rounding, and slower."""
        pooled = np.stack([*self._pooled(sparse)], 1)
        return Sums(pooled[:, ~self._item].sum(1), pooled[:, self._taste].sum(1), pooled[:, self._item].sum(1))

    def sums(self, rows: Rows) -> Sums:
        """The sums, from what is known of every past item and every family: they are linear in the hidden numbers."""
        past, others = np.zeros(len(rows.families)), np.zeros(len(rows.families))
        for length, known in self._past.items():
            past += known.take(rows.past[:, :length]).sum(1)
        item = self._lists.take(rows.families).astype(np.float64)
        for number, ids in rows.singles.items():
            side = item if self._item[number] else others
            side += _looked_up(self._hidden[number], ids)
        return Sums(past + others, past if self._past else others, item)

    def _terms(self, sums: Sums, dense: npt.NDArray[np.float32]) -> Floats:
        """D, U, I and X before they are standardised, float64 (rows, 4)."""
        taste, item = sums.taste - self._means[self._taste].sum(), sums.item - self._means[self._item].sum()
        return np.stack([np.einsum("rd,d->r", dense, self._weights), sums.user, sums.item, taste * item], 1)

    def terms(self, sums: Sums, dense: npt.NDArray[np.float32]) -> Floats:
        """What D, U, I and X add to the logits, float64 (rows, 4)."""
        chosen = self._shares
        scale, mean = self._standard
        shares = np.array([chosen.dense, chosen.user, chosen.item, chosen.interaction]) * (scale > 0)
        weights = chosen.spread * np.sqrt(shares / max(shares.sum(), 1e-9))
        return weights * np.clip((self._terms(sums, dense) - mean) * scale, -_LIMIT, _LIMIT)

    def logits(self, rows: Rows) -> Floats:
        """Of rows, float64 (rows,)."""
        return self._bias + self.terms(self.sums(rows), rows.dense).sum(1)


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-logits))


def _hidden(generator: np.random.Generator, centres: Floats, rows: int) -> Numbers:
    """Hidden numbers of a table's known ids, and zero for all others: float32 (known + 1,)."""
    ids = np.arange(min(rows, KNOWN))
    own, groups = generator.standard_normal(len(ids)), centres[ids % GROUPS]
    numbers = (np.sqrt(1 - GROUP_SHARE) * own + np.sqrt(GROUP_SHARE) * groups) / (1 + ids / HEAD)
    return np.append(numbers, 0).astype(np.float32)


def _looked_up(hidden: Numbers, ids: npt.NDArray[np.integer]) -> Numbers:
    """Hidden numbers of `ids`, zero for those that are unknown or -1."""
    return hidden.take(np.minimum(ids.astype(np.uint32), np.uint32(len(hidden) - 1)))


def _standardising(values: Floats) -> tuple[Floats, Floats]:
    """Factors and means that bring (rows, ...) to mean 0 and variance 1; factor 0 where nothing varies."""
    deviation = values.std(0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9)
    return scale, values.mean(0)
