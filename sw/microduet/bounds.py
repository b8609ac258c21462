"""How far the integers may be from the float model: a bound derived from the scales alone."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from microduet.golden import GoldenResult
from microduet.quantised import Quantised
from microduet.traced import TracedModel
from microduet_hw.config import Payload, Precision

Array = npt.NDArray[np.float64]

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
    deviations : expected root-mean-square error against the float model, if roundings are independent; that of user
        vectors is not in it
    scores : float64 (items,), the largest possible error of the scores
    """

    layers: tuple[Array, ...]
    local: tuple[Array, ...]
    deviations: tuple[Array, ...]
    scores: Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserErrors:
    """What is known of the users of a batch.

    Members
    -------
    users : float64 (items or 1, elements), what the integers of their vectors stand for
    own : float64 (items or 1, outputs), how far the engine's integers may make their part of the sums wrong
    sent : the same, for what is sent being off already
    """

    users: Array
    own: Array
    sent: Array


def user_errors(
    model: TracedModel,
    quantised: Quantised,
    users: npt.NDArray[np.integer],
    sent: Array,
) -> UserErrors:
    """Errors of user vectors.

    With s_q the step of a vector's elements q and 2^t the weights' own step, rounding them is wrong by at most
    ``2^(t - 1) sum|q - zero point|``; sums that are sent are rounded to 2^t.

    Parameters
    ----------
    users : int64 (items or 1, elements), as they are sent
    sent : float64 of the same shape, how far what they stand for may be from the float model's
    """
    user, entry = quantised.user, model.shape.user
    assert user is not None, "the model must take user vectors"
    assert entry is not None, "the model must take user vectors"
    before = quantised.input.step if entry.layer == model.shape.bottom else quantised.steps[entry.layer - 1]
    unit = before * quantised.weight_steps[entry.layer] * 2.0**user.shift
    if entry.payload is Payload.SUMS:
        return UserErrors(users=users * unit, own=np.zeros_like(sent), sent=sent + unit / 2 * (user.shift > 0))
    values = (users - user.zero_point).astype(np.float64)
    own = np.abs(values).sum(axis=1, keepdims=True) * unit / 2
    assert model.user_weights is not None, "vectors are multiplied by weights"
    return UserErrors(users=values * user.scale, own=own, sent=sent @ np.abs(model.user_weights.astype(np.float64)).T)


