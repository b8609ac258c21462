"""Scales that parts of a model share: a bottom MLP's outputs with the features, one for all where there is none."""

import numpy as np
import pytest

from microduet.errors import ModelError
from microduet.generated import GeneratedTable
from microduet.quantisation import InputQuantisation
from microduet.quantise import CALIBRATION_ITEMS, Calibration, quantise, random_batch
from microduet.traced import TracedModel
from microduet_hw.config import Precision
from tests.sw.hand_models import built, chained, single

PRECISIONS = list(Precision)


def with_bottom(*, table: float = 1.0, first: float = 1.0, second: float = 1.0) -> TracedModel:
    """Dense inputs, two layers below, the features and those outputs, a hidden layer, the output."""
    return built(
        [([[table, -table / 2], [0.0, table / 4]], 1)],
        [
            ([[first, -first], [first / 2, 0.0]], [0.0, 0.25]),
            ([[second, -second / 2]], [0.0]),
            ([[0.5, -1.0, 0.25], [1.0, 0.5, 0.75]], [0.125, -0.5]),
            ([[1.0, -1.0]], [0.0]),
        ],
        dense=2,
        bottom=2,
        relu=(True, False, True),
    )


DENSE = np.array([[1.0, 3.0], [3.0, -1.0]], np.float32)
SHOWN = Calibration(sparse=np.array([[0], [1]]), dense=DENSE)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("table", [1.0, 64.0, 1 / 64])
@pytest.mark.parametrize("second", [1.0, 64.0, 1 / 64])
def test_features_and_bottom_outputs_have_the_larger_ones_scale(
    precision: Precision, table: float, second: float
) -> None:
    model = with_bottom(table=table, second=second)
    quantised = quantise(model, precision=precision, calibration=SHOWN)
    chained(model, quantised)
    outputs = np.abs(model.layers(model.vector(SHOWN.sparse, DENSE))[1].numpy()).max()
    if precision is Precision.INT8:
        assert quantised.dense.scale == single(6.0 / 127)  # twice what was seen
        assert quantised.input.scale == max(single(table / 127), single(outputs / 127))
        assert [layer.input_zero_point for layer in quantised.model.layers[::2]] == [128, 128]
        assert quantised.model.layers[1].output_zero_point == 128
    else:
        limit = 1 << (precision.width - 1)
        assert quantised.dense.fraction == np.floor(np.log2(limit / 6.0))
        room = min(np.log2(limit / table), np.log2((limit - 1) / (2 * outputs)))
        assert quantised.input.fraction == np.floor(room)
    assert (quantised.dense.precision, quantised.input.precision) == (precision, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_bottom_outputs_that_cancel_take_bits_from_the_features(precision: Precision) -> None:
    """Products are large, their sums are not: products have too few bits below the point for what sums could use."""
    model = built(
        [([[2.0**-12]], 1)],
        [([[2.0**14, -(2.0**14)]], [0.0]), ([[1.0, 1.0]], [0.0])],
        dense=2,
        bottom=1,
    )
    same = np.full((2, 2), 2.0**12, np.float32)
    shown = Calibration(sparse=np.zeros((2, 1), np.int64), dense=same - np.array([[0, 2.0**-11], [0, 0]], np.float32))
    quantised = quantise(model, precision=precision, calibration=shown)
    chained(model, quantised)
    if precision is Precision.FIXED16:
        assert quantised.input.fraction == quantised.dense.fraction == 2
        assert quantised.model.layers[0].shift == 0


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_a_bottom_mlp_there_is_one_scale(precision: Precision) -> None:
    model = built([([[1.0, -0.5]], 1)], [([[1.0, 1.0, 1.0]], [0.0])], dense=1)
    for largest, widest in ((0.25, 1.0), (4.0, 8.0)):
        shown = Calibration(sparse=np.zeros((2, 1), np.int64), dense=np.array([[largest], [-largest]], np.float32))
        quantised = quantise(model, precision=precision, calibration=shown)
        assert quantised.dense is quantised.input
        assert quantised.input.step == (
            single(widest / 127) if precision is Precision.INT8 else 2.0 ** -(precision.width - 1) * widest
        )
        chained(model, quantised)


@pytest.mark.parametrize(("seen", "widest"), [(0.25, 1.0), (0.75, 1.5), (1.5, 2.0)])
def test_pooled_rows_have_room_for_twice_what_was_seen_but_no_more_than_can_be(seen: float, widest: float) -> None:
    model = built([([[1.0], [seen / 2]], 2)], [([[1.0]], [0.0])])
    sparse = np.array([[1, 1], [1, 1]])
    quantised = quantise(model, precision=Precision.INT8, calibration=Calibration(sparse=sparse))
    assert quantised.input.scale == single(widest / 127)


def test_a_table_of_zeros_has_a_scale() -> None:
    model = built([([[0.0]], 1)], [([[1.0]], [0.5])])
    shown = Calibration(sparse=np.zeros((1, 1), np.int64))
    assert quantise(model, precision=Precision.INT8, calibration=shown).input.scale == single(1 / 127)
    assert quantise(model, precision=Precision.FIXED16, calibration=shown).input.fraction == 15


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize(
    ("precision", "bits"), [(Precision.FIXED16, 16), (Precision.FIXED32, 32), (Precision.INT8, 16)]
)
@pytest.mark.parametrize("logit", [2.0**-6, 1.0, 3.0, 2.0**11])
def test_logits_have_the_bits_of_the_sigmoids_input(
    precision: Precision, bits: int, logit: float, sigmoid: bool
) -> None:
    """One bit above what was seen; of a sigmoid's, none that stand for what it cannot tell apart."""
    model = built([([[1.0]], 1)], [([[logit]], [0.0])], sigmoid=sigmoid)
    quantised = quantise(model, precision=precision, calibration=Calibration(sparse=np.zeros((1, 1), np.int64)))
    room = int(np.floor(np.log2(((1 << (bits - 1)) - 1) / (2 * logit))))
    if sigmoid:
        room = min(max(room, bits - 10), bits - 1)
    products = quantised.input.step * quantised.weight_steps[0][0]
    least = 2.0**-room
    while precision is Precision.INT8 and single(products) >= least:
        least *= 2
    assert quantised.steps[-1] == max(least, 0.0 if precision is Precision.INT8 else products)
    assert quantised.model.layers[-1].output_zero_point == 0
    assert quantised.model.logit_fraction == -np.log2(quantised.steps[-1])


@pytest.mark.parametrize("number", [0, 1])
def test_a_layer_whose_sums_leave_int8s_accumulator_is_named(number: int) -> None:
    wide, inputs = [[1.0] * 140_000], [[1.0] * 2]
    if number:
        model = built([(inputs, 1)], [([[1.0, 1.0]] * 140_000, [0.0] * 140_000), (wide, [0.0])], relu=(True,))
    else:
        model = built([(wide, 1)], [(wide, [0.0])])
    shown = Calibration(sparse=np.zeros((1, 1), np.int64))
    with pytest.raises(
        ModelError, match=rf"^layer {number}: sums may reach \d+, int8's accumulator holds less than 2\^31$"
    ):
        quantise(model, precision=Precision.INT8, calibration=shown)


@pytest.mark.parametrize(("number", "wrong"), [(0, np.nan), (1, np.inf)])
def test_a_layer_that_is_not_finite_is_named(number: int, wrong: float) -> None:
    model = with_bottom()
    model.biases[number][0] = wrong
    with pytest.raises(ModelError, match=rf"^layer {number}: weights and biases must be finite$"):
        quantise(model, precision=Precision.FIXED16)


def test_a_batch_is_random_but_the_same_for_a_seed() -> None:
    model = built([([[1.0]] * 5, 2), ([[1.0]] * 300, 1)], [([[1.0] * 4], [0.0])], dense=2)
    batch, again, other = random_batch(model), random_batch(model, seed=0), random_batch(model, seed=1)
    assert (batch.sparse.shape, batch.sparse.dtype, batch.users) == ((CALIBRATION_ITEMS, 3), np.int64, None)
    assert batch.sparse.min() == 0
    assert batch.sparse.max(axis=0).tolist()[:2] == [4, 4]
    assert 280 < batch.sparse[:, 2].max() <= 299
    assert batch.dense is not None
    assert other.dense is not None
    assert (batch.dense.shape, batch.dense.dtype) == ((CALIBRATION_ITEMS, 2), np.float32)
    assert abs(batch.dense.mean()) < 0.1
    assert abs(batch.dense.std() - 1) < 0.1
    np.testing.assert_array_equal(batch.sparse, again.sparse)
    np.testing.assert_array_equal(batch.dense, np.asarray(again.dense))
    assert (batch.sparse != other.sparse).any()
    assert (batch.dense != other.dense).any()
    few = random_batch(built([([[1.0]], 1)], [([[1.0]], [0.0])]), items=3)
    assert (few.sparse.tolist(), few.dense) == ([[0], [0], [0]], None)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_generated_rows_are_quantised_as_their_values_are(precision: Precision) -> None:
    table, ids = GeneratedTable(rows=500, dim=7, seed=3, amplitude_log2=-2), np.array([[0, 499], [7, 8]])
    quantisation = InputQuantisation(precision=precision, fraction=9, scale=0.03125)
    found = quantisation.generated(table, ids)
    np.testing.assert_array_equal(found, quantisation.integers(table.values(ids)))
    assert (found.shape, found.dtype) == ((2, 2, 7), np.int64)
    assert len(np.unique(found)) > 10


def test_integers_are_of_the_value_and_not_of_its_single_precision() -> None:
    """Halves of a unit in single precision are a little more or less than that in double precision."""
    quantisation = InputQuantisation(precision=Precision.INT8, scale=0.1)
    values = (np.arange(100, dtype=np.float32) + np.float32(0.5)) * np.float32(0.1)
    wanted = [min(255, round(float(value) / 0.1) + 128) for value in values]
    assert quantisation.integers(values).tolist() == wanted


@pytest.mark.parametrize(
    ("precision", "step", "zero_point", "dtype", "bounds"),
    [
        (Precision.FIXED16, 2.0**-9, 0, np.int16, (-(1 << 15), (1 << 15) - 1)),
        (Precision.FIXED32, 2.0**-9, 0, np.int32, (-(1 << 31), (1 << 31) - 1)),
        (Precision.INT8, 0.25, 128, np.uint8, (0, 255)),
    ],
)
def test_what_an_integer_stands_for(
    precision: Precision, step: float, zero_point: int, dtype: type, bounds: tuple[int, int]
) -> None:
    quantisation = InputQuantisation(precision=precision, fraction=9, scale=0.25)
    assert (quantisation.step, quantisation.zero_point) == (step, zero_point)
    assert (quantisation.dtype, quantisation.bounds) == (np.dtype(dtype), bounds)
