"""One layer from float weights to integers; engines and edge units share it."""

import math

import numpy as np
import numpy.typing as npt

from microduet.errors import ModelError
from microduet_hw.quantised import QuantisedLayer

FIXED_MARGIN = 2.0
"""An output in fixed16 or fixed32 may be twice what the calibration batch showed before it saturates: one bit."""
INT8_MARGIN = 1.0
"""Eight bits have none to spare: what exceeds the calibrated range saturates."""
MAX_SHIFT = 63
SMALLEST_MULTIPLIER = 2.0**-31
"""int8: an output channel so faint that it could not move its output by one unit is given this multiplier."""
BIAS_LIMIT = 1 << 30
"""int8: leaves half of the accumulator's 32 bits to the products."""
SIGMOID_FRACTIONS = (6, 15)
"""Least and greatest fraction bits of the sigmoid's 16-bit input: beyond +-512 there is nothing left to tell apart."""


def check_finite(weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], name: str) -> None:
    """Raise ModelError, with the layer's `name`, if a number is infinite or not one."""
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ModelError(f"{name}: weights and biases must be finite")


def fraction(largest: float, limit: int, otherwise: int) -> int:
    """Most fraction bits with which `largest` stays within `limit`; `otherwise` if it is zero."""
    if largest <= 0:
        return otherwise
    found = math.floor(math.log2(limit / largest))
    return found if math.ldexp(largest, found) <= limit else found - 1


def output_fraction(outputs: npt.NDArray[np.float64], bits: int) -> int:
    """fixed16, fixed32: fraction bits with which calibrated `outputs` leave a margin in `bits` signed bits."""
    return fraction(FIXED_MARGIN * float(np.abs(outputs).max()), (1 << (bits - 1)) - 1, bits - 1)


def rounded(values: npt.NDArray[np.float32], places: int) -> npt.NDArray[np.int64]:
    """`values` 2^places, rounded half to even."""
    return np.rint(np.ldexp(values.astype(np.float64), places)).astype(np.int64)


def fixed_layer(
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    *,
    relu: bool,
    width: int,
    before: int,
    after: int,
    most: int | None = None,
) -> tuple[QuantisedLayer, int, int]:
    """The layer in fixed point of `width` bits, its weights' fraction bits, and its outputs'.

    Parameters
    ----------
    weight, bias : float32 (outputs, inputs) and (outputs,)
    before, after : fraction bits of inputs and outputs; the outputs get fewer if the products have fewer
    most : fraction bits that the weights may have; None: as many as fit
    """
    own = fraction(float(np.abs(weight).max()), (1 << (width - 1)) - 1, width - 1)
    room = fraction(float(np.abs(bias).max()), 1 << (2 * width - 2), own + before) - before
    own = min(own, MAX_SHIFT + after - before, room, own if most is None else most)
    after = min(after, before + own)
    layer = QuantisedLayer(
        weights=rounded(weight, own), bias=rounded(bias, before + own), relu=relu, shift=before + own - after
    )
    return layer, own, after


def output_scale(outputs: npt.NDArray[np.float64], *, relu: bool) -> tuple[float, int]:
    """int8: scale and zero point of calibrated `outputs`; those of a ReLU use all codes for what is not negative."""
    low = 0.0 if relu else INT8_MARGIN * min(0.0, float(outputs.min()))
    high = INT8_MARGIN * max(0.0, float(outputs.max()))
    scale = float(np.float32((high - low) / 255)) or 1.0
    return scale, min(max(round(-low / scale), 0), 255)


def int8_layer(
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    *,
    relu: bool,
    step: float,
    after: float,
    zero_points: tuple[int, int],
) -> tuple[QuantisedLayer, npt.NDArray[np.float64], float]:
    """The layer, its weights' scales, and the output scale, which doubles until every multiplier is below 1.

    ``m = f32(s_in s_w) f32(1 / s_out)``, each operation in single precision: a division in place of the reciprocal
    differs by a unit in the last place now and then, and so would outputs from those of PyTorch's qnnpack.

    Parameters
    ----------
    weight, bias : float32 (outputs, inputs) and (outputs,)
    step, after : scales of inputs and outputs, float32 values
    zero_points : of inputs and outputs
    """
    peaks = np.abs(weight).max(axis=1).astype(np.float64)
    own = np.maximum(peaks / 127, np.abs(bias).astype(np.float64) / (step * BIAS_LIMIT))
    own = np.maximum(own, SMALLEST_MULTIPLIER * after / step).astype(np.float32).astype(np.float64)
    while True:
        multiplier = (step * own).astype(np.float32) * (np.float32(1) / np.float32(after))
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


def check_accumulator(layer: QuantisedLayer, name: str) -> None:
    """Raise ModelError, with the layer's `name`, if a sum of products and its bias could leave 32 bits."""
    reach = max(layer.input_zero_point, 255 - layer.input_zero_point)
    largest = int((np.abs(layer.weights).sum(axis=1) * reach + np.abs(layer.bias)).max())
    if largest >= 1 << 31:
        raise ModelError(f"{name}: sums may reach {largest}, int8's accumulator holds less than 2^31")