def error_bounds(
    model: TracedModel,
    quantised: Quantised,
    result: GoldenResult,
    vector: torch.Tensor,
    outputs: tuple[torch.Tensor, ...],
    *,
    users: UserErrors | None = None,
) -> ErrorBounds:
    """Errors of a batch whose float vectors and layers, as `TracedModel` gives them, are `vector` and `outputs`.

    With s the steps, x the golden inputs and e their error, an output is wrong by at most
    ``|W| e + (s_w / 2) sum|x| + s_x s_w / 2 + s_y / 2``: the inputs' errors, the rounding of weights, of the bias and
    of the output; int8 adds five roundings to single precision. Independent roundings have a variance of s^2 / 12
    each. A ReLU enlarges nothing. Values that were cut to their range count with their actual error, which no scale
    bounds. Where users come in, `users` says how wrong their part may be.
    """
    values = golden_values(quantised, result)
    first = _input_error(model, quantised, result, values[0] - vector.numpy())
    reads = _Reads(model=model, vector=values[0], error=first)
    error = variance = np.zeros((len(values[0]), 0))
    layers: list[Array] = []
    local: list[Array] = []
    deviations: list[Array] = []
    for number, exact in enumerate(outputs):
        inputs, found = reads.inputs(number, values[number]), values[number + 1]
        error, variance = reads.errors(number, error), reads.variances(number, variance)
        weight, weight_step = model.weights[number].astype(np.float64), quantised.weight_steps[number]
        step, output_step = _step(model, quantised, number), quantised.steps[number]
        own = rounding_error(
            inputs,
            found,
            steps=(step, output_step),
            weight_step=weight_step,
            single=quantised.model.layers[number].multiplier is not None,
        )
        here = users if users is not None and model.shape.user and model.shape.user.layer == number else None
        sent, part = (0.0, None) if here is None else (here.sent, here.users)
        own = own if here is None else own + here.own
        cut = _cut(quantised, result, number)
        repeated = model.layer(number, torch.from_numpy(inputs), part).numpy()
        local.append(np.where(cut, np.abs(found - repeated), own) * SUMS)
        error = np.where(cut, np.abs(found - exact.numpy()), error @ np.abs(weight).T + own + sent) * SUMS
        layers.append(error)
        roundings = (inputs**2).sum(axis=1, keepdims=True) * weight_step**2 + (step * weight_step) ** 2 + output_step**2
        variance = variance @ (weight**2).T + roundings / 12
        deviations.append(np.sqrt(variance))
    return ErrorBounds(
        layers=tuple(layers),
        local=tuple(local),
        deviations=tuple(deviations),
        scores=error[:, 0] / 4 + _score_error(quantised),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Reads:
    """What every layer reads of the vector, and of the layer before it."""

    model: TracedModel
    vector: Array
    error: Array

    def inputs(self, number: int, before: Array) -> Array:
        """Values; `before` is the vector itself for the first layer."""
        return self._joined(number, self.vector, before)

    def errors(self, number: int, before: Array) -> Array:
        """Largest possible errors."""
        return self._joined(number, self.error, before)

    def variances(self, number: int, before: Array) -> Array:
        """Expected squares of errors."""
        return self._joined(number, self.error**2 / 12, before)

    def _joined(self, number: int, own: Array, before: Array) -> Array:
        columns, follows = self.model.shape.reads(number)
        return np.concatenate([own[:, columns], before], axis=1) if follows else own[:, columns]


def _step(model: TracedModel, quantised: Quantised, number: int) -> float:
    """What one unit of the inputs of layer `number` stands for."""
    if number == model.shape.bottom:
        return quantised.input.step
    return quantised.steps[number - 1] if number else quantised.dense.step


def rounding_error(
    inputs: npt.NDArray[np.floating],
    found: npt.NDArray[np.floating],
    *,
    steps: tuple[float, float],
    weight_step: Array,
    single: bool,
) -> Array:
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


def golden_values(quantised: Quantised, result: GoldenResult) -> list[Array]:
    """What the golden integers stand for: the vector, every hidden layer, the logits (items, 1)."""
    first = (result.vector - quantised.input.zero_point).astype(np.float64) * quantised.input.step
    if quantised.dense != quantised.input:  # the dense inputs of a bottom MLP stand last
        count = quantised.model.layers[0].weights.shape[1]
        first[:, -count:] *= quantised.dense.step / quantised.input.step
    values: list[Array] = [first]
    for number, step in enumerate(quantised.steps):
        zero_point = quantised.model.layers[number].output_zero_point
        values.append((_integers(result, number) - zero_point).astype(np.float64) * step)
    return values


def _integers(result: GoldenResult, number: int) -> npt.NDArray[np.int64]:
    return result.logits[:, None] if number == len(result.layers) else result.layers[number]


def _input_error(
    model: TracedModel, quantised: Quantised, result: GoldenResult, actual: npt.NDArray[np.floating]
) -> Array:
    """A row's elements are wrong by half a step, a whole one at the upper edge; pooled errors add up."""
    steps = np.full(actual.shape[1], 0.5)
    for feature in model.shape.features:
        steps[feature.position : feature.position + feature.dim] = feature.lookups
    steps *= quantised.input.step
    if model.shape.bottom:
        steps[model.shape.feature_elements :] = quantised.dense.step / 2
    low, high = quantised.input.bounds
    cut = (result.vector == low) | (result.vector == high)
    return np.where(cut, np.abs(actual), steps) * (1 + 1e-12)


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
