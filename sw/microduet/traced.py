"""A model as the compiler sees it: tables, float weights, and the shape that joins them."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from microduet.generated import GeneratedTable
from microduet.shape import ModelShape

AT_ONCE = 1 << 21
"""Elements of rows that are looked up together."""
SLICE = 1 << 16
"""Rows of a stored table that are looked at together."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StoredTable:
    """A table whose rows are kept: float32 (rows, dim), the parameter of the user's own embedding."""

    weight: torch.Tensor

    def slices(self) -> Iterator[npt.NDArray[np.float32]]:
        """The rows, some at a time."""
        for first in range(0, len(self.weight), SLICE):
            yield self.weight[first : first + SLICE].detach().to(torch.float32).numpy()


Table = GeneratedTable | StoredTable


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TracedModel:
    """What tracing found.

    Members
    -------
    shape : features in the order of the columns of `sparse`, their places in the vector, layers
    tables : one per feature; a module that serves two features is here twice
    weights, biases : float32 (outputs, inputs) and (outputs,) per layer, the output layer folded into one row
    user_weights : float32 (outputs, elements), what multiplies user vectors at `shape.user.layer`; None if they are
        sums, or there are none
    """

    shape: ModelShape
    tables: tuple[Table, ...]
    weights: tuple[npt.NDArray[np.float32], ...]
    biases: tuple[npt.NDArray[np.float32], ...]
    user_weights: npt.NDArray[np.float32] | None = None

    def vector(self, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None) -> torch.Tensor:
        """The concatenated vector, float64 (items, elements); no check of the ids."""
        result = torch.zeros(len(sparse), self.shape.vector_elements, dtype=torch.float64)
        column = 0
        for feature, table in zip(self.shape.features, self.tables, strict=True):
            ids = sparse[:, column : column + feature.lookups]
            column += feature.lookups
            result[:, feature.position : feature.position + feature.dim] = _sums(table, ids)
        if self.shape.dense and dense is not None:
            first = self.shape.dense_position
            result[:, first : first + self.shape.dense] = torch.from_numpy(np.asarray(dense, np.float64))
        return result

    def layers(self, vector: torch.Tensor, users: npt.NDArray[np.floating] | None = None) -> tuple[torch.Tensor, ...]:
        """Outputs of every layer in float64, ReLU applied; the last are the logits (items, 1).

        `users` are user vectors (items or 1, elements) of a model that takes them.
        """
        outputs: list[torch.Tensor] = []
        for number in range(len(self.weights)):
            before = outputs[-1] if outputs else None
            outputs.append(self.layer(number, layer_input(self.shape, number, vector, before), users))
        return tuple(outputs)

    def layer(self, number: int, values: torch.Tensor, users: npt.NDArray[np.floating] | None = None) -> torch.Tensor:
        """Outputs of one layer in float64, ReLU applied; `users` count at the layer where they come in."""
        weight, bias = torch.from_numpy(self.weights[number]).double(), torch.from_numpy(self.biases[number]).double()
        result = values @ weight.T + bias
        if users is not None and self.shape.user and self.shape.user.layer == number:
            result = result + self.user_part(users)
        return result.relu() if self.shape.layers[number].relu else result

    def user_part(self, users: npt.NDArray[np.floating]) -> torch.Tensor:
        """What users add to the sums of their layer, float64 (users, outputs), of user vectors (users, elements)."""
        vectors = torch.from_numpy(np.asarray(users, np.float64))
        return vectors if self.user_weights is None else vectors @ torch.from_numpy(self.user_weights).double().T


def layer_input(shape: ModelShape, number: int, vector: torch.Tensor, before: torch.Tensor | None) -> torch.Tensor:
    """What layer `number` reads of the vector (items, elements) and of the outputs of the layer before it."""
    columns, follows = shape.reads(number)
    if not follows or before is None:
        return vector[:, columns]
    return torch.cat([vector[:, columns], before], 1)


def _sums(table: Table, ids: npt.NDArray[np.int64]) -> torch.Tensor:
    """Sums of rows `ids` (items, lookups): float64 (items, dim), some at a time."""
    dim = table.dim if isinstance(table, GeneratedTable) else table.weight.shape[1]
    step = max(1, AT_ONCE // (ids.shape[1] * dim))
    return torch.cat([_rows(table, ids[first : first + step]).sum(1) for first in range(0, len(ids), step)])


def _rows(table: Table, ids: npt.NDArray[np.int64]) -> torch.Tensor:
    if isinstance(table, GeneratedTable):
        return torch.from_numpy(table.values(ids)).double()
    return table.weight.detach()[torch.from_numpy(ids)].double()


def peak(table: Table) -> float:
    """The largest magnitude of a table's elements."""
    if isinstance(table, GeneratedTable):
        return 2.0**-table.amplitude_log2
    return max(float(np.abs(rows).max(initial=0)) for rows in table.slices())
