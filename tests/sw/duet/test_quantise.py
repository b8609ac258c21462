"""Scales and limits of a quantised user model."""

import dataclasses

import numpy as np
import pytest
import torch

import microduet as md
from microduet.duet.bounds import user_bounds
from microduet.duet.quantise import entries, multiplier, quantise_user
from microduet.duet.users import UserBatch, check_batch, random_users
from microduet.errors import InputError, ModelError
from microduet.models import SplitModel
from microduet.models.layers import linears
from tests.sw.duet.test_shape import SMALL
from tests.sw.duet.users import NAMES, golden, quantised, split_model


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("name", NAMES)
def test_integers_keep_the_limits_of_the_gateware(name: str, bits: int) -> None:
    _, config, user = quantised(name, bits)
    model = user.model
    for one in (model.pooled_multiplier, model.bottom_multiplier):
        assert one.dtype == np.float32
        assert 2.0**-40 <= one < 1
    assert 0 <= model.zero_point <= 255
    assert 0 < model.version < 1 << 32
    for layer in (*model.static, *model.dynamic):
        assert np.abs(layer.weights).max() <= 32767
        assert np.abs(layer.bias).max() <= 1 << 30
        assert 0 <= layer.shift <= 63
        assert layer.relu
    before = model.zero_point
    for layer, shape in zip(model.top, config.top.layers, strict=True):
        assert layer.weights.shape == (shape.outputs, shape.inputs)
        assert np.abs(layer.weights).max() == 127
        assert layer.multiplier is not None
        assert ((layer.multiplier > 0) & (layer.multiplier < 1)).all()
        assert (layer.input_zero_point, layer.output_zero_point) == (before, 0)
        before = 0


@pytest.mark.parametrize("name", ["small", "rm3", "rm4"])
def test_both_bottom_mlps_end_at_one_fraction(name: str) -> None:
    _, _, user = quantised(name)
    assert user.static is not None
    assert user.dynamic is not None
    assert user.static.fractions[-1] == user.dynamic.fractions[-1]
    assert user.model.bottom_multiplier == multiplier(user.static.fractions[-1], user.scale)
    for stack in (user.static, user.dynamic):
        dropped = [layer.shift for layer in stack.layers]
        inputs, outputs = stack.fractions[:-1], stack.fractions[1:]
        assert dropped == [a + w - b for a, w, b in zip(inputs, stack.weight_fractions, outputs, strict=True)]


def test_the_larger_of_two_bottom_outputs_decides_their_fraction() -> None:
    model = md.models.dlrm(SMALL, split="duet", seed=9)
    assert isinstance(model, SplitModel)
    batch = random_users(model, users=64)
    before = quantise_user(model, batch=batch)
    with torch.no_grad():
        layer = linears(model.user_model.dynamic)[-1]
        layer.weight.mul_(64)
        layer.bias.mul_(64)
    after = quantise_user(model, batch=batch)
    assert after.static is not None
    assert before.static is not None
    assert after.dynamic is not None
    assert after.static.fractions[-1] == after.dynamic.fractions[-1] < before.static.fractions[-1]


@pytest.mark.parametrize("places", [0, 15, 31])
def test_the_quantiser_is_torchs_of_the_same_scale(places: int) -> None:
    """torch multiplies by the reciprocal in single precision; 2^-places is exact in it."""
    scale = 0.0371
    values = torch.arange(-3000, 3000) << max(0, places - 6)
    real = torch.ldexp(values.to(torch.float32), torch.tensor(-places))
    expected = (real * (torch.tensor(1.0) / torch.tensor(scale, dtype=torch.float32))).round()
    mine = (values.to(torch.float32) * torch.tensor(multiplier(places, scale))).round()
    assert torch.equal(mine, expected)


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("name", NAMES)
def test_differs_from_float_by_no_more_than_the_derived_bound(name: str, bits: int) -> None:
    model, config, user = quantised(name, bits)
    batch = random_users(model, users=50, seed=3)
    bounds = user_bounds(model, user, golden(model, config, user, batch), batch)
    assert (bounds.inputs_error <= bounds.inputs).all()
    assert (bounds.payload_error <= bounds.payload).all()
    pooled = slice(0, config.pooled_elements)
    uncut = bounds.inputs[:, pooled][bounds.inputs_error[:, pooled] < user.scale]
    # Pooled histories are off by little more than the quantiser's half step; 200 entries of 16 bits by less than one.
    assert uncut.max() < (0.6 if bits == 32 else 1.0) * user.scale
    rms = np.sqrt((bounds.payload_error**2).mean()) / user.top_steps[-1]
    print(f"{name} {bits} bits: payload off by {rms:.2f} steps, root mean square")
    assert rms < 2


def test_a_short_history_is_zeros_where_nothing_is() -> None:
    model, _, user = quantised("small")
    ids = np.array([[3, 4, -1, -1, -1, 9]])
    first, second = entries(model, user, ids)
    assert first.shape == (1, 5, 4)
    assert second.shape == (1, 1, 2)
    assert not first[0, 2:].any()
    assert first[0, :2].any()


def test_versions_tell_models_apart() -> None:
    model, batch = split_model("small"), random_users(split_model("small"), users=32)
    versions = [
        quantise_user(model, batch=batch).model.version,
        quantise_user(split_model("small", 1), batch=batch).model.version,
        quantise_user(model, batch=batch, element_bits=16).model.version,
    ]
    assert len(set(versions)) == 3
    assert quantise_user(model, batch=batch).model.version == versions[0]
    assert quantise_user(model, batch=batch, version=7).model.version == 7


def test_refuses_an_exact_split() -> None:
    model = md.models.dlrm(SMALL, split="exact")
    assert isinstance(model, SplitModel)
    with pytest.raises(ModelError, match="small-exact: an edge unit computes a duet split, not 'exact'"):
        quantise_user(model)


@pytest.mark.parametrize("part", ["static", "dynamic", "top"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_weights_that_are_not_finite(part: str, value: float) -> None:
    model = md.models.dlrm(SMALL, split="duet")
    assert isinstance(model, SplitModel)
    batch = random_users(model, users=8)
    with torch.no_grad():
        linears(getattr(model.user_model, part))[0].weight[0, 0] = value
    with pytest.raises(ModelError, match=f"{part} layer 0: weights and biases must be finite"):
        quantise_user(model, batch=batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"element_bits": 24}, "element_bits must be 16 or 32, not 24"),
        ({"version": -1}, "version must be 0 to 2"),
        ({"version": 1 << 32}, "version must be 0 to 2"),
    ],
)
def test_refuses_arguments(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quantise_user(split_model("small"), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sparse": np.zeros((4, 5), np.int64)}, r"sparse must be \(users, 6\)"),
        ({"sparse": np.zeros((0, 6), np.int64)}, "at least one user"),
        ({"sparse": np.full((4, 6), 50)}, "beyond its table"),
        ({"sparse": np.full((4, 6), -2)}, "-1 stands for an empty place"),
        ({"static": None}, r"static must be \(4, 6\), not None"),
        ({"static": np.zeros((4, 5), np.float32)}, r"static must be \(4, 6\), not \(4, 5\)"),
        ({"context": np.zeros((3, 2), np.float32)}, r"context must be \(4, 2\), not \(3, 2\)"),
        ({"context": np.full((4, 2), np.nan, np.float32)}, "context must be finite"),
    ],
)
def test_refuses_a_batch(change: dict, message: str) -> None:
    batch: UserBatch = dataclasses.replace(random_users(split_model("small"), users=4), **change)
    with pytest.raises(InputError, match=message):
        check_batch(split_model("small"), batch)
