"""Users' vectors and the layer that they come into: its scales, its range, and what is refused."""

import numpy as np
import pytest

from microduet.errors import ModelError
from microduet.fold_user import UserScale, fixed_user_layer, int8_user_layer
from microduet.quantise import Calibration, quantise
from microduet.traced import TracedModel
from microduet_hw.config import Precision
from tests.sw.hand_models import built

PRECISIONS = list(Precision)
SCALE = UserScale(scale=0.5, zero_point=3, version=7)
USERS = np.array([[100.0, -50.0], [0.0, 25.0]])


def with_users(layer: int, *, largest: float = 2.0) -> TracedModel:
    return built(
        [([[1.0, -0.5], [0.25, 0.75]], 1)],
        [([[0.5, -1.0], [1.0, 0.25], [0.5, 0.5]], [0.125, -0.5, 0.0]), ([[1.0, -1.0, 0.5]], [0.25])],
        relu=(True, False),
        user=(layer, [[largest, -1.0], [0.5, 0.25], [0.0, largest]][: 3 if layer == 0 else 1]),
    )


def same(left: object, right: object, *names: str) -> None:
    for name in names:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("precision", "largest"), [(Precision.FIXED16, 2.0), (Precision.FIXED16, 3e5), (Precision.INT8, 2.0)]
)
def test_users_come_into_their_layer_and_no_other(precision: Precision, number: int, largest: float) -> None:
    model = with_users(number, largest=largest)
    shown = Calibration(sparse=np.array([[0], [1]]), users=USERS)
    quantised = quantise(model, precision=precision, calibration=shown, scale=SCALE)
    layer, user = quantised.model.layers[number], quantised.user
    assert user is not None
    floats = (model.weights[number], model.biases[number], np.asarray(model.user_weights))
    before = quantised.steps[0] if number else quantised.input.step
    relu = number == 0
    if precision is Precision.INT8:
        zero_points = (layer.input_zero_point, layer.output_zero_point)
        wanted, own, after, part = int8_user_layer(
            floats,
            relu=relu,
            step=before,
            after=quantised.steps[number],
            zero_points=zero_points,
            scale=SCALE,
            name="",
        )
        assert layer.input_zero_point == (quantised.model.layers[0].output_zero_point if number else 128)
    else:
        places = (round(-np.log2(before)), round(-np.log2(quantised.steps[number])))
        wanted, bits, places_after, part = fixed_user_layer(
            floats, relu=relu, places=places, scale=SCALE, width=16, accumulator=34
        )  # of three inputs at most
        own, after = np.full(len(layer.weights), 2.0**-bits), 2.0**-places_after
    np.testing.assert_array_equal(quantised.weight_steps[number], own)
    assert quantised.steps[number] == after
    same(layer, wanted, "weights", "bias", "relu", "shift", "multiplier", "input_zero_point", "output_zero_point")
    same(user, part, "weights", "bias", "shift", "version", "scale", "zero_point")
    assert (user.version, user.scale, user.zero_point, layer.bias.any()) == (7, 0.5, 3, False)
    assert quantised.model.layers[1 - number].bias.any()
    # The range is that of items with their users.
    seen = np.abs(model.layers(model.vector(shown.sparse), USERS)[number].numpy()).max()
    assert seen > largest * 20
    if number == 0:
        codes = 255 if precision is Precision.INT8 else 1 << 15
        assert seen <= quantised.steps[0] * codes * 1.001


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_that_takes_no_users_has_no_part_for_them(precision: Precision) -> None:
    model = built([([[1.0, -0.5]], 1)], [([[1.0, 1.0]], [0.5])])
    quantised = quantise(model, precision=precision, scale=SCALE)
    assert quantised.user is None
    assert quantised.model.layers[0].bias.any()


def test_without_a_scale_a_users_layer_keeps_its_bias() -> None:
    shown = Calibration(sparse=np.array([[0], [1]]), users=USERS)
    for precision in (Precision.FIXED16, Precision.INT8):
        quantised = quantise(with_users(0), precision=precision, calibration=shown)
        assert quantised.user is None
        assert quantised.model.layers[0].bias.any()


def test_refusals_of_users_name_the_model() -> None:
    model, sparse = with_users(0), np.array([[0], [1]])
    bad = with_users(0, largest=float("nan"))
    cases = [
        (model, "fixed32", USERS, "toy: an engine that takes user vectors is fixed16 or int8, not fixed32"),
        (model, "int8", None, "toy: user vectors must show the range of the layer that they come into"),
        (bad, "int8", USERS, "user weights: weights and biases must be finite"),
    ]
    for given, precision, users, said in cases:
        with pytest.raises(ModelError) as raised:
            quantise(
                given, precision=Precision(precision), calibration=Calibration(sparse=sparse, users=users), scale=SCALE
            )
        assert str(raised.value) == said


@pytest.mark.parametrize("number", [0, 1])
def test_a_users_layer_whose_sums_leave_int8s_accumulator_is_named(number: int) -> None:
    shown = Calibration(sparse=np.array([[0], [1]]), users=USERS)
    said = rf"^layer {number}: sums may reach \d+, int8's accumulator holds less than 2\^31$"
    with pytest.raises(ModelError, match=said):
        quantise(with_users(number, largest=3e5), precision=Precision.INT8, calibration=shown, scale=SCALE)
