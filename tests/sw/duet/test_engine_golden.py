"""Engines of whole models and of items: golden integers against plain ones, torch, and floats within derived bounds."""

import dataclasses
import typing

import numpy as np
import pytest
import torch

from microduet.bounds import error_bounds, rounding_error, user_errors
from microduet.duet.bounds import user_bounds
from microduet.duet.configure import edge_config
from microduet.duet.golden import GoldenUser
from microduet.duet.quantise import entries
from microduet.duet.quantise_item import float_users, items_of, quantise_item, users_of
from microduet.duet.shape import DlrmShape
from microduet.errors import InputError, ModelError
from microduet.fold_user import UserScale, fold
from microduet.golden import GoldenResult
from microduet_hw import reference
from microduet_hw.config import Precision
from microduet_hw.quantised import QuantisedLayer
from tests.sw import arithmetic
from tests.sw.duet.engines import DIN, SHALLOW, SHAPES, SMALL, Item, batch, item, split_model, whole

ITEM_PRECISIONS = ["fixed16", "int8"]
NAMES = [shape.name for shape in SHAPES]


def torch_logits(module: torch.nn.Module, sparse: np.ndarray, dense: np.ndarray | None) -> np.ndarray:
    """Of the float module itself, in double precision; two outputs folded."""
    module = module.double()
    given = None if dense is None else torch.from_numpy(dense).double()
    with torch.no_grad():
        logits = typing.cast(typing.Any, module).logits(torch.from_numpy(sparse), given).numpy()
    return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


def edge_users(found: Item, shape: DlrmShape, sparse: np.ndarray, dense: np.ndarray | None) -> tuple:
    """User vectors of whole items as an edge unit computes them: uint8 (items, elements), and their largest errors."""
    assert found.user is not None
    users = users_of(found.module, sparse, dense)
    golden = GoldenUser(config=edge_config(shape, found.module.split), model=found.user.model)
    static = found.user.static.input.integers(users.static) if found.user.static and users.static is not None else None
    context = (
        found.user.dynamic.input.integers(users.context) if found.user.dynamic and users.context is not None else None
    )
    result = golden.run(entries(found.module, found.user, users.sparse), static, context)
    return result.payload, user_bounds(found.module, found.user, result, users).payload


