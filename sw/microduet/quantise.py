"""From float weights to integers: scales from a calibration batch, one rounding per tensor."""

import dataclasses

import numpy as np
import numpy.typing as npt

from microduet.errors import ModelError
from microduet.fold_user import UserScale
from microduet.quantise_fixed import quantise_fixed
from microduet.quantise_int8 import quantise_int8
from microduet.quantise_layer import FIXED_MARGIN, check_finite
from microduet.quantised import Quantised, Ranges
from microduet.traced import TracedModel, peak
from microduet_hw.config import Precision

CALIBRATION_ITEMS = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """A batch of real or random items: int64 (items, lookups), float32 (items, dense) or None.

    `users` are user vectors, float64 (items, elements), of a model that takes them.
    """

    sparse: npt.NDArray[np.int64]
    dense: npt.NDArray[np.float32] | None = None
    users: npt.NDArray[np.float64] | None = None


def random_batch(model: TracedModel, *, items: int = CALIBRATION_ITEMS, seed: int = 0) -> Calibration:
    """Uniform ids; dense features, if any, from a standard normal distribution."""
    generator = np.random.default_rng(seed)
    rows = [feature.rows for feature in model.shape.features for _ in range(feature.lookups)]
    sparse = generator.integers(0, rows, (items, len(rows)), dtype=np.int64)
    dense = generator.standard_normal((items, model.shape.dense), dtype=np.float32) if model.shape.dense else None
    return Calibration(sparse=sparse, dense=dense)


def quantise(
    model: TracedModel,
    *,
    precision: Precision,
    calibration: Calibration | None = None,
    scale: UserScale | None = None,
) -> Quantised:
    """Integers of `model`.

    Parameters
    ----------
    calibration : items that show the range of every layer; by default 2,048 with uniform ids
    scale : of the user vectors of a model that takes them; `calibration` must have some then

    Raises
    ------
    ModelError
        If a weight is not finite, int8's 32-bit accumulator could overflow, or user vectors are asked of fixed32.
    """
    for number, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        check_finite(weight, bias, f"layer {number}")
    batch = calibration or random_batch(model)
    if model.shape.user:
        check_user(model, precision, batch)
    vector = model.vector(batch.sparse, batch.dense)
    outputs = [layer.numpy() for layer in model.layers(vector, batch.users)]
    features, dense = _input_peaks(model, vector.numpy())
    ranges = Ranges(outputs=outputs, features=features, dense=dense)
    if precision is Precision.INT8:
        return quantise_int8(model, ranges, scale=scale)
    return quantise_fixed(model, ranges, precision=precision, scale=scale)


def check_user(model: TracedModel, precision: Precision, batch: Calibration) -> None:
    """Raise ModelError, with the model's name, unless integers of its user vectors can be had."""
    if precision is Precision.FIXED32:
        raise ModelError(f"{model.shape.name}: an engine that takes user vectors is fixed16 or int8, not fixed32")
    if model.user_weights is None or batch.users is None:
        raise ModelError(f"{model.shape.name}: user vectors must show the range of the layer that they come into")
    check_finite(model.user_weights, model.user_weights, "user weights")


def _input_peaks(model: TracedModel, vector: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The largest magnitudes that the scales of the features and of a bottom MLP's dense inputs have to hold."""
    peaks: list[float] = [0.0]
    shape = model.shape
    for feature, table in zip(shape.features, model.tables, strict=True):
        row = peak(table)
        peaks.append(row)
        if feature.lookups > 1:
            seen = np.abs(vector[:, feature.position : feature.position + feature.dim]).max()
            peaks.append(min(feature.lookups * row, FIXED_MARGIN * float(seen)))
    dense = 0.0
    if shape.dense:
        first = shape.dense_position
        dense = FIXED_MARGIN * float(np.abs(vector[:, first : first + shape.dense]).max())
    if not np.isfinite([*peaks, dense]).all():
        raise ModelError("tables and calibration data must be finite")
    return (max(peaks), dense) if shape.bottom else (max(*peaks, dense), 0.0)
