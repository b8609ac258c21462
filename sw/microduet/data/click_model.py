"""The model that draws the clicks of the generated log: known, a function of a row's inputs alone, and learnable."""

import numpy as np
import numpy.typing as npt

from microduet.data.world import GROUPS, World
from microduet_hw.config import Frozen

Floats = npt.NDArray[np.float64]

KNOWN = 65_536
"""Ids from this rank on are too rare to matter: they carry nothing."""

HEAD = 1000
"""An id of rank k weighs 1 / sqrt(1 + k / HEAD)."""

TASTES = 3
"""Elements of a hidden vector behind the first, in which users' tastes and items meet."""

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


class ClickModel:
    """P(click) = sigmoid(bias + spread * (sqrt(d) D + sqrt(u) U + sqrt(i) I + sqrt(x) X)).

    Every id has a hidden vector v = (v0, v1, v2, v3), which shrinks with its rank; a feature's is the sum over its
    lookups, standardised. U and I sum v0 of the user's and of the item's features; X is the scalar product of the
    sums of (v1, v2, v3) of both sides; D is a weighted sum of the dense inputs. All four are standardised and cut
    at 4 deviations.

    Parameters
    ----------
    world : draws the rows that set the scales; its seed does not decide the hidden vectors
    seed : decides them
    shares : as ClickShares
    """

    def __init__(self, world: World, *, seed: int, shares: ClickShares) -> None:
        self._shares, self._features = shares, world.features
        generator = np.random.default_rng([seed, 0xC11C])
        centres = generator.standard_normal((GROUPS, TASTES))
        tables = {f.table: f.rows for f in world.features}
        self._hidden = {t: _hidden(generator, centres, tables[t]) for t in sorted(tables)}
        count = world.shape.dense
        self._weights = generator.standard_normal(count) / np.sqrt(1 + np.arange(count) / 8)
        self._scales = np.ones((len(self._features), 1 + TASTES)), np.zeros((len(self._features), 1 + TASTES))
        self._standard = np.ones(4), np.zeros(4)
        self._bias = 0.0
        who = world.who(np.arange(_SAMPLE))
        self._calibrate(world.sparse(who), world.dense(who))

    def _calibrate(self, sparse: list[npt.NDArray[np.int32]], dense: npt.NDArray[np.float32]) -> None:
        pooled = self._pooled(sparse)
        self._scales = _standardising(pooled)
        self._standard = _standardising(self._terms(sparse, dense))
        low, high = -30.0, 30.0
        logits = self.logits(sparse, dense)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if sigmoid(logits + middle).mean() < self._shares.rate else (low, middle)
        self._bias = low

    def _pooled(self, sparse: list[npt.NDArray[np.int32]]) -> Floats:
        """Sums of hidden vectors, standardised, float64 (rows, features, 1 + TASTES)."""
        sums = np.zeros((len(sparse[0]), len(sparse), 1 + TASTES))
        for number, (feature, ids) in enumerate(zip(self._features, sparse, strict=True)):
            if feature.kind != "user id":
                hidden = self._hidden[feature.table]
                known = np.minimum(ids.view(np.uint32), np.uint32(len(hidden) - 1))
                sums[:, number] = np.einsum("rlk->rk", hidden.take(known, axis=0))
        scale, mean = self._scales
        return (sums - mean) * scale

    def _terms(self, sparse: list[npt.NDArray[np.int32]], dense: npt.NDArray[np.float32]) -> Floats:
        """D, U, I and X before they are standardised, float64 (rows, 4)."""
        pooled = self._pooled(sparse)
        item = np.array([f.kind in ("item", "item id") for f in self._features])
        past = np.array([f.kind == "history" for f in self._features])
        taste = past if past.any() else ~item
        meeting = (pooled[:, taste, 1:].sum(1) * pooled[:, item, 1:].sum(1)).sum(1)
        given = dense.astype(np.float64) @ self._weights
        return np.stack([given, pooled[:, ~item, 0].sum(1), pooled[:, item, 0].sum(1), meeting], 1)

    def logits(self, sparse: list[npt.NDArray[np.int32]], dense: npt.NDArray[np.float32]) -> Floats:
        """Of rows whose inputs are given feature by feature, float64 (rows,)."""
        chosen = self._shares
        scale, mean = self._standard
        terms = np.clip((self._terms(sparse, dense) - mean) * scale, -_LIMIT, _LIMIT)
        shares = np.array([chosen.dense, chosen.user, chosen.item, chosen.interaction]) * (scale > 0)
        return self._bias + chosen.spread * (terms @ np.sqrt(shares / max(shares.sum(), 1e-9)))


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-logits))


def _hidden(generator: np.random.Generator, centres: Floats, rows: int) -> npt.NDArray[np.float32]:
    """Hidden vectors of a table's known ids, and zeros for all others: float32 (known + 1, 1 + TASTES)."""
    ids = np.arange(min(rows, KNOWN))
    vectors = generator.standard_normal((len(ids), 1 + TASTES))
    vectors[:, 1:] = 0.5 * vectors[:, 1:] + centres[ids % GROUPS]
    vectors /= np.sqrt(1 + ids / HEAD)[:, None]
    return np.concatenate([vectors, np.zeros((1, 1 + TASTES))]).astype(np.float32)


def _standardising(values: Floats) -> tuple[Floats, Floats]:
    """Factors and means that bring (rows, ...) to mean 0 and variance 1; factor 0 where nothing varies."""
    deviation = values.std(0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9)
    return scale, values.mean(0)
