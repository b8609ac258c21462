"""Scores of a split model whose user part is an edge unit's integers, for whole test parts."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from microduet.data.schema import DataSet
from microduet.duet.configure import edge_config
from microduet.duet.golden import GoldenUser, StaticMemo
from microduet.duet.quantise import QuantisedUser, quantise_user
from microduet.duet.users import CALIBRATION_USERS, UserBatch
from microduet.models.dlrm import scores
from microduet.models.split import SplitModel
from microduet.quantise import CALIBRATION_ITEMS
from microduet.train.batches import Batch
from microduet.train.shapes import Hashing
from microduet.train.tables import Tables

Scorer = Callable[[Batch], Mapping[str, npt.NDArray[np.float32]]]
"""Probabilities of a click, float32 (rows,), of a batch, by name of a model."""

SLICE = 1 << 16
"""Rows of a table that are quantised together."""

EXACT_BITS = 24
"""Of integers whose float32 sums are exact; a sum of float32 is many times as fast as one of float64."""

ELEMENT_BITS = 32


def users_of(model: SplitModel, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32]) -> UserBatch:
    """The users of some rows of a log: int64 (rows, lookups) of the uncut model, float32 (rows, dense columns).

    Where the split keeps longer histories than the uncut model sums, the places behind are empty.
    """
    whole, own = model.spec.shape, model.shape
    pieces: list[npt.NDArray[np.int64]] = []
    for number in own.user.features:
        ids = sparse[:, whole.columns(number)]
        empty = np.full((len(ids), own.features[number].lookups - ids.shape[1]), -1)
        pieces += [ids, empty]
    user = own.user
    return UserBatch(
        sparse=np.concatenate(pieces, 1),
        static=dense[:, list(user.static)] if user.static else None,
        context=dense[:, list(user.context)] if user.context else None,
    )


def calibration(model: SplitModel, data: DataSet, hashing: Hashing) -> UserBatch:
    """The first users of the training part, who show the ranges."""
    count = min(CALIBRATION_USERS, data.rows("train"))
    chunk = next(iter(data.chunks("train", count=count, size=count)))
    return users_of(model, hashing(chunk), chunk.dense)


def log_items(model: SplitModel, sparse: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The items of some rows of a log, int64 (rows, the item's lookups); `sparse` as of `users_of`."""
    whole = model.spec.shape
    return np.concatenate([sparse[:, whole.columns(number)] for number in whole.item_features], 1)


def calibration_items(model: SplitModel, data: DataSet, hashing: Hashing) -> npt.NDArray[np.int64]:
    """The first items of the training part, which show the ranges: popular ones have learnt the largest weights."""
    count = min(CALIBRATION_ITEMS, data.rows("train"))
    return log_items(model, hashing(next(iter(data.chunks("train", count=count, size=count)))))


class Int8Scores:
    """A duet split whose user vector is the golden user model's, in integers; the rest is the float model's.

    Parameters
    ----------
    model : trained
    tables : its tables
    users : who show the ranges
    """

    def __init__(self, model: SplitModel, tables: Tables, users: UserBatch) -> None:
        self._model, self._tables = model, tables
        self.quantised: QuantisedUser = quantise_user(model, batch=users)
        self._golden = GoldenUser(config=edge_config(model.spec.shape, model.split), model=self.quantised.model)
        self._memo = StaticMemo(self._golden)
        shape = model.shape
        self._user, self._item = shape.positions(shape.user.features), shape.positions(shape.item_features)
        self._bits = EXACT_BITS - max(feature.lookups for feature in shape.features).bit_length()
        places = range(0, ELEMENT_BITS, self._bits)
        self._parts = [[self._integers(width.weight, place) for width in tables.widths] for place in places]

    def _integers(self, weight: torch.Tensor, place: int) -> torch.Tensor:
        """The elements of all histories, their bits from `place` on that can be summed exactly, as float32."""
        result = torch.empty(weight.shape)
        last = place + self._bits >= ELEMENT_BITS
        for first in range(0, len(weight), SLICE):
            whole = self.quantised.elements.integers(weight[first : first + SLICE].numpy()) >> place
            part = whole if last else whole & ((1 << self._bits) - 1)
            result[first : first + SLICE] = torch.from_numpy(part)
        return result

    def _sums(self, batch: Batch) -> npt.NDArray[np.int64]:
        """Exact sums of the user's histories, int64 (rows, elements)."""
        found = np.zeros((len(batch.labels), len(self._user)), np.int64)
        for number, part in enumerate(self._parts):
            own = self._tables.sums(batch.bags, part)[:, self._user].to(torch.int64).numpy()
            found += own << number * self._bits
        return found

    def payload(self, batch: Batch) -> npt.NDArray[np.uint8]:
        """User vectors as they are sent, uint8 (rows, payload bytes)."""
        user, dense = self._model.shape.user, None if batch.dense is None else batch.dense.numpy()
        static = context = None
        if self.quantised.static is not None and dense is not None:
            static = self.quantised.static.input.integers(dense[:, list(user.static)])
        if self.quantised.dynamic is not None and dense is not None:
            context = self.quantised.dynamic.input.integers(dense[:, list(user.context)])
        return self._golden.run_sums(self._sums(batch), static, context, self._memo).payload

    @torch.no_grad()
    def score(self, batch: Batch, sums: torch.Tensor) -> npt.NDArray[np.float32]:
        """Probabilities of a click, float32 (rows,); `sums` are those of all features in float32."""
        last = self.quantised.model.top[-1].output_zero_point
        values = (self.payload(batch).astype(np.int64) - last) * self.quantised.top_steps[-1]
        item = self._model.item_model(sums[:, self._item])
        return scores(self._model.combined_model(torch.from_numpy(values).float(), item)).numpy()


def score_all(
    batches: Iterator[Batch], scorers: Sequence[Scorer], count: int, progress: Callable[[int], None] = lambda rows: None
) -> tuple[dict[str, npt.NDArray[np.float32]], npt.NDArray[np.uint8]]:
    """Scores of every model, float32 (count,) each, and the labels, in one pass over the `count` rows of `batches`."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    labels = np.empty(count, np.uint8)
    rows = 0
    for batch in batches:
        own = slice(rows, rows := rows + len(batch.labels))
        labels[own] = batch.labels.numpy()
        for scorer in scorers:
            for name, values in scorer(batch).items():
                found.setdefault(name, np.empty(count, np.float32))[own] = values
        progress(rows)
    return found, labels
