"""Small engines and random quantised models for tests of the compute side."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microduet_hw import layout
from microduet_hw.config import Array, EngineConfig, Feature, Layer, Part, Precision, Source, SourceKind
from microduet_hw.quantised import INPUT_ZERO_POINT, QuantisedLayer, QuantisedModel
from microduet_hw.stack import Stack

Sized = EngineConfig | Stack
"""What has layers of an arithmetic and an input vector."""


def zero_point(config: Sized, number: int) -> int:
    """Zero point of the input of layer `number` of a random int8 model: low after ReLU, else in the middle."""
    if number in (0, config.bottom):  # features, and what comes beside them, have one
        return INPUT_ZERO_POINT
    return 3 if config.layers[number - 1].relu else 100


def small_config(
    *,
    precision: Precision = Precision.FIXED16,
    elements: int = 12,
    hidden: Sequence[int] = (),
    arrays: Sequence[Array] = (),
    relu: bool = True,
    sigmoid: bool = True,
    dense: int = 0,
    bottom: int = 0,
) -> EngineConfig:
    """An engine whose features are one row, of `elements`, of one table in one memory channel; dense ones follow."""
    layers: list[Layer] = []
    inputs = dense if bottom else elements + dense
    for number, outputs in enumerate(hidden):
        inputs += elements if bottom and number == bottom else 0
        layers.append(Layer(inputs=inputs, outputs=outputs, relu=relu))
        inputs = outputs
    stride = max(5, (elements * precision.width // 8 - 1).bit_length())
    part = Part(feature=0, rows=4, columns=elements, base=0, stride_log2=stride)
    return EngineConfig(
        name="small",
        precision=precision,
        features=(Feature(rows=4, dim=elements, position=0),),
        dense=dense,
        dense_position=elements if dense and not bottom else 0,
        bottom=bottom,
        sources=(Source(kind=SourceKind.HBM, parts=(part,)),),
        hidden=tuple(layers),
        output=Layer(inputs=inputs, outputs=1, relu=False),
        arrays=tuple(arrays),
        sigmoid=sigmoid,
    )


def random_vectors(config: Sized, rng: np.random.Generator, *, items: int) -> npt.NDArray[np.int64]:
    """Assembled vectors, int64 (items, elements); the first two hold nothing but the least and the greatest value."""
    width = config.precision.width
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if config.precision.signed else (0, (1 << width) - 1)
    vectors = rng.integers(low, high, (items, config.vector_elements), endpoint=True)
    vectors[0], vectors[1] = low, high
    return vectors


def random_model(config: EngineConfig, rng: np.random.Generator) -> QuantisedModel:
    """Random weights, and scales that make outputs of every layer fill their range and saturate now and then."""
    return QuantisedModel(layers=random_layers(config, rng), logit_fraction=config.precision.logit_width - 4)


def random_layers(config: Sized, rng: np.random.Generator) -> tuple[QuantisedLayer, ...]:
    """Layers of a model as `random_model`."""
    make = _int8_layer if config.precision is Precision.INT8 else _fixed_layer
    return tuple(make(config, number, rng) for number in range(len(config.layers)))


def _weights(config: Sized, number: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    layer, top = config.layers[number], (1 << config.precision.width - 1) - 1
    return rng.integers(-top, top, (layer.outputs, layer.inputs), endpoint=True)


def _fixed_layer(config: Sized, number: int, rng: np.random.Generator) -> QuantisedLayer:
    layer, width = config.layers[number], config.precision.width
    spread = 1 << 2 * width - 3
    return QuantisedLayer(
        weights=_weights(config, number, rng),
        bias=rng.integers(-spread, spread, layer.outputs),
        relu=layer.relu,
        # A sum of I products of uniform values spreads over about 2^(2w - 2) sqrt(I) / 3.
        shift=width - 1 + int(np.log2(layer.inputs) / 2),
    )


def _int8_layer(config: Sized, number: int, rng: np.random.Generator) -> QuantisedLayer:
    layer = config.layers[number]
    last = number == len(config.hidden)
    scale = 2.0 ** (7 if last else -1) / (64 * np.sqrt(layer.inputs))
    return QuantisedLayer(
        weights=_weights(config, number, rng),
        bias=rng.integers(-20000, 20000, layer.outputs),
        relu=layer.relu,
        multiplier=np.minimum(rng.uniform(0.5, 1.5, layer.outputs) * scale, 0.99).astype(np.float32),
        input_zero_point=zero_point(config, number),
        output_zero_point=0 if last else zero_point(config, number + 1),
    )


def vector_words(config: Sized, vector: npt.NDArray[np.int64]) -> list[int]:
    """The words, as unsigned integers, in which `vector` reaches the arrays."""
    width = config.precision.width
    return [
        sum((int(vector[place]) & ((1 << width) - 1)) << width * lane for lane, place in enumerate(span))
        for span in layout.vector_words(config)
    ]
