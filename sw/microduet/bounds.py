"""How far the integers may be from the float model: a bound derived from the scales alone."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from microduet.golden import GoldenResult
from microduet.quantised import Quantised
from microduet.traced import TracedModel
from microduet_hw.config import Precision

SINGLE = 2.0**-24
"""Relative error of one rounding to single precision."""
SUMS = 1 + 1e-9
"""The float model's own sums in float64 are not exact."""
CURVATURE = 0.0963
"""Greatest second derivative of the logistic function, 1 / (6 sqrt 3)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorBounds:
    """Largest possible and expected errors of one batch.

    Members
    -------
    layers : per layer float64 (items, outputs), the largest possible error against the float model; the last are the
        logits. Rigorous, and pessimistic behind wide layers, where all errors would have to agree in sign
    local : the same against the float layer applied to the golden model's own inputs
    deviations : expected root-mean-square error against the float model, if roundings are independent
    scores : float64 (items,), the largest possible error of the scores
    """

    layers: tuple[npt.NDArray[np.float64], ...]
    local: tuple[npt.NDArray[np.float64], ...]
    deviations: tuple[npt.NDArray[np.float64], ...]
    scores: npt.NDArray[np.float64]


def error_bounds(
    model: TracedModel,
    quantised: Quantised,
    result: GoldenResult,
    vector: torch.Tensor,
    outputs: tuple[torch.Tensor, ...],
) -> ErrorBounds:
    """Errors of a batch whose float vectors and layers, as `TracedModel` gives them, are `vector` and `outputs`.

    With s the steps, x the golden inputs and e their error, an output is wrong by at most
    ``|W| e + (s_w / 2) sum|x| + s_x s_w / 2 + s_y / 2``: the inputs' errors, the rounding of weights, of the bias and
    of the output; int8 adds five roundings to single precision. Independent roundings have a variance of s^2 / 12
    each. A ReLU enlarges nothing. Values that were cut to their range count with their actual error, which no scale
    bounds.
    """
    values = golden_values(quantised, result)
    error = _input_error(model, quantised, result, values[0] - vector.numpy())
    variance = error**2 / 12
    step = quantised.input.step
    layers: list[npt.NDArray[np.float64]] = []
    local: list[npt.NDArray[np.float64]] = []
    deviations: list[npt.NDArray[np.float64]] = []
    for number, exact in enumerate(outputs):
        inputs, found = values[number], values[number + 1]
        weight, weight_step = model.weights[number].astype(np.float64), quantised.weight_steps[number]
        output_step = quantised.steps[number]
        own = rounding_error(
            inputs,
            found,
            steps=(step, output_step),
            weight_step=weight_step,
            single=quantised.model.layers[number].multiplier is not None,
        )
        cut = _cut(quantised, result, number)
        repeated = model.layer(number, torch.from_numpy(inputs)).numpy()
        local.append(np.where(cut, np.abs(found - repeated), own) * SUMS)
        error = np.where(cut, np.abs(found - exact.numpy()), error @ np.abs(weight).T + own) * SUMS
        layers.append(error)
        roundings = (inputs**2).sum(axis=1, keepdims=True) * weight_step**2 + (step * weight_step) ** 2 + output_step**2
        variance = variance @ (weight**2).T + roundings / 12
        deviations.append(np.sqrt(variance))
        step = output_step
    return ErrorBounds(
        layers=tuple(layers),
        local=tuple(local),
        deviations=tuple(deviations),
        scores=error[:, 0] / 4 + _score_error(quantised),
    )


def rounding_error(
    inputs: npt.NDArray[np.floating],
    found: npt.NDArray[np.floating],
    *,
    steps: tuple[float, float],
    weight_step: npt.NDArray[np.float64],
    single: bool,
) -> npt.NDArray[np.float64]:
    """How far one layer's outputs `found` may be from those of float weights on the same `inputs`.

    Parameters
    ----------
    inputs, found : float64 (items, inputs) and (items, outputs), what the golden integers stand for
    steps : what one unit of an input and of an output stands for
    weight_step : float64 (outputs,) or a scalar array, the same of a weight
    single : whether outputs are scaled in single precision (int8)
    """
    step, output_step = steps
    own = np.abs(inputs).sum(axis=1, keepdims=True) * weight_step / 2 * (1 + 2 * SINGLE)
    own = own + step * weight_step / 2 + output_step / 2
    return own + 5 * SINGLE * (np.abs(found) + output_step) if single else own


def golden_values(quantised: Quantised, result: GoldenResult) -> list[npt.NDArray[np.float64]]:
    """What the golden integers stand for: the vector, every hidden layer, the logits (items, 1)."""
    first = (result.vector - quantised.input.zero_point).astype(np.float64) * quantised.input.step
    values: list[npt.NDArray[np.float64]] = [first]
    for number, step in enumerate(quantised.steps):
        zero_point = quantised.model.layers[number].output_zero_point
        values.append((_integers(result, number) - zero_point).astype(np.float64) * step)
    return values


def _integers(result: GoldenResult, number: int) -> npt.NDArray[np.int64]:
    return result.logits[:, None] if number == len(result.layers) else result.layers[number]


def _input_error(
    model: TracedModel, quantised: Quantised, result: GoldenResult, actual: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """A row's elements are wrong by half a step, a whole one at the upper edge; pooled errors add up."""
    steps = np.full(actual.shape[1], 0.5)
    for feature in model.shape.features:
        steps[feature.position : feature.position + feature.dim] = feature.lookups
    low, high = quantised.input.bounds
    cut = (result.vector == low) | (result.vector == high)
    return np.where(cut, np.abs(actual), steps * quantised.input.step) * (1 + 1e-12)


def _cut(quantised: Quantised, result: GoldenResult, number: int) -> npt.NDArray[np.bool_]:
    """Outputs at the edge of their range; at the lower one only where no ReLU put them there."""
    precision, last = quantised.input.precision, number == len(quantised.steps) - 1
    bits = precision.logit_width if last else precision.width
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if last or precision.signed else (0, (1 << bits) - 1)
    integers = _integers(result, number)
    return (integers == high) | ((integers == low) & (not quantised.model.layers[number].relu))


def _score_error(quantised: Quantised) -> float:
    """Of the table: its knots' rounding, the line's, the line itself, and the logit's bits below the upper 16."""
    extra = quantised.input.precision.logit_width - 16
    unit = 2.0 ** (extra - quantised.model.logit_fraction)
    dropped = unit / 4 if quantised.input.precision is Precision.FIXED32 else 0.0
    return 2 / 65536 + (16 * unit) ** 2 / 8 * CURVATURE + dropped