def exact_sums(found: Item, sparse: np.ndarray, dense: np.ndarray | None) -> np.ndarray:
    """Sums of whole items as a device would send them, computed feature by feature."""
    exact = found.item.exact
    assert exact is not None
    shape, pieces, zero = found.module.spec.shape, [], exact.input.zero_point
    for number in shape.user.features:
        table = found.module.embeddings.tables[shape.features[number].table].weight.detach().float().numpy()
        rows = exact.input.integers(table[sparse[:, shape.columns(number)]])
        pieces.append(np.clip((rows - zero).sum(axis=1) + zero, *exact.input.bounds))
    return exact.sums(np.concatenate(pieces, axis=1), None if dense is None else exact.dense.integers(dense))


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_whole_models_equal_plain_integers(shape: DlrmShape, precision: str) -> None:
    found = whole(shape, precision)
    result = found.golden.run(*batch(shape, 5, seed=1))
    layers, elements, bottom = (
        found.quantised.model.layers,
        found.model.shape.feature_elements,
        found.model.shape.bottom,
    )
    for number, vector in enumerate(result.vector.tolist()):
        features, values = vector[:elements], vector[elements:]
        for place, layer in enumerate(layers):
            inputs = features + values if place == bottom else values
            last = place == len(layers) - 1
            width = Precision(precision).logit_width if last else Precision(precision).width
            values = arithmetic.layer(layer, inputs, width=width, logit=last)
            assert values == ([result.logits[number]] if last else result.layers[place][number].tolist())


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_whole_models_equal_the_gatewares_reference(shape: DlrmShape, precision: str) -> None:
    from microduet.presets import compile_config

    found = whole(shape, precision, seed=3)
    result = found.golden.run(*batch(shape, 5, seed=2))
    elements = found.model.shape.feature_elements
    vectors = np.concatenate([result.vector[:, elements:], result.vector[:, :elements]], axis=1)
    logits, scores = reference.scores(
        compile_config(found.model.shape, precision=precision), found.quantised.model, vectors
    )
    np.testing.assert_array_equal(result.logits, logits)
    np.testing.assert_array_equal(result.scores16, scores)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_the_compilers_float_model_is_the_torch_module(shape: DlrmShape) -> None:
    sparse, dense = batch(shape, 20, seed=4)
    found = whole(shape)
    outputs = found.model.layers(found.model.vector(sparse, dense))
    np.testing.assert_allclose(outputs[-1][:, 0], torch_logits(found.module, sparse, dense), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_the_item_part_and_its_user_vector_are_the_split_module(shape: DlrmShape) -> None:
    sparse, dense = batch(shape, 20, seed=5)
    found = item(shape, "duet")
    users = float_users(found.module, users_of(found.module, sparse, dense))
    outputs = found.item.model.layers(found.item.model.vector(items_of(found.module, sparse)), users)
    np.testing.assert_allclose(outputs[-1][:, 0], torch_logits(found.module, sparse, dense), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("precision", ITEM_PRECISIONS)
@pytest.mark.parametrize("kind", ["duet", "exact"])
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_items_equal_plain_integers(shape: DlrmShape, kind: str, precision: str) -> None:
    found = item(shape, kind, precision)
    part, entry = found.item.quantised.user, found.item.model.shape.user
    assert part is not None
    assert entry is not None
    users = random_users(found)
    result = found.golden.run(items_of(found.module, batch(shape, 4, seed=6)[0]), users=users)
    for number, vector in enumerate(result.vector.tolist()):
        values = vector
        for place, layer in enumerate(found.item.quantised.model.layers):
            last = place == len(found.item.quantised.model.layers) - 1
            plain = layer
            if place == entry.layer:
                plain = dataclasses.replace(layer, bias=np.array(user_sums(part, users[number]), object))
                plain = dataclasses.replace(plain, input_zero_point=0)  # the user's part has its correction
            width = 16 if last else Precision(precision).width
            values = arithmetic.layer(plain, values, width=width, logit=last)
            assert values == ([result.logits[number]] if last else result.layers[place][number].tolist())


def random_users(found: Item) -> np.ndarray:
    """The least and the greatest vector, and two between."""
    entry = found.item.model.shape.user
    assert entry is not None
    limit = 1 << 20 if entry.payload == "sums" else 256
    low = -limit if entry.payload == "sums" else 0
    users = np.random.default_rng(7).integers(low, limit, (4, entry.elements))
    users[0], users[1] = low, limit - 1
    return users


def user_sums(part: typing.Any, vector: np.ndarray) -> list[int]:
    own = (
        vector.tolist()
        if part.weights.shape[1] == 0
        else [sum(w * q for w, q in zip(row, vector.tolist(), strict=True)) for row in part.weights.tolist()]
    )
    return [int(b) + (value << part.shift) for b, value in zip(part.bias.tolist(), own, strict=True)]


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_whole_models_differ_from_float_within_the_bound(shape: DlrmShape, precision: str) -> None:
    sparse, dense = batch(shape, 200, seed=8)
    found = whole(shape, precision)
    result = found.golden.run(sparse, dense)
    vector = found.model.vector(sparse, dense)
    outputs = found.model.layers(vector)
    within(found.quantised, result, outputs, error_bounds(found.model, found.quantised, result, vector, outputs))


@pytest.mark.parametrize("precision", ITEM_PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_items_and_an_edge_units_vectors_differ_from_float_within_the_bound(shape: DlrmShape, precision: str) -> None:
    sparse, dense = batch(shape, 200, seed=9)
    found = item(shape, "duet", precision)
    payload, sent = edge_users(found, shape, sparse, dense)
    model, quantised = found.item.model, found.item.quantised
    own = items_of(found.module, sparse)
    result = found.golden.run(own, users=payload)
    vector = model.vector(own)
    outputs = model.layers(vector, float_users(found.module, users_of(found.module, sparse, dense)))
    users = user_errors(model, quantised, payload.astype(np.int64), sent)
    within(quantised, result, outputs, error_bounds(model, quantised, result, vector, outputs, users=users))
    expected = 1 / (1 + np.exp(-torch_logits(found.module, sparse, dense)))
    assert np.abs(result.scores - expected).mean() < 0.02


def within(quantised: typing.Any, result: GoldenResult, outputs: tuple, bounds: typing.Any) -> None:
    from microduet.bounds import golden_values

    values = golden_values(quantised, result)[1:]
    for value, exact, bound in zip(values, outputs, bounds.layers, strict=True):
        assert (np.abs(value - exact.numpy()) <= bound).all()
    scores = 1 / (1 + np.exp(-outputs[-1][:, 0].numpy()))
    assert (np.abs(result.scores - scores) <= bounds.scores).all()


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_an_exact_split_in_int8_is_the_uncut_engine_bit_for_bit(shape: DlrmShape) -> None:
    sparse, dense = batch(shape, 100, seed=10)
    uncut, found = whole(shape, "int8"), item(shape, "exact", "int8")
    part = found.golden.run(items_of(found.module, sparse), users=exact_sums(found, sparse, dense))
    np.testing.assert_array_equal(part.logits, uncut.golden.run(sparse, dense).logits)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_an_exact_split_in_fixed16_is_off_by_the_rounding_of_what_is_sent(shape: DlrmShape) -> None:
    sparse, dense = batch(shape, 100, seed=11)
    uncut, found = whole(shape), item(shape, "exact")
    assert found.item.exact is not None
    layer, shift = found.item.quantised.model.layers[0], found.item.exact.payload.shift
    part = found.golden.run(items_of(found.module, sparse), users=exact_sums(found, sparse, dense))
    expected = uncut.golden.run(sparse, dense).layers[uncut.model.shape.bottom]
    steps = 2.0 ** (shift - 1 - layer.shift) if shift else 0.0
    assert np.abs(part.layers[0] - expected).max() <= 1
    assert steps < 1e-3
    assert (part.layers[0] == expected).mean() > 1 - 4 * steps - 0.01


@pytest.mark.parametrize("precision", ITEM_PRECISIONS)
def test_exact_sums_differ_from_float_within_the_bound(precision: str) -> None:
    sparse, dense = batch(SMALL, 100, seed=12)
    found = item(SMALL, "exact", precision)
    exact, model, quantised = found.item.exact, found.item.model, found.item.quantised
    assert exact is not None
    sent = exact_sums(found, sparse, dense)
    with torch.no_grad():
        module = found.module.double()
        users = module.user_vector(
            torch.from_numpy(users_of(found.module, sparse, dense).sparse), torch.from_numpy(dense).double()
        ).numpy()
    unit = exact.input.step * quantised.weight_steps[0] * 2.0**exact.payload.shift
    error = np.abs(sent * unit - users)  # what the sums are off by is asserted where they are computed
    vector = model.vector(items_of(found.module, sparse))
    outputs = model.layers(vector, users)
    result = found.golden.run(items_of(found.module, sparse), users=sent)
    bounds = error_bounds(model, quantised, result, vector, outputs, users=user_errors(model, quantised, sent, error))
    within(quantised, result, outputs, bounds)


def test_features_and_bottom_outputs_share_a_scale() -> None:
    for precision in Precision:
        found = whole(SMALL, precision)
        assert found.quantised.steps[1] == found.quantised.input.step


@pytest.mark.parametrize(("value", "zero_point"), [(0.5, 0), (3.0, 7), (-90.0, 255)])
def test_folded_weights_have_the_least_shift_and_a_zero_vector_is_the_bias(value: float, zero_point: int) -> None:
    weights = np.array([[value, -value / 3], [0.01, 0.0]], np.float32)
    scale = UserScale(scale=0.125, zero_point=zero_point, version=9)
    bias = np.array([1000, -5])
    user = fold(weights, bias, unit=np.array([2.0**-24]), scale=scale)
    assert 16383 < np.abs(user.weights).max() <= 32767 or user.shift == 0
    part = user.bias + (user.weights @ np.full(2, zero_point) << user.shift)
    np.testing.assert_array_equal(part, bias)
    exact = weights.astype(float) @ (np.array([200.0, 3.0]) - zero_point) * 0.125
    found = (user.bias - bias + (user.weights @ np.array([200, 3]) << user.shift)) * 2.0**-24
    reach = (np.abs(np.array([200, 3]) - zero_point)).sum() * 2.0 ** (user.shift - 25)
    assert (np.abs(found - exact) <= reach * (1 + 1e-9)).all()
    assert (user.version, user.scale, user.zero_point) == (9, 0.125, zero_point)


def test_weights_lose_bits_before_a_sum_could_leave_the_accumulator() -> None:
    from microduet.fold_user import fixed_user_layer, reach

    floats = (np.full((1, 2), 1e-4, np.float32), np.zeros(1, np.float32), np.full((1, 500), 100.0, np.float32))
    layer, own, _, user = fixed_user_layer(
        floats, relu=False, places=(12, 8), scale=UserScale(scale=1.0), width=16, accumulator=33
    )
    assert reach(layer, user, largest=1 << 15) < 1 << 32
    assert own < 28
    assert not layer.bias.any()


def test_refuses_fixed32_for_items() -> None:
    with pytest.raises(ModelError, match="small-duet: an engine that takes user vectors is fixed16 or int8, not"):
        quantise_item(split_model(SMALL, "duet"), precision=Precision.FIXED32)


def test_refuses_a_duet_split_whose_scale_is_not_known() -> None:
    with pytest.raises(ModelError, match="the scale of its user vectors must be known"):
        quantise_item(split_model(SMALL, "duet"), precision=Precision.FIXED16)


def test_refuses_weights_that_are_not_finite() -> None:
    model = split_model(SMALL, "duet")
    torch.nn.init.constant_(model.combined_model.layers[0].weight, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="must be finite"):
        quantise_item(model, precision=Precision.FIXED16, scale=UserScale(scale=0.1))


def test_refuses_whole_items_of_another_width() -> None:
    with pytest.raises(InputError, match=r"sparse must be \(items, 10\), all of the model's lookups, not \(3, 4\)"):
        users_of(split_model(DIN, "duet"), np.zeros((3, 4), np.int64), None)


def test_golden_wants_users_where_the_engine_does() -> None:
    found = item(SHALLOW, "exact")
    with pytest.raises(AssertionError, match="go with an engine that takes them"):
        found.golden.run(np.zeros((1, 4), np.int64))
    with pytest.raises(AssertionError, match="has 16 elements"):
        found.golden.run(np.zeros((1, 4), np.int64), users=np.zeros(3, np.int64))


def test_rounding_error_is_zero_for_exact_numbers() -> None:
    nothing = rounding_error(
        np.zeros((1, 2)), np.zeros((1, 1)), steps=(0.0, 0.0), weight_step=np.zeros(1), single=False
    )
    assert nothing.max() == 0.0


def test_layers_of_an_item_have_no_bias_where_users_come_in() -> None:
    found = item(SMALL, "duet")
    layers: tuple[QuantisedLayer, ...] = found.item.quantised.model.layers
    entry = found.item.model.shape.user
    assert entry is not None
    assert [bool(layer.bias.any()) for layer in layers] == [k != entry.layer for k in range(len(layers))]
