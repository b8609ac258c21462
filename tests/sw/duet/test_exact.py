"""The payload of an exact split: its width, scale and rounding, and that an engine computes what it would uncut."""

import numpy as np
import pytest

from microduet.duet import zoo
from microduet.duet.exact import ExactPayload, exact_payload, lossless_bytes, user_sums
from microduet.duet.figures import figures
from microduet.duet.split import exact_split
from microduet.errors import ModelError
from microduet.models import microrec_small
from microduet.quantise import quantise, random_batch
from microduet.trace import trace
from microduet_hw.config import Precision
from microduet_hw.quantised import QuantisedLayer
from tests.sw import arithmetic


def small_models_layer(precision: Precision) -> tuple[QuantisedLayer, list[int], np.ndarray]:
    """The first layer of MicroRec's small model, the user's columns, and quantised vectors."""
    model = trace(microrec_small())
    quantised = quantise(model, precision=precision)
    batch = random_batch(model, items=20, seed=5)
    vectors = quantised.input.integers(model.vector(batch.sparse).numpy())
    shape = zoo.shape_of("microrec-small")
    return quantised.model.layers[0], shape.positions(shape.user.features), vectors


def outputs(layer: QuantisedLayer, vectors: np.ndarray, columns: list[int], preload: np.ndarray) -> np.ndarray:
    """What the engine computes from preloaded accumulators and the item's columns."""
    others = [k for k in range(vectors.shape[1]) if k not in columns]
    totals = preload + (vectors[:, others] - layer.input_zero_point) @ layer.weights[:, others].T
    return np.array([[finish(layer, o, int(t)) for o, t in enumerate(row)] for row in totals])


def finish(layer: QuantisedLayer, output: int, total: int) -> int:
    if layer.multiplier is None:
        return arithmetic.fixed_output(total, shift=layer.shift, width=16, relu=layer.relu)
    zero = layer.output_zero_point
    return arithmetic.int8_output(
        total, multiplier=layer.multiplier[output], zero_point=zero, relu=layer.relu, logit=False
    )


@pytest.mark.parametrize(("precision", "bits"), [(Precision.INT8, 32), (Precision.FIXED16, 48)])
def test_without_a_shift_every_output_is_the_uncut_layers(precision: Precision, bits: int) -> None:
    layer, columns, vectors = small_models_layer(precision)
    payload = exact_payload(layer, columns, precision=precision, bits=bits)
    assert payload.shift == 0
    sums = user_sums(layer, columns, vectors[:, columns])
    sent = np.stack([payload.decode(payload.encode(row)) for row in sums])
    whole = outputs(layer, vectors, [], np.broadcast_to(layer.bias, sums.shape))
    assert np.array_equal(outputs(layer, vectors, columns, payload.preload(sent)), whole)


def test_32_bits_of_a_fixed16_sum_are_wrong_by_less_than_a_thousandth_of_an_output() -> None:
    layer, columns, vectors = small_models_layer(Precision.FIXED16)
    payload = exact_payload(layer, columns, precision=Precision.FIXED16)
    sums = user_sums(layer, columns, vectors[:, columns])
    back = payload.preload(np.stack([payload.decode(payload.encode(row)) for row in sums]))
    assert np.abs(back - sums).max() <= (1 << payload.shift) >> 1
    error = 2.0 ** (payload.shift - 1 - layer.shift)
    print(f"shift {payload.shift}, layer's shift {layer.shift}: at most {error:.2e} of an output's step")
    assert payload.shift > 0
    assert error < 1e-3


@pytest.mark.parametrize("name", zoo.NAMES)
def test_bytes_are_those_of_the_figures(name: str) -> None:
    shape = zoo.shape_of(name)
    found = figures(shape, exact_split(shape))
    assert ExactPayload(sums=shape.top[0], bits=32, shift=0).size == found.payload_bytes
    assert lossless_bytes(shape.top[0], found.parts.user_top[0]) == found.lossless_bytes
    assert lossless_bytes(shape.top[0], found.parts.user_top[0], Precision.INT8) == found.payload_bytes


@pytest.mark.parametrize(
    ("shift", "sums", "values"),
    [
        (0, [-3, 0, 5], [-3, 0, 5]),
        (1, [-3, -1, 1, 3, 5, 2], [-2, 0, 0, 2, 2, 1]),
        (4, [8, 24, -8, -24, 9, -9, 7], [0, 2, 0, -2, 1, -1, 0]),
    ],
)
def test_rounds_half_to_even(shift: int, sums: list[int], values: list[int]) -> None:
    payload = ExactPayload(sums=len(sums), bits=16, shift=shift)
    assert payload.values(np.array(sums)).tolist() == values
    assert payload.decode(payload.encode(np.array(sums))).tolist() == values


@pytest.mark.parametrize("bits", [16, 24, 32, 40, 48, 56])
def test_the_largest_possible_sums_fit(bits: int) -> None:
    layer = QuantisedLayer(weights=np.full((2, 300), 32767), bias=np.array([1 << 30, -(1 << 30)]), relu=True, shift=15)
    payload = exact_payload(layer, range(200), precision=Precision.FIXED16, bits=bits)
    least = -(1 << 15)
    for inputs in (np.full((1, 200), least), np.full((1, 200), -least - 1)):
        sums = user_sums(layer, range(200), inputs)[0]
        assert np.array_equal(payload.decode(payload.encode(sums)), payload.values(sums))
    tighter = ExactPayload(sums=2, bits=bits, shift=max(0, payload.shift - 2))
    assert payload.shift == 0 or not np.array_equal(tighter.decode(tighter.encode(sums)), tighter.values(sums))


@pytest.mark.parametrize("bits", [0, 8, 20, 64])
def test_refuses_a_width(bits: int) -> None:
    layer = QuantisedLayer(weights=np.ones((1, 1), np.int64), bias=np.zeros(1, np.int64), relu=True)
    with pytest.raises(ModelError, match=f"24, ... 56 bits, not {bits}"):
        exact_payload(layer, [0], precision=Precision.FIXED16, bits=bits)


def test_refuses_fixed32() -> None:
    layer = QuantisedLayer(weights=np.ones((1, 1), np.int64), bias=np.zeros(1, np.int64), relu=True)
    with pytest.raises(ModelError, match="fixed16 or int8 engine, not fixed32"):
        exact_payload(layer, [0], precision=Precision.FIXED32)


def test_refuses_a_payload_of_another_length() -> None:
    payload = ExactPayload(sums=4, bits=32, shift=0)
    with pytest.raises(ModelError, match="has 16 bytes, not 15"):
        payload.decode(bytes(15))
    with pytest.raises(ModelError, match="has 4 sums"):
        payload.encode(np.zeros(5, np.int64))
