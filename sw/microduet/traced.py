"""A model as the compiler sees it: tables, float weights, and the shape that joins them."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from microduet.generated import GeneratedTable
from microduet.shape import ModelShape

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
    """

    shape: ModelShape
    tables: tuple[Table, ...]
    weights: tuple[npt.NDArray[np.float32], ...]
    biases: tuple[npt.NDArray[np.float32], ...]

    def vector(self, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None) -> torch.Tensor:
        """The concatenated vector, float64 (items, elements); no check of the ids."""
        result = torch.zeros(len(sparse), self.shape.vector_elements, dtype=torch.float64)
        column = 0
        for feature, table in zip(self.shape.features, self.tables, strict=True):
            ids = sparse[:, column : column + feature.lookups]
            column += feature.lookups
            result[:, feature.position : feature.position + feature.dim] = _rows(table, ids).sum(1)
        if self.shape.dense and dense is not None:
            first = self.shape.dense_position
            result[:, first : first + self.shape.dense] = torch.from_numpy(np.asarray(dense, np.float64))
        return result

    def layers(self, vector: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs of every layer in float64, ReLU applied; the last are the logits (items, 1)."""
        outputs: list[torch.Tensor] = []
        for number in range(len(self.weights)):
            vector = self.layer(number, vector)
            outputs.append(vector)
        return tuple(outputs)

    def layer(self, number: int, values: torch.Tensor) -> torch.Tensor:
        """Outputs of one layer in float64, ReLU applied."""
        weight, bias = torch.from_numpy(self.weights[number]).double(), torch.from_numpy(self.biases[number]).double()
        result = values @ weight.T + bias
        return result.relu() if self.shape.layers[number].relu else result


def _rows(table: Table, ids: npt.NDArray[np.int64]) -> torch.Tensor:
    if isinstance(table, GeneratedTable):
        return torch.from_numpy(table.values(ids)).double()
    return table.weight.detach()[torch.from_numpy(ids)].double()


def peak(table: Table) -> float:
    """The largest magnitude of a table's elements."""
    if isinstance(table, GeneratedTable):
        return 2.0**-table.amplitude_log2
    return max(float(np.abs(rows).max(initial=0)) for rows in table.slices())
