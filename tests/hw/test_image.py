"""Load beats, taken apart again: every weight and parameter arrives where the gateware looks for it."""

import numpy as np
import pytest

from microduet_hw.config import Array, Layer, Precision, Source, SourceKind
from microduet_hw.image import (
    load_beats,
    onchip_beats,
    pack_words,
    parameter_beats,
    row_bytes,
    split_multiplier,
    stack_beats,
    stream_image,
    weight_beats,
)
from microduet_hw.layout import HOLE, drain_order, input_order
from microduet_hw.loader import BEAT, DATA_BITS, Target
from microduet_hw.output_layer import output_layer_shape
from microduet_hw.pe import PAIR_BITS
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.quantised import QuantisedLayer, QuantisedModel
from microduet_hw.sigmoid import sigmoid_entries
from microduet_hw.stack import Stack
from tests.support.flow import signed_of
from tests.support.models import random_layers, random_model, small_config


def one_array(pes, lanes, layers):
    return (Array(pes=pes, lanes=lanes, drain=lanes, layers=tuple(range(layers))),)


ENGINES = {
    "fixed16, leftovers": small_config(elements=30, hidden=(33, 21, 8), arrays=one_array(10, 4, 3)),
    "fixed32, rows of two chunks": small_config(
        precision=Precision.FIXED32, elements=41, hidden=(9, 7), arrays=one_array(4, 15, 2)
    ),
    "int8, an array per layer": small_config(
        precision=Precision.INT8,
        elements=9,
        hidden=(8, 4),
        arrays=(Array(pes=4, lanes=2, drain=3, layers=(0,)), Array(pes=2, lanes=3, drain=4, layers=(1,))),
    ),
    "fixed16, no hidden layer, no sigmoid": small_config(elements=37, sigmoid=False),
}


@pytest.fixture(params=list(ENGINES))
def engine(request):
    """A configuration and a random model."""
    config = ENGINES[request.param]
    return config, random_model(config, np.random.default_rng(5))


def loaded(beats):
    """What the loader makes of beats: words by (target, unit, row)."""
    words, chunks = {}, {}
    for beat in beats:
        fields = BEAT.from_bits(int.from_bytes(beat.tobytes(), "little"))
        chunks[fields["chunk"]] = fields["data"]
        if fields["commit"]:
            word = sum(data << DATA_BITS * k for k, data in chunks.items())
            place = (fields["target"], fields["unit"], fields["row"])
            assert place not in words, "each word is loaded once"
            words[place], chunks = word, {}
    assert not chunks, "the last word is committed"
    return words


def lanes_of(word, lanes, width):
    return [signed_of(word >> width * lane, width) for lane in range(lanes)]


