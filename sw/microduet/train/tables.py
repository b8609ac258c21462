"""Embedding tables during training: side by side in one array per width, updated without autograd.

A feature's sum has one gradient for all its rows, so a gradient is never spread over the lookups: the lookups are
sorted by row, and every row's gradient is a sum over the bags that it was in, which is an embedding bag again.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from microduet.duet.shape import DlrmShape

START = 0.3
"""Largest value of a new table, over the square root of its longest feature's lookups."""

EPSILON = 1e-8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bags:
    """Lookups of some rows of a log in the tables of one width.

    Members
    -------
    ids : int32 (lookups,), rows of the array; its last row is the empty place's and stays zero
    offsets : int32 (bags,), where the bag of every row and feature starts in `ids`
    touched : int64 (different ids,), ascending, without the empty place's
    members, starts : int32 (lookups,) and (different ids,), the bags in which each touched row is
    """

    ids: torch.Tensor
    offsets: torch.Tensor
    touched: torch.Tensor
    members: torch.Tensor
    starts: torch.Tensor


class Width:
    """All tables of one width, in one float32 array (rows + 1, dim).

    Parameters
    ----------
    shape : of the model
    dim : the width
    seed : of the tables' first values
    """

    def __init__(self, shape: DlrmShape, dim: int, *, seed: int) -> None:
        self.dim = dim
        self.tables = [k for k, table in enumerate(shape.tables) if table.dim == dim]
        self.features = [k for k in range(len(shape.features)) if shape.dim(k) == dim]
        self._first: dict[int, int] = {}
        rows = 0
        for table in self.tables:
            self._first[table] = rows
            rows += shape.tables[table].rows
        self.rows = rows
        self.weight = torch.empty(rows + 1, dim)
        self.squares = torch.zeros(rows)
        for table in self.tables:
            most = max((f.lookups for f in shape.features if f.table == table), default=1)
            generator = torch.Generator().manual_seed(seed * 1009 + table)
            self.view(shape, table).uniform_(-START / most**0.5, START / most**0.5, generator=generator)
        self.weight[rows] = 0
        chosen = [(shape.columns(k), self._first[shape.features[k].table]) for k in self.features]
        self._columns = np.concatenate([np.arange(c.start, c.stop) for c, _ in chosen])
        self._bases = np.concatenate([np.full(c.stop - c.start, first, np.int32) for c, first in chosen])
        self._lookups = [shape.features[k].lookups for k in self.features]

    def view(self, shape: DlrmShape, table: int) -> torch.Tensor:
        """Rows of one table: a view, float32 (rows, dim)."""
        first = self._first[table]
        return self.weight[first : first + shape.tables[table].rows]

    def bags(self, sparse: npt.NDArray[np.int64], *, train: bool) -> Bags:
        """Lookups of `sparse`, int64 (rows of the log, lookups) within the tables; -1 is an empty place."""
        whole = len(self._columns) == sparse.shape[1]
        own = sparse if whole else sparse[:, self._columns]
        ids = own.astype(np.int32)
        ids += self._bases
        np.copyto(ids, self.rows, where=own < 0)
        starts = np.cumsum([0, *self._lookups[:-1]])
        offsets = (np.arange(len(own))[:, None] * ids.shape[1] + starts).reshape(-1).astype(np.int32)
        flat = torch.from_numpy(ids.reshape(-1))
        none = torch.zeros(0, dtype=torch.int64)
        touched, members, first = self._inverse(flat) if train else (none, none.to(torch.int32), none)
        return Bags(ids=flat, offsets=torch.from_numpy(offsets), touched=touched, members=members, starts=first)

    def _inverse(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The touched rows, the bags in which each of them is, row by row, and where each row's start."""
        ordered, places = torch.sort(ids, stable=True)
        count = int(torch.searchsorted(ordered, self.rows))
        places, features = places[:count], len(self._lookups)
        bags = np.repeat(np.arange(features), self._lookups)
        every = np.arange(len(ids) // len(bags))[:, None] * features + bags
        members = torch.from_numpy(every.reshape(-1).astype(np.int32))[places]
        touched, counts = torch.unique_consecutive(ordered[:count], return_counts=True)
        return touched.to(torch.int64), members, (counts.cumsum(0) - counts).to(torch.int32)

    def sums(self, bags: Bags, weight: torch.Tensor, rows: range | None = None) -> torch.Tensor:
        """Sums of rows of `weight` for `rows` of the log, all if None: (rows, features of this width, dim)."""
        ids, offsets = bags.ids, bags.offsets
        if rows is not None:
            ids = ids[rows.start * len(self._columns) : rows.stop * len(self._columns)]
            offsets = offsets[: len(rows) * len(self.features)]  # as those of the first rows: all rows are as long
        found, *_ = torch.embedding_bag(weight, ids, offsets, False, 0)
        return found.view(-1, len(self.features), self.dim)

    def update(self, bags: Bags, gradient: torch.Tensor, rate: float) -> None:
        """One step of row-wise Adagrad: a row's step is divided by the root of all its mean squared gradients.

        `gradient` is float32 (rows of the log, features of this width, dim), of the sums (Naumov and others, arXiv
        1906.00091, use it for DLRM's tables).
        """
        if not len(bags.touched):
            return
        flat = gradient.reshape(-1, self.dim)
        own, *_ = torch.embedding_bag(flat, bags.members, bags.starts, False, 0)
        squares = self.squares[bags.touched].add_(torch.linalg.vector_norm(own, dim=1).square_() / self.dim)
        self.squares[bags.touched] = squares
        own.mul_((-rate / (squares.sqrt_() + EPSILON)).unsqueeze(1))
        self.weight.index_add_(0, bags.touched, own)


class Tables:
    """All tables of a model.

    Parameters
    ----------
    shape : of the model
    seed : of the tables' first values: equal for all splits of one model

    Members
    -------
    elements : of all features' sums side by side
    """

    def __init__(self, shape: DlrmShape, *, seed: int) -> None:
        self.shape = shape
        self.widths = [Width(shape, dim, seed=seed) for dim in sorted({table.dim for table in shape.tables})]
        ends = list(itertools.accumulate(shape.dim(k) for k in range(len(shape.features))))
        self._places = [slice(end - shape.dim(k), end) for k, end in enumerate(ends)]
        self.elements = ends[-1]

    def modules(self) -> torch.nn.ModuleList:
        """The tables as a model holds them: `torch.nn.Embedding` each, sharing memory with this object."""
        found: dict[int, torch.nn.Embedding] = {}
        for width in self.widths:
            for table in width.tables:
                rows = width.view(self.shape, table)
                found[table] = torch.nn.Embedding.from_pretrained(rows)
        return torch.nn.ModuleList([found[number] for number in sorted(found)])

    def bags(self, sparse: npt.NDArray[np.int64], *, train: bool) -> list[Bags]:
        """Lookups of `sparse`, int64 (rows of the log, lookups), by width; what `update` needs only to train."""
        return [width.bags(sparse, train=train) for width in self.widths]

    def sums(
        self, bags: Sequence[Bags], weights: Sequence[torch.Tensor] | None = None, *, rows: range | None = None
    ) -> torch.Tensor:
        """Sums of all features side by side in their order, (rows of the log, elements): float32, or as `weights`.

        `weights` are arrays in the place of the tables' own, one per width; `rows` are those that are wanted, all if
        None.
        """
        arrays = weights or [width.weight for width in self.widths]
        found = [width.sums(own, array, rows) for width, own, array in zip(self.widths, bags, arrays, strict=True)]
        if len(found) == 1:
            return found[0].flatten(1)
        pieces = {
            feature: sums[:, place]
            for width, sums in zip(self.widths, found, strict=True)
            for place, feature in enumerate(width.features)
        }
        return torch.cat([pieces[feature] for feature in sorted(pieces)], 1)

    def update(self, bags: Sequence[Bags], gradient: torch.Tensor, rate: float) -> None:
        """Change the tables by `gradient`, float32 (rows of the log, elements), of the sums."""
        for width, own in zip(self.widths, bags, strict=True):
            if len(self.widths) == 1:
                part = gradient.view(len(gradient), -1, width.dim)
            else:
                part = torch.stack([gradient[:, self._places[k]] for k in width.features], 1)
            width.update(own, part, rate)
