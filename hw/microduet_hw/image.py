"""Load beats: quantised weights, parameters and tables, packed as the gateware keeps them."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from microduet_hw.config import Array, EngineConfig, Layer, Part, SourceKind
from microduet_hw.layout import HOLE, Layers, drain_order, input_order
from microduet_hw.loader import DATA_BITS, Target
from microduet_hw.lookup.row_check import word_check
from microduet_hw.output_layer import output_layer_shape
from microduet_hw.pe import PAIR_BITS
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.quantised import QuantisedLayer, QuantisedModel, UserWeights
from microduet_hw.requantiser import RequantiserShape
from microduet_hw.sigmoid import sigmoid_entries
from microduet_hw.single_precision import MANTISSA_BITS, SHIFT_BITS
from microduet_hw.stack import Stack
from microduet_hw.user_packets import USER_CONSTANTS, scale_bits
from microduet_hw.user_shape import WEIGHT_BITS, user_shape

Beats = npt.NDArray[np.uint32]
"""uint32 (beats, 16): 512 bits each, lowest word first."""

TableRows = Callable[[int, int, int], npt.NDArray[np.int64]]
"""``rows_of(feature, first, count)``: quantised rows of a feature's table, int64 (count, dim)."""

CHUNK_BYTES = DATA_BITS // 8

COMMIT, CHECK = 1, 2
"""Bits of a beat's last byte."""


def pack_words(words: npt.NDArray[np.uint8], *, target: Target, unit: npt.ArrayLike, row: npt.ArrayLike) -> Beats:
    """Beats that load `words` (uint8 (n, bytes)) into rows `row` of units `unit` (both broadcast to n)."""
    count, size = words.shape
    chunks = math.ceil(size / CHUNK_BYTES)
    data = np.zeros((count, chunks * CHUNK_BYTES), np.uint8)
    data[:, :size] = words
    beats = np.zeros((count, chunks, 64), np.uint8)
    beats[:, :, :CHUNK_BYTES] = data.reshape(count, chunks, CHUNK_BYTES)
    header = beats[:, :, CHUNK_BYTES:]
    rows = np.broadcast_to(np.asarray(row, np.uint32), count)
    units = np.broadcast_to(np.asarray(unit, np.uint16), count)
    header[:, :, 0:3] = _bytes(rows, "<u4")[:, None, :3]
    header[:, :, 3:5] = _bytes(units, "<u2")[:, None, :]
    header[:, :, 5] = np.arange(chunks)
    header[:, :, 6] = target
    header[:, -1, 7] = COMMIT
    return beats.reshape(-1, 64).view("<u4")


def _bytes(values: npt.NDArray[np.generic], dtype: str) -> npt.NDArray[np.uint8]:
    """Little-endian bytes of the last axis: (..., n) -> (..., n x size); of a vector: (n, size)."""
    flat = np.ascontiguousarray(values.astype(dtype))
    size = flat.dtype.itemsize
    shape = (flat.shape[0], size) if flat.ndim == 1 else (*flat.shape[:-1], flat.shape[-1] * size)
    return flat.view(np.uint8).reshape(shape)


def _check_range(name: str, values: npt.ArrayLike, low: int, high: int) -> None:
    for value in (int(np.min(values)), int(np.max(values))):
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, not {value}")


def check_model(config: EngineConfig, model: QuantisedModel) -> None:
    """Raise ValueError, naming the layer, if the gateware of `config` cannot hold `model`."""
    check_layers(config, config.layers, model.layers)


