"""The golden model: the engine's arithmetic on whole batches in torch, written from its definition.

It shares no code with the gateware's own references; it takes the frozen configuration and the quantised weights.
"""

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from microduet.generated import GeneratedTable
from microduet.golden_math import LIMB, ExactProduct, generated_rows, saturate, shift_half_even, sigmoid_scores
from microduet.quantisation import InputQuantisation
from microduet.shape import ModelShape
from microduet_hw.config import EngineConfig, Payload, Precision
from microduet_hw.quantised import INPUT_ZERO_POINT, QuantisedLayer, QuantisedModel, UserWeights

BATCH = 4096
ROWS_AT_ONCE = 1 << 21
"""Elements of rows that are looked up together: sums of many rows would need a lot of room."""
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
    model : of the engine
    config : of the engine; None if `features` says all that counts
    input : scale of tables and dense features
    tables : one per feature
    features : of the model, where the configuration's are products of them; None if they are the same
    dense : scale of the dense inputs of a bottom MLP; None: that of the tables
    user : what user vectors add to their layer's sums, for an engine that takes them
    """

    def __init__(
        self,
        *,
        config: EngineConfig | None = None,
        model: QuantisedModel,
        input: InputQuantisation,
        tables: Sequence[QuantisedTable],
        features: ModelShape | None = None,
        dense: InputQuantisation | None = None,
        user: UserWeights | None = None,
    ) -> None:
        shape = features or (ModelShape.of(config) if config else None)
        assert shape is not None, "the golden model needs a configuration or a shape"
        self._shape, self._precision, self._model, self._user = shape, input.precision, model, user
        self._assembly = VectorGolden(self._shape, input=input, dense=dense or input, tables=tables)
        self._layers = [
            GoldenLayer(
                layer,
                precision=input.precision,
                inputs=shape.layers[number].inputs,
                logit=number == len(shape.hidden),
            )
            for number, layer in enumerate(model.layers)
        ]

    def run(
        self,
        sparse: npt.NDArray[np.int64],
        dense: npt.NDArray[np.float32] | None = None,
        *,
        users: npt.NDArray[np.integer] | None = None,
    ) -> GoldenResult:
        """Every stage of a batch.

        Parameters
        ----------
        sparse : int64 (items, lookups), in range
        dense : float32 (items, D)
        users : user vectors, (elements,) or (items, elements): 0 to 255, or sums of 32 bits
        """
        return self.run_vectors(self.vectors(sparse, dense), users=users)

    def vectors(
        self, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.int64]:
        """The assembled vectors: int64 (items, elements), as `VectorGolden` makes them."""
        return self._assembly.vectors(sparse, dense)

    def user_part(self, users: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """What users add to the sums of their layer: int64 (..., outputs) of vectors (..., elements)."""
        user, entry = self._user, self._shape.user
        assert user is not None, "the engine must know what user vectors add"
        assert entry is not None, "this engine takes no user vectors"
        values = torch.from_numpy(np.asarray(users, np.int64))
        assert values.shape[-1] == entry.elements, f"a user vector has {entry.elements} elements"
        if entry.payload is Payload.VECTOR:
            values = (values.double() @ torch.from_numpy(user.weights).double().T).to(torch.int64)
        return ((values << user.shift) + torch.from_numpy(user.bias)).numpy()

    def run_vectors(
        self, vectors: npt.NDArray[np.int64], *, users: npt.NDArray[np.integer] | None = None
    ) -> GoldenResult:
        """Every stage after the assembly of `vectors`, int64 (items, elements); `users` as `run` takes them."""
        kept: list[list[torch.Tensor]] = [[] for _ in self._layers]
        saturations = [0] * len(self._layers)
        parts = self._parts(users, len(vectors))
        for first in range(0, len(vectors), BATCH):
            batch = torch.from_numpy(vectors[first : first + BATCH])
            values: torch.Tensor | None = None
            for number, layer in enumerate(self._layers):
                part = None if parts is None or number != self._entry else parts[first : first + BATCH]
                values, cut = layer(self._layer_input(number, batch, values), part)
                kept[number].append(values)
                saturations[number] += cut
        *hidden, logits = (torch.cat(batches).numpy() for batches in kept)
        logit = torch.from_numpy(logits[:, 0])
        extra = self._precision.logit_width - 16
        fraction = self._model.logit_fraction
        scores = sigmoid_scores(logit >> extra, fraction - extra) if self._shape.sigmoid else torch.zeros_like(logit)
        return GoldenResult(
            vector=vectors,
            layers=tuple(hidden),
            logits=logits[:, 0],
            scores16=scores.numpy(),
            saturations=tuple(saturations),
            logit_fraction=fraction,
            sigmoid=self._shape.sigmoid,
        )

    @property
    def _entry(self) -> int | None:
        return None if self._shape.user is None else self._shape.user.layer

    def _parts(self, users: npt.NDArray[np.integer] | None, items: int) -> torch.Tensor | None:
        assert (users is None) == (self._shape.user is None), "user vectors go with an engine that takes them"
        if users is None:
            return None
        parts = torch.from_numpy(self.user_part(users))
        return parts.expand(items, parts.shape[-1])

    def _layer_input(self, number: int, vector: torch.Tensor, before: torch.Tensor | None) -> torch.Tensor:
        """The first layer reads the vector; of a bottom MLP its dense end, the layer behind it what is in front."""
        elements, bottom = self._shape.feature_elements, self._shape.bottom
        if before is None:
            return vector[:, elements:] if bottom else vector
        return torch.cat([vector[:, :elements], before], 1) if bottom and number == bottom else before


class VectorGolden:
    """Ids and dense inputs to assembled vectors.

    Parameters
    ----------
    shape : features and dense inputs
    input, dense : scales of the tables and of the dense inputs
    tables : one per feature
    """

    def __init__(
        self,
        shape: ModelShape,
        *,
        input: InputQuantisation,
        dense: InputQuantisation,
        tables: Sequence[QuantisedTable],
    ) -> None:
        self._shape, self._input, self._dense, self._tables = shape, input, dense, tables
        self._precision = input.precision

    def vectors(
        self, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.int64]:
        """int64 (items, elements). Sums are exact and saturate once, at the end; an id of -1 adds nothing."""
        shape = self._shape
        result = torch.zeros(len(sparse), shape.vector_elements, dtype=torch.int64)
        zero = INPUT_ZERO_POINT if self._precision is Precision.INT8 else 0
        column = 0
        for feature, table in zip(shape.features, self._tables, strict=True):
            ids = torch.from_numpy(np.ascontiguousarray(sparse[:, column : column + feature.lookups]))
            column += feature.lookups
            step = max(1, ROWS_AT_ONCE // (feature.lookups * feature.dim))
            total = torch.cat([self._sums(table, some, zero) for some in ids.split(step)]) + zero
            where = slice(feature.position, feature.position + feature.dim)
            result[:, where] = saturate(total, self._bounds)
        if shape.dense and dense is not None:
            where = slice(shape.dense_position, shape.dense_position + shape.dense)
            result[:, where] = self._quantised(torch.from_numpy(np.array(dense, np.float64)), self._dense)
        return result.numpy()

    @property
    def _bounds(self) -> tuple[int, int]:
        return _bounds(self._precision.width, signed=self._precision.signed)

    def _sums(self, table: QuantisedTable, ids: torch.Tensor, zero: int) -> torch.Tensor:
        """Sums of rows (items, lookups), less their zero points; nothing for an id of -1, an empty place."""
        rows = self._rows(table, ids.clamp(min=0)) - zero
        return (rows * (ids >= 0).unsqueeze(-1)).sum(1)

    def _rows(self, table: QuantisedTable, ids: torch.Tensor) -> torch.Tensor:
        if not isinstance(table, GeneratedTable):
            return torch.from_numpy(np.asarray(table[ids.numpy()]).astype(np.int64))
        values = generated_rows(table, ids)
        if self._precision is Precision.INT8:
            return self._quantised(torch.ldexp(values.double(), torch.tensor(-table.fraction)), self._input)
        places = table.fraction - self._input.fraction
        exact = values << -places if places < 0 else shift_half_even(values, places)
        return saturate(exact, self._bounds)

    def _quantised(self, values: torch.Tensor, scale: InputQuantisation) -> torch.Tensor:
        if self._precision is Precision.INT8:
            scaled = torch.round(values / scale.scale) + INPUT_ZERO_POINT
        else:
            scaled = torch.round(torch.ldexp(values, torch.tensor(scale.fraction)))
        low, high = self._bounds
        return scaled.clamp(low, high).to(torch.int64)


class GoldenLayer:
    """One layer: int64 (items, inputs) -> int64 (items, outputs) and the number of saturated outputs.

    Where users come in, a second argument, int64 (items, outputs), begins the sums; it stands for the layer's bias and
    for what the inputs' zero point adds to its sums.
    """

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

    def __call__(self, values: torch.Tensor, user: torch.Tensor | None = None) -> tuple[torch.Tensor, int]:
        layer = self._layer
        if layer.multiplier is not None:
            own = self._product.single(values - layer.input_zero_point)
            total = own if user is None else self._product.products(values) + user
            assert int(total.abs().max()) < 1 << 31, "an int8 accumulator left its 32 bits"
            scaled = total.to(torch.int32).to(torch.float32) * torch.from_numpy(layer.multiplier)
            result = torch.round(scaled).to(torch.int64) + layer.output_zero_point
        elif self._precision is Precision.FIXED32:
            assert user is None, "fixed32 takes no user vectors"
            result = self._product.shifted(values, layer.shift)
        else:
            total = self._product.single(values) if user is None else self._product.products(values) + user
            result = shift_half_even(total, layer.shift)
        low, high = self._bounds
        floor = layer.output_zero_point if layer.relu else low
        cut = int((result > high).sum()) + (0 if layer.relu else int((result < low).sum()))
        return result.clamp(floor, high), cut


def _bounds(width: int, *, signed: bool) -> tuple[int, int]:
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
