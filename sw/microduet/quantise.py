"""From float weights to integers: scales from a calibration batch, one rounding per tensor."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from microduet.errors import ModelError
from microduet.quantisation import InputQuantisation
from microduet.quantise_layer import (
    FIXED_MARGIN,
    check_accumulator,
    check_finite,
    fixed_layer,
    fraction,
    int8_layer,
    output_fraction,
    output_scale,
)
from microduet.traced import TracedModel, peak
from microduet_hw.config import Precision
from microduet_hw.quantised import INPUT_ZERO_POINT, QuantisedLayer, QuantisedModel

CALIBRATION_ITEMS = 2048
SIGMOID_FRACTIONS = (6, 15)
"""Least and greatest fraction bits of the sigmoid's 16-bit input: beyond +-512 there is nothing left to tell apart."""


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
        check_finite(weight, bias, f"layer {number}")
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


def _quantise_fixed(
    model: TracedModel, outputs: list[npt.NDArray[np.float64]], largest: float, precision: Precision
) -> Quantised:
    width = precision.width
    # The lowest code is a power of two, so a table that reaches -1 keeps all its bits; +1 would lose half a unit.
    before = first = fraction(largest, 1 << (width - 1), width - 1)
    layers: list[QuantisedLayer] = []
    fractions: list[int] = []
    weight_steps: list[npt.NDArray[np.float64]] = []
    for number, layer in enumerate(model.shape.layers):
        last = number == len(outputs) - 1
        bits = precision.logit_width if last else width
        after = output_fraction(outputs[number], bits)
        if last and model.shape.sigmoid:
            least, most = (limit + bits - 16 for limit in SIGMOID_FRACTIONS)
            after = min(max(after, least), most)
        fixed, own, after = fixed_layer(
            model.weights[number], model.biases[number], relu=layer.relu, width=width, before=before, after=after
        )
        layers.append(fixed)
        weight_steps.append(np.full(layer.outputs, 2.0**-own))
        fractions.append(after)
        before = after
    return Quantised(
        model=QuantisedModel(layers=tuple(layers), logit_fraction=before),
        input=InputQuantisation(precision=precision, fraction=first),
        steps=tuple(2.0**-fraction for fraction in fractions),
        weight_steps=tuple(weight_steps),
    )


def _quantise_int8(model: TracedModel, outputs: list[npt.NDArray[np.float64]], largest: float) -> Quantised:
    step, zero_point = float(np.float32((largest or 1.0) / 127)), INPUT_ZERO_POINT
    source = InputQuantisation(precision=Precision.INT8, scale=step)
    layers: list[QuantisedLayer] = []
    steps: list[float] = []
    weight_steps: list[npt.NDArray[np.float64]] = []
    logit_fraction = 0
    for number, layer in enumerate(model.shape.layers):
        after, after_zero = output_scale(outputs[number], relu=layer.relu)
        if number == len(outputs) - 1:
            logit_fraction = _logit_fraction(outputs[number], sigmoid=model.shape.sigmoid)
            after, after_zero = 2.0**-logit_fraction, 0
        quantised, own, after = int8_layer(
            model.weights[number],
            model.biases[number],
            relu=layer.relu,
            step=step,
            after=after,
            zero_points=(zero_point, after_zero),
        )
        check_accumulator(quantised, f"layer {number}")
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


def _logit_fraction(logits: npt.NDArray[np.float64], *, sigmoid: bool) -> int:
    found = output_fraction(logits, 16)
    return min(max(found, SIGMOID_FRACTIONS[0]), SIGMOID_FRACTIONS[1]) if sigmoid else found
