"""One layer from floats to integers: every number that is chosen, where what chooses it changes over."""

import math

import numpy as np
import pytest

from microduet.errors import ModelError
from microduet.quantise_layer import (
    check_accumulator,
    check_finite,
    fixed_layer,
    fraction,
    int8_layer,
    output_fraction,
    output_scale,
    rounded,
)
from microduet_hw.quantised import QuantisedLayer


@pytest.mark.parametrize(
    ("largest", "limit", "expected"),
    [
        (0.0, 100, 7),  # as is said of nothing
        (1e-300, 1, 996),
        (1.0, 1 << 15, 15),
        (1.0, (1 << 15) - 1, 14),
        (3.0, 6, 1),
        (3.0, 5, 0),
        (40.0, 10, -2),
        (float(np.nextafter(1.0, 2.0)), 1 << 15, 14),  # the logarithm rounds to 15
    ],
)
def test_most_fraction_bits_that_stay_within_a_limit(largest: float, limit: int, expected: int) -> None:
    assert fraction(largest, limit, 7) == expected


@pytest.mark.parametrize(
    ("outputs", "bits", "expected"),
    [([0.5, -1.0], 16, 13), ([16383.5, 0.0], 16, 0), ([16383.75, 0.0], 16, -1), ([0.0], 16, 15), ([0.0], 32, 31)],
)
def test_outputs_leave_one_bit_above_what_was_seen(outputs: list[float], bits: int, expected: int) -> None:
    assert output_fraction(np.array(outputs), bits) == expected


def test_rounds_half_to_even() -> None:
    found = rounded(np.array([0.125, 0.375, -0.125, -0.375, 3.0], np.float32), 2)
    assert (found.tolist(), found.dtype) == ([0, 2, 0, -2, 12], np.int64)


@pytest.mark.parametrize(
    ("weight", "bias", "places", "more", "expected"),
    [
        # weights, bias, places of inputs and outputs -> fraction bits of weights and outputs, and the shift
        ([0.75, -1.0], 0.5, (12, 10), {}, (14, 10, 16)),  # as many bits as the largest weight leaves
        ([0.0, 0.0], 0.0, (12, 10), {}, (15, 10, 17)),
        ([0.75, -1.0], 0.5, (12, 10), {"most": 9}, (9, 10, 11)),
        ([0.75, -1.0], 0.5, (12, 10), {"most": 20}, (14, 10, 16)),
        ([0.75, -1.0], 0.5, (2, 30), {}, (14, 16, 0)),  # products have no more than that
        ([0.75, -1.0], 4096.0, (12, 10), {}, (6, 10, 8)),  # the bias would leave 2^30
        ([0.75, -1.0], 4097.0, (12, 10), {}, (5, 10, 7)),
        ([2.0**-60, 0.0], 0.0, (12, 10), {}, (61, 10, 63)),  # a shift has no more than 63 bits
    ],
)
def test_a_layer_in_16_bits(
    weight: list[float], bias: float, places: tuple[int, int], more: dict, expected: tuple
) -> None:
    floats = np.array([weight], np.float32)
    layer, own, after = fixed_layer(
        floats, np.array([bias], np.float32), relu=True, width=16, before=places[0], after=places[1], **more
    )
    assert (own, after, layer.shift) == expected
    assert layer.weights.tolist() == np.rint(floats * 2.0**own).tolist()
    assert layer.bias.tolist() == [bias * 2.0 ** (own + places[0])]
    assert (layer.relu, layer.multiplier, layer.input_zero_point, layer.output_zero_point) == (True, None, 0, 0)


def test_a_layer_in_32_bits() -> None:
    floats = np.array([[0.3, -1.5]], np.float32)
    layer, own, after = fixed_layer(floats, np.array([2.0**-20], np.float32), relu=False, width=32, before=20, after=24)
    assert (own, after, layer.shift, layer.relu) == (30, 24, 26, False)
    assert layer.weights.tolist() == [[round(float(floats[0, 0]) * 2**30), -3 << 29]]
    assert layer.bias.tolist() == [1 << 30]