def test_weights_arrive_in_the_rows_of_their_elements(engine):
    config, model = engine
    words = loaded(weight_beats(config, model))
    width = config.precision.width
    for unit, array in enumerate(config.arrays):
        row = 0
        for number in array.layers:
            weights, order = model.layers[number].weights, input_order(config, number)
            for turn in range(-(-len(weights) // array.pes)):
                for inputs in order:
                    for pe in range(array.pes):
                        half, pair = divmod(pe, array.pes // 2)
                        word = words.pop((Target.WEIGHTS, unit << PAIR_BITS + 1 | half << PAIR_BITS | pair, row))
                        output = turn * array.pes + pe
                        real = output < len(weights)
                        expected = [int(weights[output, i]) if real and i != HOLE else 0 for i in inputs]
                        assert lanes_of(word, array.lanes, width) == expected
                    row += 1
    for row, inputs in enumerate(input_order(config, len(config.hidden))):
        expected = [0 if i == HOLE else int(model.layers[-1].weights[0, i]) for i in inputs]
        assert lanes_of(words.pop((Target.OUTPUT_WEIGHTS, 0, row)), len(inputs), width) == expected
    assert not words


STACK = Stack(
    precision=Precision.INT8,
    inputs=20,
    layers=(Layer(inputs=20, outputs=11), Layer(inputs=11, outputs=5, relu=False)),
    pes=4,
    lanes=8,
)


@pytest.fixture
def layers():
    """Layers of `STACK`."""
    return random_layers(STACK, np.random.default_rng(7))


def test_a_stack_is_loaded_as_the_array_that_it_is_told(layers):
    words = loaded(stack_beats(STACK, layers, unit=2))
    places = sorted((target, unit >> PAIR_BITS + 1 if target == Target.WEIGHTS else unit) for target, unit, _ in words)
    steps = sum(len(rows) for number in range(2) for rows, _ in drain_order(STACK, number))
    assert places == [(Target.WEIGHTS, 2)] * (3 * 3 + 2 * 2) * 4 + [(Target.PARAMETERS, 2)] * steps


def test_streamed_rows_hold_what_the_elements_would(layers):
    image = stream_image(STACK, layers)
    weights = {place[1:]: word for place, word in loaded(stack_beats(STACK, layers, unit=0)).items() if place[0] == 0}
    assert image.shape == (3 * 3 + 2 * 2, 4 * 8)
    for row, line in enumerate(image):
        for pe in range(4):
            half, pair = divmod(pe, 2)
            word = weights.pop((half << PAIR_BITS | pair, row))
            assert line[8 * pe : 8 * pe + 8].tobytes() == word.to_bytes(8, "little")
    assert not weights


def test_a_stack_of_streamed_weights_is_loaded_with_parameters_only(layers):
    resident, streamed = (loaded(stack_beats(STACK.replace(streamed=s), layers, unit=1)) for s in (False, True))
    assert streamed == {place: word for place, word in resident.items() if place[0] == Target.PARAMETERS}


@pytest.mark.parametrize("pack", [lambda *args: stack_beats(*args, unit=0), stream_image])
def test_refuses_layers_that_are_not_the_stack_s(layers, pack):
    with pytest.raises(ValueError, match="layers must be 2, not 1"):
        pack(STACK, layers[:1])
    with pytest.raises(ValueError, match=r"layer 1: weights must be \(5, 11\), not \(11, 20\)"):
        pack(STACK, (layers[0], layers[0]))


def check_lane(lane, layer, output):
    if layer.multiplier is None:
        assert lane["bias"] == layer.bias[output]
        return
    correction = layer.input_zero_point * int(layer.weights[output].sum())
    assert lane["bias"] == layer.bias[output] - correction
    assert lane["mantissa"] >> 23 == 1
    assert lane["mantissa"] * 2.0 ** -lane["exponent"] == layer.multiplier[output]


def check_shared(word, layer):
    assert (word["shift"], word["zero_point"], word["relu"]) == (layer.shift, layer.output_zero_point, layer.relu)


def test_parameters_arrive_in_the_order_of_drains(engine):
    config, model = engine
    words = loaded(parameter_beats(config, model))
    for unit, array in enumerate(config.arrays):
        layout = pe_array_shape(config, array).drain.requantiser.parameters
        steps = [(n, outputs) for n in array.layers for rows, _ in drain_order(config, n) for outputs in rows]
        for row, (number, outputs) in enumerate(steps):
            word = layout.from_bits(words.pop((Target.PARAMETERS, unit, row)) & (1 << layout.size) - 1)
            check_shared(word, model.layers[number])
            for lane, output in enumerate(outputs):
                if output != HOLE:
                    check_lane(word["lanes"][lane], model.layers[number], output)
    layout = output_layer_shape(config).requantiser.parameters
    word = layout.from_bits(words.pop((Target.OUTPUT_PARAMETERS, 0, 0)) & (1 << layout.size) - 1)
    check_shared(word, model.layers[-1])
    check_lane(word["lanes"][0], model.layers[-1], 0)
    if config.sigmoid:
        fraction = model.logit_fraction - (config.precision.logit_width - 16)
        for row, entry in enumerate(sigmoid_entries(fraction)):
            assert words.pop((Target.SIGMOID, 0, row)) == entry
    assert not words


def test_on_chip_tables_arrive_as_memory_keeps_them():
    config = small_config(elements=20)
    part = config.sources[0].parts[0].replace(base=3 * 64, stride_log2=6)
    config = config.replace(sources=(Source(kind=SourceKind.ONCHIP, parts=(part,)),))
    table = np.random.default_rng(0).integers(-32768, 32767, (4, 20))
    words = loaded(onchip_beats(config, lambda feature, first, count: table[first : first + count]))
    memory = b"".join(words.pop((Target.ONCHIP, 0, 6 + row)).to_bytes(32, "little") for row in range(8))
    assert not words
    for row in range(4):
        assert np.frombuffer(memory[64 * row :][:40], "<i2").tolist() == table[row].tolist()
        assert memory[64 * row + 40 : 64 * row + 64] == bytes(24)


def test_rows_of_a_part_hold_its_columns_only():
    config = small_config(precision=Precision.INT8, elements=10)
    part = config.sources[0].parts[0].replace(column_first=3, columns=4)
    rows = row_bytes(config, np.arange(20).reshape(2, 10) + 200, part)
    assert rows.shape == (2, 32)
    assert rows[:, :4].tolist() == [[203, 204, 205, 206], [213, 214, 215, 216]]
    assert not rows[:, 4:].any()


def test_a_fresh_engine_gets_everything_at_once(engine):
    config, model = engine
    words = loaded(load_beats(config, model, lambda feature, first, count: np.zeros((count, 1), np.int64)))
    assert words == loaded(np.concatenate([weight_beats(config, model), parameter_beats(config, model)]))


@pytest.mark.parametrize("size", [1, 55, 56, 57, 112, 113])
def test_words_come_in_chunks(size):
    data = np.random.default_rng(size).integers(0, 256, (3, size)).astype(np.uint8)
    beats = pack_words(data, target=Target.ONCHIP, unit=[7, 65535, 0], row=[0, 1, (1 << 24) - 1])
    assert beats.shape == (3 * -(-size // 56), 16)
    words = loaded(beats)
    assert list(words) == [(5, 7, 0), (5, 65535, 1), (5, 0, (1 << 24) - 1)]
    assert [word.to_bytes(size, "little") for word in words.values()] == [row.tobytes() for row in data]


@pytest.mark.parametrize("multiplier", [2.0**-40, 1e-9, 0.3, 0.5, np.nextafter(np.float32(1), np.float32(0)), 1.0])
def test_a_multiplier_is_split_exactly(multiplier):
    mantissa, exponent = split_multiplier(np.float32(multiplier))
    assert mantissa.bit_length() == 24
    assert 0 <= exponent < 64
    assert mantissa * 2.0**-exponent == np.float32(multiplier)


@pytest.mark.parametrize("multiplier", [0.0, -0.5, 2.0**-41, 2.0**24, np.nan, np.inf])
def test_refuses_a_multiplier_without_such_parts(multiplier):
    with pytest.raises(ValueError, match=r"a multiplier must be at least 2\^-40 and below 2\^24, not"):
        split_multiplier(np.float32(multiplier))


UNFIT = [
    # changes of a layer, what the message says
    ({"weights": -32768}, "weights must be -32767 to 32767, not -32768"),
    ({"weights": 32768}, "weights must be -32767 to 32767, not 32768"),
    ({"bias": 1 << 40}, "bias"),
    ({"shift": 64}, "shift must be 0 to 63, not 64"),
    ({"shift": -1}, "shift must be 0 to 63, not -1"),
]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(("changes", "message"), UNFIT)
def test_refuses_what_the_gateware_cannot_hold(number, changes, message):
    config = small_config(elements=4, hidden=(3,), arrays=one_array(2, 2, 1))
    layers = []
    for k, layer in enumerate(config.layers):
        values = {"weights": 1, "bias": 0, "shift": 3} | (changes if k == number else {})
        layers.append(
            QuantisedLayer(
                weights=np.full((layer.outputs, layer.inputs), values["weights"]),
                bias=np.full(layer.outputs, values["bias"]),
                relu=True,
                shift=values["shift"],
            )
        )
    model = QuantisedModel(layers=tuple(layers), logit_fraction=12)
    with pytest.raises(ValueError, match=f"layer {number}: {message}"):
        load_beats(config, model, lambda feature, first, count: np.zeros((count, 4), np.int64))


def test_refuses_a_model_of_another_shape():
    config = small_config(elements=4, hidden=(3,), arrays=one_array(2, 2, 1))
    other = small_config(elements=4, hidden=(5,), arrays=one_array(2, 2, 1))
    model = random_model(other, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"layer 0: weights must be \(3, 4\), not \(5, 4\)"):
        weight_beats(config, model)