def check_layers(config: Layers, sizes: Sequence[Layer], quantised: Sequence[QuantisedLayer]) -> None:
    """Raise ValueError, naming the layer, if the gateware of `config` cannot hold the layers `quantised`."""
    if len(quantised) != len(sizes):
        raise ValueError(f"layers must be {len(sizes)}, not {len(quantised)}")
    for number, (size, layer) in enumerate(zip(sizes, quantised, strict=True)):
        name, shape = f"layer {number}", (size.outputs, size.inputs)
        if layer.weights.shape != shape:
            raise ValueError(f"{name}: weights must be {shape}, not {layer.weights.shape}")
        top = (1 << config.precision.width - 1) - 1
        _check_range(f"{name}: weights", layer.weights, -top, top)
        # In int8 the correction for the input's zero point is part of the bias, and both are taken modulo 2^32.
        top = 1 << config.accumulator_width - 1
        _check_range(f"{name}: bias", layer.bias, -top, top - 1)
        _check_range(f"{name}: shift", layer.shift, 0, (1 << SHIFT_BITS) - 1)


def _permuted(config: Layers, number: int, layer: QuantisedLayer) -> npt.NDArray[np.int64]:
    """Weights in the order in which inputs come: (outputs, words, lanes), zero where nothing does."""
    order = input_order(config, number)
    padded = np.pad(layer.weights, ((0, 0), (0, 1)))
    return padded[:, np.where(order == HOLE, layer.weights.shape[1], order)]


def _array_rows(config: Layers, array: Array, quantised: Sequence[QuantisedLayer]) -> npt.NDArray[np.int64]:
    """Weights of an array's layers, of `quantised` by number, as its PEs read them: (PEs, rows, lanes)."""
    rows: list[npt.NDArray[np.int64]] = []
    for number in array.layers:
        weights = _permuted(config, number, quantised[number])
        rounds = math.ceil(len(weights) / array.pes)
        weights = np.pad(weights, ((0, rounds * array.pes - len(weights)), (0, 0), (0, 0)))
        by_pe = weights.reshape(rounds, array.pes, *weights.shape[1:]).transpose(1, 0, 2, 3)
        rows.append(by_pe.reshape(array.pes, -1, array.lanes))
    return np.concatenate(rows, axis=1)


def _weight_type(config: Layers) -> str:
    return f"<i{config.precision.width // 8}"


