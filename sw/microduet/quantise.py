"""From float weights to integers: scales from a calibration batch, one rounding per tensor."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from microduet.errors import ModelError
from microduet.quantisation import InputQuantisation
from microduet.traced import TracedModel, peak
from microduet_hw.config import Layer, Precision
from microduet_hw.quantised import INPUT_ZERO_POINT, QuantisedLayer, QuantisedModel

CALIBRATION_ITEMS = 2048
FIXED_MARGIN = 2.0
"""An output in fixed16 or fixed32 may be twice what the calibration batch showed before it saturates: one bit."""
INT8_MARGIN = 1.0
"""Eight bits have none to spare: what exceeds the calibrated range saturates."""
MAX_SHIFT = 63
SIGMOID_FRACTIONS = (6, 15)
"""Least and greatest fraction bits of the sigmoid's 16-bit input: beyond +-512 there is nothing left to tell apart."""
SMALLEST_MULTIPLIER = 2.0**-31
"""int8: an output channel so faint that it could not move its output by one unit is given this multiplier."""
BIAS_LIMIT = 1 << 30
"""int8: leaves half of the accumulator's 32 bits to the products."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """A batch of real or random items: int64 (items, lookups), float32 (items, dense) or None."""

    sparse: npt.NDArray[np.int64]
    dense: npt.NDArray[np.float32] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantised:
    """A quantised model and what its integers stand for.

    Members
    -------
    model : weights in integers
    input : scale of the input vector
    steps : per layer, what one unit of an output stands for; the last is the logit's
    weight_steps : per layer float64 (outputs,), what one unit of a weight stands for
    """

    model: QuantisedModel
    input: InputQuantisation
    steps: tuple[float, ...]
    weight_steps: tuple[npt.NDArray[np.float64], ...]


def random_batch(model: TracedModel, *, items: int = CALIBRATION_ITEMS, seed: int = 0) -> Calibration:
    """Uniform ids; dense features, if any, from a standard normal distribution."""
    generator = np.random.default_rng(seed)
    rows = [feature.rows for feature in model.shape.features for _ in range(feature.lookups)]
    sparse = generator.integers(0, rows, (items, len(rows)), dtype=np.int64)
    dense = generator.standard_normal((items, model.shape.dense), dtype=np.float32) if model.shape.dense else None
    return Calibration(sparse=sparse, dense=dense)


def quantise(model: TracedModel, *, precision: Precision, calibration: Calibration | None = None) -> Quantised:
    """Integers of `model`.

    Parameters
    ----------
    calibration : items that show the range of every layer; by default 2,048 with uniform ids

    Raises
    ------
    ModelError
        If a weight is not finite, or int8's 32-bit accumulator could overflow.
    """
    for number, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ModelError(f"layer {number}: weights and biases must be finite")
    batch = calibration or random_batch(model)
    vector = model.vector(batch.sparse, batch.dense)
    outputs = [layer.numpy() for layer in model.layers(vector)]
    largest = _input_peak(model, vector.numpy())
    if precision is Precision.INT8:
        return _quantise_int8(model, outputs, largest)
    return _quantise_fixed(model, outputs, largest, precision)


def _input_peak(model: TracedModel, vector: npt.NDArray[np.float64]) -> float:
    """The largest magnitude that the vector's scale has to hold."""
    peaks: list[float] = [0.0]
    for feature, table in zip(model.shape.features, model.tables, strict=True):
        row = peak(table)
        peaks.append(row)
        if feature.lookups > 1:
            seen = np.abs(vector[:, feature.position : feature.position + feature.dim]).max()
            peaks.append(min(feature.lookups * row, FIXED_MARGIN * float(seen)))
    if model.shape.dense:
        first = model.shape.dense_position
        peaks.append(FIXED_MARGIN * float(np.abs(vector[:, first : first + model.shape.dense]).max()))
    if not np.isfinite(peaks).all():
        raise ModelError("tables and calibration data must be finite")
    return max(peaks)


def _fraction(largest: float, limit: int, otherwise: int) -> int:
    """Most fraction bits with which `largest` stays within `limit`; `otherwise` if it is zero."""
    if largest <= 0:
        return otherwise
    fraction = math.floor(math.log2(limit / largest))
    return fraction if math.ldexp(largest, fraction) <= limit else fraction - 1


