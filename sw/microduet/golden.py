"""The golden model: the engine's arithmetic on whole batches in torch, written from its definition.

It shares no code with the gateware's own references; it takes the frozen configuration and the quantised weights.
"""

import dataclasses
import typing
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from microduet.generated import GeneratedTable
from microduet.golden_math import LIMB, ExactProduct, generated_rows, saturate, shift_half_even, sigmoid_scores
from microduet.quantisation import InputQuantisation
from microduet.shape import ModelShape
from microduet_hw.config import EngineConfig, Precision
from microduet_hw.quantised import INPUT_ZERO_POINT, QuantisedLayer, QuantisedModel

BATCH = 4096
EXACT = 1 << 53
"""Integers below this are exact in float64."""


class Rows(typing.Protocol):
    """Quantised rows of a table, looked up by an int64 array of any shape: integers (..., dim)."""

    def __getitem__(self, ids: npt.NDArray[np.int64], /) -> npt.NDArray[np.integer]: ...


QuantisedTable = GeneratedTable | npt.NDArray[np.integer] | Rows
"""A generated table's rule, or quantised rows (rows, dim), possibly mapped from a file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GoldenResult:
    """Integers of every stage, for a whole batch.

    Members
    -------
    vector : int64 (items, elements), the assembled input
    layers : per hidden layer int64 (items, outputs)
    logits : int64 (items,)
    scores16 : int64 (items,), fractions of 2^16; zeros for a model without sigmoid
    saturations : per layer, the output layer last, how many outputs were cut to the range (ReLU not counted)
    """

    vector: npt.NDArray[np.int64]
    layers: tuple[npt.NDArray[np.int64], ...]
    logits: npt.NDArray[np.int64]
    scores16: npt.NDArray[np.int64]
    saturations: tuple[int, ...]
    logit_fraction: int
    sigmoid: bool

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """float32 (items,): the score, or the logit's value for a model without sigmoid."""
        if self.sigmoid:
            return (self.scores16 / 65536).astype(np.float32)
        return np.ldexp(self.logits.astype(np.float64), -self.logit_fraction).astype(np.float32)


