"""Quantised weights of a model: plain numpy arrays in the model's own order, before any packing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

INPUT_ZERO_POINT = 128
"""Zero point of an int8 engine's input vector: fixed, so that pooling needs no constant of the model."""


@dataclass(frozen=True, kw_only=True)
class QuantisedLayer:
    """One fully connected layer in integers.

    Members
    -------
    weights : int64 (outputs, inputs), ``|w| < 2^(width - 1)``
    bias : int64 (outputs,), at the scale of the products; int8: int32 range, without zero-point correction
    relu : whether negative outputs (below the output zero point) become zero
    shift : fixed16, fixed32: bits that an output drops, 0 to 63; 0 in int8
    multiplier : int8: float32 (outputs,), s_in s_w / s_out per channel, each 0 < m < 1; None otherwise
    input_zero_point, output_zero_point : int8: of the activations; 0 otherwise. The output layer's is 0
    """

    weights: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int64]
    relu: bool
    shift: int = 0
    multiplier: npt.NDArray[np.float32] | None = None
    input_zero_point: int = 0
    output_zero_point: int = 0


@dataclass(frozen=True, kw_only=True)
class QuantisedModel:
    """Hidden layers and the output layer; ``sigmoid(logit * 2 ** -logit_fraction)`` is the score."""

    layers: tuple[QuantisedLayer, ...]
    logit_fraction: int


@dataclass(frozen=True, kw_only=True)
class UserWeights:
    """What an engine knows of users: ``bias + ((weights @ q) << shift)`` is the user's part of a layer's sums.

    With `Payload.SUMS` it is ``bias + (sums << shift)``. Either way modulo 2^`accumulator_width`, in place of the
    layer's own bias, which counts for nothing.

    Members
    -------
    weights : int64 (outputs, elements of a user vector), 16 bits signed; (outputs, 0) with `Payload.SUMS`
    bias : int64 (outputs,), at the scale of the layer's products: the layer's bias, less what the zero points of the
        user vector and (int8) of the layer's own inputs add to its sums
    shift : 0 to 63
    version, scale, zero_point : of the user vectors that fit; others are refused, nothing is computed from these
    """

    weights: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int64]
    shift: int = 0
    version: int
    scale: float
    zero_point: int
