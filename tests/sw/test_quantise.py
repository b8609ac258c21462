"""Scales, roundings and the limits that the gateware relies on."""

import dataclasses

import numpy as np
import pytest

from microduet.errors import ModelError
from microduet.generated import GeneratedTable
from microduet.models import microrec_small
from microduet.quantisation import InputQuantisation
from microduet.quantise import Calibration, quantise, random_batch
from microduet.shape import ModelShape, concatenated, perceptron
from microduet.trace import trace
from microduet.traced import TracedModel
from microduet_hw.config import Precision
from tests.sw.cases import Mixed

PRECISIONS = list(Precision)


def toy(weights: list[list[list[float]]], biases: list[list[float]], *, amplitude: int = 0) -> TracedModel:
    """One table of 64 rows in front of the given layers."""
    inputs = len(weights[0][0])
    layers = perceptron(inputs, tuple(len(rows) for rows in weights))
    shape = ModelShape(name="toy", features=concatenated([(64, inputs, 1)]), hidden=layers[:-1], output=layers[-1])
    table = GeneratedTable(rows=64, dim=inputs, amplitude_log2=amplitude)
    return TracedModel(
        shape=shape,
        tables=(table,),
        weights=tuple(np.array(rows, np.float32) for rows in weights),
        biases=tuple(np.array(row, np.float32) for row in biases),
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", [trace(Mixed()), trace(microrec_small())], ids=["mixed", "small"])
def test_integers_keep_the_limits_of_the_gateware(model: TracedModel, precision: Precision) -> None:
    quantised = quantise(model, precision=precision)
    for layer, weight, step in zip(quantised.model.layers, model.weights, quantised.weight_steps, strict=True):
        edge = (1 << (precision.width - 1)) - 1
        assert np.abs(layer.weights).max() <= edge
        assert np.abs(layer.weights).max() > edge / 2  # no bit is left unused
        assert np.abs(layer.weights * step[:, None] - weight).max() <= step.max() * 0.5001
        assert 0 <= layer.shift <= 63
        if precision is Precision.INT8:
            assert layer.multiplier is not None
            assert layer.multiplier.dtype == np.float32
            assert ((layer.multiplier > 0) & (layer.multiplier < 1)).all()
        else:
            assert np.abs(layer.bias).max() < 1 << (2 * precision.width - 2)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_consecutive_scales_agree(precision: Precision) -> None:
    """What a layer drops is the product of its scales over its output's; int8: times the reciprocal, in single."""
    quantised = quantise(trace(Mixed()), precision=precision)
    before = quantised.input.step
    for layer, step, own in zip(quantised.model.layers, quantised.steps, quantised.weight_steps, strict=True):
        if layer.multiplier is None:
            assert before * own[0] * 2.0**layer.shift == step
        else:
            np.testing.assert_array_equal(
                layer.multiplier, (before * own).astype(np.float32) * (np.float32(1) / np.float32(step))
            )
        before = step
    assert quantised.steps[-1] == 2.0**-quantised.model.logit_fraction


def test_int8_zero_points_chain_and_relu_starts_at_zero() -> None:
    first, second, output = quantise(trace(Mixed()), precision=Precision.INT8).model.layers
    assert (first.input_zero_point, first.output_zero_point) == (128, 0)
    assert 0 < second.output_zero_point < 255  # no ReLU: negative values need codes
    assert (output.input_zero_point, output.output_zero_point) == (second.output_zero_point, 0)


@pytest.mark.parametrize(("amplitude", "fraction"), [(0, 15), (3, 18), (-2, 13)])
def test_input_scale_is_that_of_the_widest_table(amplitude: int, fraction: int) -> None:
    model = toy([[[0.5, 0.25]]], [[0.0]], amplitude=amplitude)
    assert quantise(model, precision=Precision.FIXED16).input.fraction == fraction


def test_dense_features_and_pooled_sums_widen_the_input_scale() -> None:
    model = trace(Mixed())
    batch = random_batch(model)
    pooled = np.abs(model.vector(batch.sparse)[:, model.shape.features[2].position :].numpy()).max()
    assert quantise(model, precision=Precision.FIXED32, calibration=batch).input.fraction == room(pooled)
    assert batch.dense is not None
    wide = dataclasses.replace(batch, dense=batch.dense * 64)
    largest = np.abs(batch.dense).max() * 64
    assert quantise(model, precision=Precision.FIXED32, calibration=wide).input.fraction == room(largest)


def room(largest: float) -> int:
    """Fraction bits that leave one bit above what was seen."""
    return int(np.floor(31 - np.log2(2 * largest)))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zero_weights_and_constant_outputs_are_allowed(precision: Precision) -> None:
    model = toy([[[0.0, 0.0], [1.0, -1.0]], [[0.0, 0.0]]], [[0.5, 0.0], [0.0]])
    layers = quantise(model, precision=precision).model.layers
    assert not layers[0].weights[0].any()
    assert not layers[1].weights.any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_large_bias_beside_small_weights_still_fits(precision: Precision) -> None:
    model = toy([[[1e-6, -1e-6]], [[1.0]]], [[100.0], [-3.0]])
    quantised = quantise(model, precision=precision)
    layer = quantised.model.layers[0]
    unit = quantised.input.step * quantised.weight_steps[0][0]
    assert layer.bias[0] * unit == pytest.approx(100, rel=1e-6)
    assert abs(layer.bias[0]) <= 1.001 * 2.0 ** (30 if precision is Precision.INT8 else 2 * precision.width - 2)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_is_deterministic(precision: Precision) -> None:
    a, b = (quantise(trace(microrec_small(seed=2)), precision=precision) for _ in range(2))
    for left, right in zip(a.model.layers, b.model.layers, strict=True):
        np.testing.assert_array_equal(left.weights, right.weights)
        np.testing.assert_array_equal(left.bias, right.bias)
    assert a.steps == b.steps


@pytest.mark.parametrize(
    ("precision", "scale", "values", "expected"),
    [
        ("fixed16", {"fraction": 1}, [0.25, 0.75, -0.25, 1.25, 1e6, -1e6], [0, 2, 0, 2, 32767, -32768]),
        ("fixed32", {"fraction": 30}, [1.0, -2.0, 2.0], [1 << 30, -(1 << 31), (1 << 31) - 1]),
        ("int8", {"scale": 0.5}, [0.0, 0.25, 0.75, -64.0, 63.5, 99.0, -99.0], [128, 128, 130, 0, 255, 255, 0]),
    ],
)
def test_values_round_half_to_even_and_saturate(
    precision: str, scale: dict, values: list[float], expected: list[int]
) -> None:
    quantisation = InputQuantisation(precision=Precision(precision), **scale)
    assert quantisation.integers(np.array(values, np.float32)).tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["weights", "biases"])
def test_refuses_weights_that_are_not_finite(where: str, value: float) -> None:
    model = toy([[[0.5, 0.25]]], [[0.0]])
    getattr(model, where)[0].flat[0] = value
    with pytest.raises(ModelError, match="layer 0: weights and biases must be finite"):
        quantise(model, precision=Precision.FIXED16)


def test_refuses_calibration_data_that_are_not_finite() -> None:
    model = trace(Mixed())
    batch = random_batch(model, items=4)
    assert batch.dense is not None
    batch.dense[2, 1] = np.nan
    with pytest.raises(ModelError, match="must be finite"):
        quantise(model, precision=Precision.INT8, calibration=batch)


def test_refuses_sums_that_leave_int8s_accumulator() -> None:
    inputs = 140_000
    model = toy([[[1.0] * inputs]], [[0.0]])
    with pytest.raises(ModelError, match=r"layer 0: sums may reach .*, int8's accumulator holds less than"):
        quantise(model, precision=Precision.INT8, calibration=Calibration(sparse=np.zeros((2, 1), np.int64)))
