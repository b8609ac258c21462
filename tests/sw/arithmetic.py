"""The engine's arithmetic in plain Python integers, one number at a time: what the golden model is held against."""

import fractions
import math

import numpy as np

from microduet.generated import GeneratedTable
from microduet_hw.quantised import QuantisedLayer


def half_even(value: fractions.Fraction) -> int:
    return round(value)  # Python rounds a Fraction to the nearest integer, ties to even


def fixed_output(total: int, *, shift: int, width: int, relu: bool) -> int:
    value = half_even(fractions.Fraction(total, 1 << shift))
    value = min(max(value, -(1 << (width - 1))), (1 << (width - 1)) - 1)
    return max(value, 0) if relu else value


def int8_output(total: int, *, multiplier: np.float32, zero_point: int, relu: bool, logit: bool) -> int:
    """Single precision throughout, as its definition says."""
    value = int(np.rint(np.float32(np.int64(total)) * np.float32(multiplier))) + zero_point
    low, high = (-32768, 32767) if logit else (0, 255)
    return min(max(value, zero_point if relu else low), high)


def layer(model: QuantisedLayer, inputs: list[int], *, width: int, logit: bool) -> list[int]:
    outputs = []
    for o, row in enumerate(model.weights.tolist()):
        total = int(model.bias[o]) + sum((x - model.input_zero_point) * w for x, w in zip(inputs, row, strict=True))
        if model.multiplier is None:
            outputs.append(fixed_output(total, shift=model.shift, width=width, relu=model.relu))
        else:
            zero = model.output_zero_point
            outputs.append(
                int8_output(total, multiplier=model.multiplier[o], zero_point=zero, relu=model.relu, logit=logit)
            )
    return outputs


def score16(logit: int, *, logit_width: int, logit_fraction: int) -> int:
    extra = logit_width - 16
    index, place = divmod((logit >> extra) + 32768, 16)

    def knot(number: int) -> int:
        x = (16 * number - 32768) * 2.0 ** (extra - logit_fraction)
        return min(max(math.floor(65536 / (1 + math.exp(-x)) + 0.5), 0), 65535)

    return knot(index) + ((knot(index + 1) - knot(index)) * place >> 4)


def generated(table: GeneratedTable, row: int, column: int) -> int:
    mask = (1 << 64) - 1
    z = table.seed * 0x9E3779B97F4A7C15 + table.table * 0xBF58476D1CE4E5B9
    z = (z + row * 0x94D049BB133111EB + column * 0xD6E8FEB86659FD93) & mask
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
    return ((z ^ z >> 31) >> 40) - (1 << 23)