def _quantise_fixed(
    model: TracedModel, outputs: list[npt.NDArray[np.float64]], largest: float, precision: Precision
) -> Quantised:
    width = precision.width
    # The lowest code is a power of two, so a table that reaches -1 keeps all its bits; +1 would lose half a unit.
    before = first = _fraction(largest, 1 << (width - 1), width - 1)
    layers: list[QuantisedLayer] = []
    fractions: list[int] = []
    weight_steps: list[npt.NDArray[np.float64]] = []
    for number, layer in enumerate(model.shape.layers):
        last = number == len(outputs) - 1
        bits = precision.logit_width if last else width
        after = _fraction(FIXED_MARGIN * float(np.abs(outputs[number]).max()), (1 << (bits - 1)) - 1, bits - 1)
        if last and model.shape.sigmoid:
            least, most = (limit + bits - 16 for limit in SIGMOID_FRACTIONS)
            after = min(max(after, least), most)
        weight, bias = model.weights[number], model.biases[number]
        own = _fraction(float(np.abs(weight).max()), (1 << (width - 1)) - 1, width - 1)
        own = min(
            own, MAX_SHIFT + after - before, _fraction(float(np.abs(bias).max()), 1 << (2 * width - 2), own) - before
        )
        after = min(after, before + own)
        layers.append(
            QuantisedLayer(
                weights=_rounded(weight, own),
                bias=_rounded(bias, before + own),
                relu=layer.relu,
                shift=before + own - after,
            )
        )
        weight_steps.append(np.full(layer.outputs, 2.0**-own))
        fractions.append(after)
        before = after
    return Quantised(
        model=QuantisedModel(layers=tuple(layers), logit_fraction=before),
        input=InputQuantisation(precision=precision, fraction=first),
        steps=tuple(2.0**-fraction for fraction in fractions),
        weight_steps=tuple(weight_steps),
    )


def _rounded(values: npt.NDArray[np.float32], fraction: int) -> npt.NDArray[np.int64]:
    return np.rint(np.ldexp(values.astype(np.float64), fraction)).astype(np.int64)


def _quantise_int8(model: TracedModel, outputs: list[npt.NDArray[np.float64]], largest: float) -> Quantised:
    step, zero_point = float(np.float32((largest or 1.0) / 127)), INPUT_ZERO_POINT
    source = InputQuantisation(precision=Precision.INT8, scale=step)
    layers: list[QuantisedLayer] = []
    steps: list[float] = []
    weight_steps: list[npt.NDArray[np.float64]] = []
    logit_fraction = 0
    for number, layer in enumerate(model.shape.layers):
        after, after_zero = _output_scale(outputs[number], layer)
        if number == len(outputs) - 1:
            logit_fraction = _logit_fraction(outputs[number], sigmoid=model.shape.sigmoid)
            after, after_zero = 2.0**-logit_fraction, 0
        quantised, own, after = _int8_layer(
            model.weights[number],
            model.biases[number],
            relu=layer.relu,
            step=step,
            after=after,
            zero_points=(zero_point, after_zero),
        )
        _check_accumulator(quantised, number)
        layers.append(quantised)
        weight_steps.append(own)
        steps.append(after)
        step, zero_point = after, after_zero
    logit_fraction = -round(math.log2(steps[-1]))
    return Quantised(
        model=QuantisedModel(layers=tuple(layers), logit_fraction=logit_fraction),
        input=source,
        steps=tuple(steps),
        weight_steps=tuple(weight_steps),
    )


def _output_scale(outputs: npt.NDArray[np.float64], layer: Layer) -> tuple[float, int]:
    """Scale and zero point of a hidden layer's outputs; those of a ReLU use all 256 codes for what is not negative."""
    low = 0.0 if layer.relu else INT8_MARGIN * min(0.0, float(outputs.min()))
    high = INT8_MARGIN * max(0.0, float(outputs.max()))
    scale = float(np.float32((high - low) / 255)) or 1.0
    return scale, min(max(round(-low / scale), 0), 255)


def _logit_fraction(logits: npt.NDArray[np.float64], *, sigmoid: bool) -> int:
    fraction = _fraction(FIXED_MARGIN * float(np.abs(logits).max()), (1 << 15) - 1, 15)
    return min(max(fraction, SIGMOID_FRACTIONS[0]), SIGMOID_FRACTIONS[1]) if sigmoid else fraction


def _int8_layer(
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    *,
    relu: bool,
    step: float,
    after: float,
    zero_points: tuple[int, int],
) -> tuple[QuantisedLayer, npt.NDArray[np.float64], float]:
    """The layer, its weights' scales, and the output scale, which doubles until every multiplier is below 1."""
    peaks = np.abs(weight).max(axis=1).astype(np.float64)
    own = np.maximum(peaks / 127, np.abs(bias).astype(np.float64) / (step * BIAS_LIMIT))
    own = np.maximum(own, SMALLEST_MULTIPLIER * after / step).astype(np.float32).astype(np.float64)
    while True:
        multiplier = (step * own).astype(np.float32) / np.float32(after)
        if (multiplier < 1).all():
            break
        after *= 2
    layer = QuantisedLayer(
        weights=np.clip(np.rint(weight / own[:, None]), -127, 127).astype(np.int64),
        bias=np.rint(bias / (step * own)).astype(np.int64),
        relu=relu,
        multiplier=multiplier,
        input_zero_point=zero_points[0],
        output_zero_point=zero_points[1],
    )
    return layer, own, after


def _check_accumulator(layer: QuantisedLayer, number: int) -> None:
    reach = max(layer.input_zero_point, 255 - layer.input_zero_point)
    largest = int((np.abs(layer.weights).sum(axis=1) * reach + np.abs(layer.bias)).max())
    if largest >= 1 << 31:
        raise ModelError(f"layer {number}: sums may reach {largest}, int8's accumulator holds less than 2^31")