class Golden:
    """The golden model of one engine.

    Parameters
    ----------
    config, model : of the engine
    input : scale of tables and dense features
    tables : one per feature
    features : of the model, where the configuration's are products of them; None if they are the same
    """

    def __init__(
        self,
        *,
        config: EngineConfig,
        model: QuantisedModel,
        input: InputQuantisation,
        tables: Sequence[QuantisedTable],
        features: ModelShape | None = None,
    ) -> None:
        self._config, self._model, self._input, self._tables = config, model, input, tables
        self._shape: ModelShape | EngineConfig = features or config
        self._layers = [
            GoldenLayer(
                layer,
                precision=config.precision,
                inputs=config.layers[number].inputs,
                logit=number == len(config.hidden),
            )
            for number, layer in enumerate(model.layers)
        ]

    def run(self, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None) -> GoldenResult:
        """Every stage of a batch: sparse int64 (items, lookups) in range, dense float32 (items, D)."""
        return self.run_vectors(self.vectors(sparse, dense))

    def vectors(
        self, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.int64]:
        """The assembled vectors: int64 (items, elements). Sums are exact and saturate once, at the end."""
        shape = self._shape
        result = torch.zeros(len(sparse), shape.vector_elements, dtype=torch.int64)
        zero = INPUT_ZERO_POINT if self._config.precision is Precision.INT8 else 0
        column = 0
        for feature, table in zip(shape.features, self._tables, strict=True):
            ids = torch.from_numpy(np.ascontiguousarray(sparse[:, column : column + feature.lookups]))
            column += feature.lookups
            total = (self._rows(table, ids) - zero).sum(1) + zero
            where = slice(feature.position, feature.position + feature.dim)
            result[:, where] = saturate(total, self._bounds)
        if shape.dense and dense is not None:
            where = slice(shape.dense_position, shape.dense_position + shape.dense)
            result[:, where] = self._quantised(torch.from_numpy(np.array(dense, np.float64)))
        return result.numpy()

    def run_vectors(self, vectors: npt.NDArray[np.int64]) -> GoldenResult:
        """Every stage after the assembly of `vectors`, int64 (items, elements)."""
        kept: list[list[torch.Tensor]] = [[] for _ in self._layers]
        saturations = [0] * len(self._layers)
        for batch in _batches(torch.from_numpy(vectors)):
            values = batch
            for number, layer in enumerate(self._layers):
                values, cut = layer(values)
                kept[number].append(values)
                saturations[number] += cut
        *hidden, logits = (torch.cat(batches).numpy() for batches in kept)
        logit = torch.from_numpy(logits[:, 0])
        extra = self._config.precision.logit_width - 16
        fraction = self._model.logit_fraction
        scores = sigmoid_scores(logit >> extra, fraction - extra) if self._config.sigmoid else torch.zeros_like(logit)
        return GoldenResult(
            vector=vectors,
            layers=tuple(hidden),
            logits=logits[:, 0],
            scores16=scores.numpy(),
            saturations=tuple(saturations),
            logit_fraction=fraction,
            sigmoid=self._config.sigmoid,
        )

    @property
    def _bounds(self) -> tuple[int, int]:
        return _bounds(self._config.precision.width, signed=self._config.precision.signed)

    def _rows(self, table: QuantisedTable, ids: torch.Tensor) -> torch.Tensor:
        if not isinstance(table, GeneratedTable):
            return torch.from_numpy(np.asarray(table[ids.numpy()]).astype(np.int64))
        values = generated_rows(table, ids)
        if self._config.precision is Precision.INT8:
            return self._quantised(torch.ldexp(values.double(), torch.tensor(-table.fraction)))
        places = table.fraction - self._input.fraction
        exact = values << -places if places < 0 else shift_half_even(values, places)
        return saturate(exact, self._bounds)

    def _quantised(self, values: torch.Tensor) -> torch.Tensor:
        if self._config.precision is Precision.INT8:
            scaled = torch.round(values / self._input.scale) + INPUT_ZERO_POINT
        else:
            scaled = torch.round(torch.ldexp(values, torch.tensor(self._input.fraction)))
        low, high = self._bounds
        return scaled.clamp(low, high).to(torch.int64)


class GoldenLayer:
    """One layer: int64 (items, inputs) -> int64 (items, outputs) and the number of saturated outputs."""

    def __init__(self, layer: QuantisedLayer, *, precision: Precision, inputs: int, logit: bool) -> None:
        self._layer, self._precision = layer, precision
        weights, bias = torch.from_numpy(layer.weights), torch.from_numpy(layer.bias)
        assert weights.shape == (len(bias), inputs), f"weights are {tuple(weights.shape)}, not (outputs, {inputs})"
        assert int(weights.abs().max()) < 1 << (precision.width - 1), "weights must be symmetric"
        largest = 1 << (2 * LIMB if precision is Precision.FIXED32 else 2 * precision.width)
        assert inputs * largest < EXACT, f"{inputs} products are not exact in float64"
        self._product = ExactProduct(weights, bias, limbs=precision is Precision.FIXED32)
        width = precision.logit_width if logit else precision.width
        self._bounds = _bounds(width, signed=logit or precision.signed)

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, int]:
        layer = self._layer
        if layer.multiplier is not None:
            total = self._product.single(values - layer.input_zero_point)
            assert int(total.abs().max()) < 1 << 31, "an int8 accumulator left its 32 bits"
            scaled = total.to(torch.int32).to(torch.float32) * torch.from_numpy(layer.multiplier)
            result = torch.round(scaled).to(torch.int64) + layer.output_zero_point
        elif self._precision is Precision.FIXED32:
            result = self._product.shifted(values, layer.shift)
        else:
            result = shift_half_even(self._product.single(values), layer.shift)
        low, high = self._bounds
        floor = layer.output_zero_point if layer.relu else low
        cut = int((result > high).sum()) + (0 if layer.relu else int((result < low).sum()))
        return result.clamp(floor, high), cut


def _bounds(width: int, *, signed: bool) -> tuple[int, int]:
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)


def _batches(values: torch.Tensor) -> Iterator[torch.Tensor]:
    for first in range(0, len(values), BATCH):
        yield values[first : first + BATCH]
