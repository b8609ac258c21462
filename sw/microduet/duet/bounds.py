"""How far a quantised user vector may be from the float one: derived from the scales alone."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from microduet.bounds import SINGLE, SUMS, rounding_error
from microduet.duet.golden import UserResult
from microduet.duet.quantise import FixedStack, QuantisedUser
from microduet.duet.users import UserBatch, float_layers, user_vector
from microduet.models.layers import linears
from microduet.models.split import SplitModel

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserBounds:
    """Errors of a batch against the float user model in float64.

    Members
    -------
    inputs : float64 (users, elements), largest possible error of what the top MLP reads
    payload : float64 (users, width), largest possible error of the user vector
    inputs_error, payload_error : what the errors are
    """

    inputs: Array
    payload: Array
    inputs_error: Array
    payload_error: Array


def user_bounds(model: SplitModel, quantised: QuantisedUser, result: UserResult, batch: UserBatch) -> UserBounds:
    """Bounds for `result`, which is the golden model's for `batch`.

    A history's element is wrong by half a step, a whole one at its upper edge, and sums add up; bottom and top MLPs
    as in `microduet.bounds`; the quantiser adds half a step and four roundings to single precision of a number below
    2^8. Values that were cut to their range count with their actual error, which no scale bounds.
    """
    user = model.user_model
    counts = np.concatenate(
        [np.full(model.shape.dim(k), model.shape.features[k].lookups) for k in model.shape.user.features]
    )
    errors = [np.broadcast_to(counts * quantised.elements.step, result.sums.shape)]
    for module, stack, outputs, given in (
        (user.static, quantised.static, result.static, batch.static),
        (user.dynamic, quantised.dynamic, result.dynamic, batch.context),
    ):
        if module is not None and stack is not None and given is not None:
            errors.append(_bottom(module, stack, outputs, given.astype(np.float64)))
    exact = user_vector(model, batch)
    zero_point = quantised.model.zero_point
    found = ((result.inputs - zero_point) * quantised.scale).astype(np.float64)
    actual = np.abs(found - exact)
    own = quantised.scale * (0.5 + 256 * 4 * SINGLE)
    cut = (result.inputs == 0) | (result.inputs == 255)
    error = inputs = np.where(cut, actual, np.concatenate(errors, 1) + own) * SUMS
    outputs = float_layers(user.top, exact)
    step = quantised.scale
    for number, layer in enumerate(linears(user.top)):
        integers = result.top[number] - quantised.model.top[number].output_zero_point
        after = quantised.top_steps[number]
        values = integers * after
        rounding = rounding_error(
            found, values, steps=(step, after), weight_step=quantised.weight_steps[number], single=True
        )
        off = np.abs(values - outputs[number])
        weight = np.abs(layer.weight.detach().double().numpy())
        error = np.where(result.top[number] == 255, off, error @ weight.T + rounding) * SUMS
        found, step = values.astype(np.float64), after
    return UserBounds(inputs=inputs, payload=error, inputs_error=actual, payload_error=np.abs(found - outputs[-1]))


def _bottom(
    module: torch.nn.Module, stack: FixedStack, outputs: tuple[npt.NDArray[np.int64], ...], given: Array
) -> Array:
    """Bound of one bottom MLP's outputs; its inputs are rounded to the nearest and may be cut."""
    exact = float_layers(module, given)
    steps = [2.0**-places for places in stack.fractions]
    found = stack.input.integers(given) * steps[0]
    error = np.abs(found - given)
    for number, layer in enumerate(linears(module)):
        values = outputs[number] * steps[number + 1]
        rounding = rounding_error(
            found,
            values,
            steps=(steps[number], steps[number + 1]),
            weight_step=np.full(layer.out_features, 2.0 ** -stack.weight_fractions[number]),
            single=False,
        )
        weight = np.abs(layer.weight.detach().double().numpy())
        cut = outputs[number] == (1 << 15) - 1
        error = np.where(cut, np.abs(values - exact[number]), error @ weight.T + rounding) * SUMS
        found = values
    return error
