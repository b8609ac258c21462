"""User vectors and the layer they come into, in integers: what is added to the layer's sums in place of its bias."""

import dataclasses

import numpy as np
import numpy.typing as npt

from microduet.errors import ModelError
from microduet.quantise_layer import fixed_layer, int8_layer
from microduet_hw.config import Frozen
from microduet_hw.quantised import QuantisedLayer, UserWeights

LARGEST = (1 << 15) - 1
"""Of a folded weight: 16 bits signed, symmetric."""
BYTE = 255
"""Of an element of a user vector."""

Floats = npt.NDArray[np.float32]


class UserScale(Frozen, frozen=True, kw_only=True):
    """What user vectors of model `version` mean: element q, 0 to 255, stands for ``(q - zero_point) * scale``."""

    scale: float
    zero_point: int = 0
    version: int = 0


def fold(
    weights: Floats, bias: npt.NDArray[np.int64], *, unit: npt.NDArray[np.float64], scale: UserScale
) -> UserWeights:
    """``bias + weights @ user`` as ``bias' + ((weights' @ q) << shift)``.

    ``weights' = rint(weights scale / (unit 2^shift))`` with the least shift at which 16 bits hold all of them;
    ``bias' = bias - (zero_point sum(weights') << shift)``, so that a vector of zeros adds the bias exactly.

    Parameters
    ----------
    weights : float32 (outputs, elements)
    bias : int64 (outputs,), the layer's own, in units of its sums
    unit : float64 (outputs,) or (1,), what one unit of a sum stands for
    """
    exact = weights.astype(np.float64) * scale.scale / unit[:, None]
    shift = 0
    while np.abs(np.rint(np.ldexp(exact, -shift))).max(initial=0) > LARGEST:
        shift += 1
    folded = np.rint(np.ldexp(exact, -shift)).astype(np.int64)
    return UserWeights(
        weights=folded,
        bias=bias - (scale.zero_point * folded.sum(axis=1) << shift),
        shift=shift,
        version=scale.version,
        scale=scale.scale,
        zero_point=scale.zero_point,
    )


def reach(layer: QuantisedLayer, user: UserWeights, *, largest: int) -> int:
    """The largest magnitude of a sum: `largest` is that of an input less its zero point."""
    low = user.bias + (np.minimum(user.weights, 0).sum(axis=1) * BYTE << user.shift)
    high = user.bias + (np.maximum(user.weights, 0).sum(axis=1) * BYTE << user.shift)
    return int((np.abs(layer.weights).sum(axis=1) * largest + np.maximum(np.abs(low), np.abs(high))).max())


def fixed_user_layer(
    floats: tuple[Floats, Floats, Floats],
    *,
    relu: bool,
    places: tuple[int, int],
    scale: UserScale,
    width: int,
    accumulator: int,
) -> tuple[QuantisedLayer, int, int, UserWeights]:
    """The layer in fixed point, its weights' and outputs' fraction bits, and the user's part.

    Weights get fewer bits if sums could otherwise leave the accumulator.

    Parameters
    ----------
    floats : weights, bias and user weights
    places : fraction bits of inputs and outputs
    width, accumulator : bits of an element and of a sum
    """
    weight, bias, user_weight = floats
    most = None
    while True:
        layer, own, after = fixed_layer(
            weight, bias, relu=relu, width=width, before=places[0], after=places[1], most=most
        )
        user = fold(user_weight, layer.bias, unit=np.array([2.0 ** -(places[0] + own)]), scale=scale)
        if reach(layer, user, largest=1 << (width - 1)) < 1 << (accumulator - 1):
            return without_bias(layer), own, after, user
        most = own - 1


def int8_user_layer(
    floats: tuple[Floats, Floats, Floats],
    *,
    relu: bool,
    step: float,
    after: float,
    zero_points: tuple[int, int],
    scale: UserScale,
    name: str,
) -> tuple[QuantisedLayer, npt.NDArray[np.float64], float, UserWeights]:
    """The layer in int8, its weights' scales, its output scale, and the user's part.

    Raises
    ------
    ModelError
        If a sum could leave 32 bits: names the layer `name`.
    """
    weight, bias, user_weight = floats
    layer, own, after = int8_layer(weight, bias, relu=relu, step=step, after=after, zero_points=zero_points)
    user = fold(user_weight, layer.bias, unit=step * own, scale=scale)
    zero_point = layer.input_zero_point
    largest = reach(layer, user, largest=max(zero_point, BYTE - zero_point))
    if largest >= 1 << 31:
        raise ModelError(f"{name}: sums may reach {largest}, int8's accumulator holds less than 2^31")
    return without_bias(layer), own, after, without_zero_point(user, layer)


def without_bias(layer: QuantisedLayer) -> QuantisedLayer:
    """`layer` as it is where users come in: its bias is part of what they add."""
    return dataclasses.replace(layer, bias=np.zeros_like(layer.bias))


def without_zero_point(user: UserWeights, layer: QuantisedLayer) -> UserWeights:
    """`user`, less what the zero point of the layer's own inputs adds to its sums."""
    return dataclasses.replace(user, bias=user.bias - layer.input_zero_point * layer.weights.sum(axis=1))