@pytest.mark.parametrize(
    ("outputs", "relu", "span", "zero_point"),
    [
        ([-1.0, 3.0], True, 3.0, 0),
        ([-1.0, 3.0], False, 4.0, 64),
        ([1.0, 3.0], False, 3.0, 0),
        ([-3.0, -1.0], False, 3.0, 255),
        ([-3.0, -1.0], True, 255.0, 0),  # nothing is left: a scale of one
        ([0.0, 0.0], False, 255.0, 0),
    ],
)
def test_int8_outputs_use_all_codes(outputs: list[float], relu: bool, span: float, zero_point: int) -> None:
    assert output_scale(np.array(outputs), relu=relu) == (float(np.float32(span / 255)), zero_point)


def single(value: float) -> float:
    return float(np.float32(value))


@pytest.mark.parametrize(
    ("weight", "bias", "step", "own"),
    [
        ([0.5, -1.0], 0.25, 0.125, single(1.0 / 127)),  # the largest weight
        ([1e-6, 0.0], 1000.0, 0.125, single(8000.0 / 2**30)),  # the bias
        ([0.0, 0.0], 0.0, 0.125, single(0.5 / 0.125 / 2**31)),  # neither: the multiplier is the smallest
    ],
)
def test_a_layer_in_int8(weight: list[float], bias: float, step: float, own: float) -> None:
    floats = np.array([weight, [2.0, 2.0]], np.float32)
    layer, found, after = int8_layer(
        floats, np.array([bias, 0.0], np.float32), relu=True, step=step, after=0.5, zero_points=(128, 3)
    )
    assert found.dtype == np.float64
    assert found.tolist() == [own, single(2.0 / 127)]
    assert after == 0.5
    assert layer.weights.tolist() == [[round(value / own) for value in weight], [127, 127]]
    assert layer.bias.tolist() == [round(bias / (step * own)), 0]
    assert (layer.weights.dtype, layer.bias.dtype) == (np.int64, np.int64)
    assert layer.multiplier is not None
    assert layer.multiplier.dtype == np.float32
    assert layer.multiplier.tolist() == [single(step * own) * 2, single(step * found[1]) * 2]
    assert (layer.relu, layer.input_zero_point, layer.output_zero_point, layer.shift) == (True, 128, 3, 0)


@pytest.mark.parametrize(("after", "expected"), [(3.0, 3.0), (0.75, 0.75), (0.5, 1.0), (0.25, 1.0), (0.375, 0.75)])
def test_the_output_scale_doubles_until_every_multiplier_is_below_one(after: float, expected: float) -> None:
    layer, own, found = int8_layer(
        np.array([[127.0], [1.0]], np.float32),
        np.zeros(2, np.float32),
        relu=False,
        step=0.5,
        after=after,
        zero_points=(0, 0),
    )
    assert (own[0], found) == (1.0, expected)
    assert layer.multiplier is not None
    assert layer.multiplier[0] == np.float32(0.5) * (np.float32(1) / np.float32(expected))


@pytest.mark.parametrize(("zero_point", "reach"), [(128, 128), (0, 255), (255, 255), (100, 155)])
def test_sums_may_fill_the_accumulator_but_not_leave_it(zero_point: int, reach: int) -> None:
    weights = np.array([[100, -27], [1, 1]])
    room = (1 << 31) - 1 - 127 * reach
    layer = QuantisedLayer(weights=weights, bias=np.array([-room, 0]), relu=False, input_zero_point=zero_point)
    check_accumulator(layer, "layer 4")
    layer.bias[0] -= 1
    with pytest.raises(ModelError) as raised:
        check_accumulator(layer, "layer 4")
    assert str(raised.value) == "layer 4: sums may reach 2147483648, int8's accumulator holds less than 2^31"


@pytest.mark.parametrize(("weight", "bias"), [(math.nan, 0.0), (0.0, math.inf), (math.inf, math.inf)])
def test_what_is_not_finite_is_refused_by_name(weight: float, bias: float) -> None:
    good = np.ones(2, np.float32)
    check_finite(good, good, "layer 4")
    with pytest.raises(ModelError) as raised:
        check_finite(np.array([1.0, weight], np.float32), np.array([bias], np.float32), "layer 4")
    assert str(raised.value) == "layer 4: weights and biases must be finite"