def array_weight_beats(config: Layers, array: Array, quantised: Sequence[QuantisedLayer], *, unit: int) -> Beats:
    """Weights of `array`, which load beats name by the number `unit`; `quantised` are the layers by their numbers."""
    words = _array_rows(config, array, quantised)
    pe = np.arange(array.pes)
    units = unit << PAIR_BITS + 1 | (pe >= array.pes // 2) << PAIR_BITS | pe % (array.pes // 2)
    return pack_words(
        _bytes(words, _weight_type(config)).reshape(array.pes * words.shape[1], -1),
        target=Target.WEIGHTS,
        unit=np.repeat(units, words.shape[1]),
        row=np.tile(np.arange(words.shape[1]), array.pes),
    )


def array_parameter_beats(config: Layers, array: Array, quantised: Sequence[QuantisedLayer], *, unit: int) -> Beats:
    """Biases and scales of the layers of `array`, as `array_weight_beats`."""
    shape = pe_array_shape(config, array).drain.requantiser
    words = [
        _parameter_word(shape, quantised[number], outputs)
        for number in array.layers
        for steps, _ in drain_order(config, number)
        for outputs in steps
    ]
    data = np.frombuffer(b"".join(words), np.uint8).reshape(len(words), -1)
    return pack_words(data, target=Target.PARAMETERS, unit=unit, row=np.arange(len(words)))


def stack_beats(stack: Stack, quantised: Sequence[QuantisedLayer], *, unit: int) -> Beats:
    """All that array `unit` with the layers of `stack` is loaded with; ValueError if they do not fit.

    Streamed weights are not among it: `stream_image` is where they are read from.
    """
    check_layers(stack, stack.layers, quantised)
    (array,) = stack.arrays
    parameters = array_parameter_beats(stack, array, quantised, unit=unit)
    if stack.streamed:
        return parameters
    return np.concatenate([array_weight_beats(stack, array, quantised, unit=unit), parameters])


def stream_image(stack: Stack, quantised: Sequence[QuantisedLayer]) -> npt.NDArray[np.uint8]:
    """Rows of weights in the order in which one vector takes them: uint8 (rows, bytes of all PEs), PE 0 lowest.

    ValueError if the weights do not fit.
    """
    check_layers(stack, stack.layers, quantised)
    (array,) = stack.arrays
    rows = _array_rows(stack, array, quantised).transpose(1, 0, 2)
    return _bytes(rows.reshape(len(rows), -1), _weight_type(stack))


def weight_beats(config: EngineConfig, model: QuantisedModel) -> Beats:
    """Weights of all arrays and of the output layer; ValueError if they do not fit."""
    check_model(config, model)
    result = [array_weight_beats(config, array, model.layers, unit=unit) for unit, array in enumerate(config.arrays)]
    (output,) = _permuted(config, len(config.hidden), model.layers[-1])
    words = _bytes(output, _weight_type(config))
    result.append(pack_words(words, target=Target.OUTPUT_WEIGHTS, unit=0, row=np.arange(len(output))))
    return np.concatenate(result)


def _parameter_word(shape: RequantiserShape, layer: QuantisedLayer, outputs: npt.NDArray[np.int64]) -> bytes:
    """Parameters of one drain step whose lanes carry `outputs` (HOLE: any)."""
    lanes: list[dict[str, int]] = []
    for output in outputs.tolist():
        lane = {"bias": 0}
        if output != HOLE:
            lane["bias"] = int(layer.bias[output])
            if layer.multiplier is not None:
                lane["bias"] -= layer.input_zero_point * int(layer.weights[output].sum())
                lane["mantissa"], lane["exponent"] = split_multiplier(np.float32(layer.multiplier[output]))
        lanes.append(lane)
    word = shape.parameters.const(
        {"lanes": lanes, "shift": layer.shift, "zero_point": layer.output_zero_point, "relu": int(layer.relu)}
    )
    return word.as_bits().to_bytes(math.ceil(shape.parameters.size / 8), "little")


def split_multiplier(multiplier: np.float32) -> tuple[int, int]:
    """A float32 multiplier as (mantissa, exponent): mantissa x 2^-exponent, the mantissa of exactly 24 bits.

    Raises
    ------
    ValueError
        If the exponent does not fit its field.
    """
    if not 2.0 ** (MANTISSA_BITS - (1 << SHIFT_BITS)) <= multiplier < 1 << MANTISSA_BITS:
        raise ValueError(f"a multiplier must be at least 2^-40 and below 2^24, not {multiplier!r}")
    fraction, exponent = np.frexp(multiplier)
    return int(fraction * (1 << MANTISSA_BITS)), MANTISSA_BITS - int(exponent)


def parameter_beats(config: EngineConfig, model: QuantisedModel) -> Beats:
    """Biases and scales of all layers, and the sigmoid's table; ValueError if they do not fit."""
    check_model(config, model)
    result = [array_parameter_beats(config, array, model.layers, unit=unit) for unit, array in enumerate(config.arrays)]
    output = _parameter_word(output_layer_shape(config).requantiser, model.layers[-1], np.zeros(1, np.int64))
    data = np.frombuffer(output, np.uint8)[None]
    result.append(pack_words(data, target=Target.OUTPUT_PARAMETERS, unit=0, row=0))
    if config.sigmoid:
        entries = sigmoid_entries(model.logit_fraction - (config.precision.logit_width - 16))
        data = _bytes(entries, "<u4")
        result.append(pack_words(data, target=Target.SIGMOID, unit=0, row=np.arange(len(entries))))
    return np.concatenate(result)


def user_words(config: EngineConfig, users: UserWeights) -> tuple[npt.NDArray[np.uint8], ...]:
    """What is known of users as it is loaded: rows of `USER_CONSTANTS`, of weights and of biases, uint8 (rows, bytes).

    ValueError if it does not fit.
    """
    shape = user_shape(config)
    outputs, elements = shape.outputs, shape.user.elements if shape.vector else 0
    if users.weights.shape != (outputs, elements) or users.bias.shape != (outputs,):
        raise ValueError(
            f"user weights must be {(outputs, elements)}, not {users.weights.shape} and {users.bias.shape}"
        )
    half = 1 << shape.bits - 1
    _check_range("user bias", users.bias, -half, half - 1)
    _check_range("user shift", users.shift, 0, (1 << USER_CONSTANTS["shift"].width) - 1)
    constants = {"version": users.version, "scale": scale_bits(users.scale), "zero_point": users.zero_point}
    model = USER_CONSTANTS.const({**constants, "shift": users.shift}).as_bits()
    biases = b"".join((int(bias) % (2 * half)).to_bytes(math.ceil(shape.bits / 8), "little") for bias in users.bias)
    weights = np.zeros((0, 1), np.uint8)
    if shape.vector:
        _check_range("user weights", users.weights, -(1 << WEIGHT_BITS - 1), (1 << WEIGHT_BITS - 1) - 1)
        padded = np.pad(users.weights, ((0, 0), (0, shape.words * shape.user.lanes - elements)))
        weights = _bytes(padded.reshape(outputs * shape.words, -1), "<i2")
    return (
        np.frombuffer(model.to_bytes(math.ceil(USER_CONSTANTS.size / 8), "little"), np.uint8)[None],
        weights,
        np.frombuffer(biases, np.uint8).reshape(outputs, -1),
    )


def user_beats(config: EngineConfig, users: UserWeights) -> Beats:
    """Everything that an engine with users is loaded with for them; ValueError if it does not fit."""
    targets = (Target.MODEL, Target.USER_WEIGHTS, Target.USER_BIAS)
    words = zip(targets, user_words(config, users), strict=True)
    beats = [pack_words(rows, target=target, unit=0, row=np.arange(len(rows))) for target, rows in words]
    return np.concatenate(beats)


def row_bytes(config: EngineConfig, rows: npt.NDArray[np.int64], part: Part) -> npt.NDArray[np.uint8]:
    """Rows of a table as memory keeps them for `part`: uint8 (rows, stride)."""
    kept = rows[:, part.column_first : part.column_first + part.columns]
    kind = "i" if config.precision.signed else "u"
    data = _bytes(kept, f"<{kind}{config.precision.width // 8}")
    return np.pad(data, ((0, 0), (0, (1 << part.stride_log2) - data.shape[1])))


def onchip_beats(config: EngineConfig, rows_of: TableRows) -> Beats:
    """Contents of all on-chip banks, a word of 32 bytes per beat; where rows are checked, behind its check word."""
    result = [np.zeros((0, 16), np.uint32)]
    for number, source in enumerate(config.sources):
        if source.kind is not SourceKind.ONCHIP:
            continue
        for part in source.parts:
            numbers = part.row_numbers
            rows = rows_of(part.feature, part.row_first, numbers[-1] - part.row_first + 1)[:: numbers.step]
            words = row_bytes(config, rows, part).reshape(-1, 32)
            row = (part.base >> 5) + np.arange(len(words))
            if config.row_check:
                sums = [word_check(w.tobytes(), row=r, source=number) for w, r in zip(words, row.tolist(), strict=True)]
                words = np.concatenate([_bytes(np.array(sums), "<u2"), words], axis=1)
            result.append(pack_words(words, target=Target.ONCHIP, unit=number, row=row))
    return np.concatenate(result)


def load_beats(
    config: EngineConfig, model: QuantisedModel, rows_of: TableRows, users: UserWeights | None = None
) -> Beats:
    """Everything that a fresh engine needs before its first item; `users` if it has any."""
    beats = [weight_beats(config, model), parameter_beats(config, model), onchip_beats(config, rows_of)]
    if users is not None:
        beats.append(user_beats(config, users))
    return np.concatenate(beats)
