"""Models whose weights are written out, and what holds of their scales."""

import numpy as np
import torch

from microduet.quantised import Quantised
from microduet.shape import ModelShape, UserEntry, concatenated
from microduet.traced import StoredTable, TracedModel
from microduet_hw.config import Layer, Payload

Rows = list[list[float]]


def built(
    tables: list[tuple[Rows, int]],
    layers: list[tuple[Rows, list[float]]],
    *,
    dense: int = 0,
    bottom: int = 0,
    relu: tuple[bool, ...] = (),
    sigmoid: bool = True,
    user: tuple[int, Rows] | None = None,
) -> TracedModel:
    """A model of tables, each with its lookups, and layers; `user` are a layer and what multiplies user vectors."""
    weights = tuple(np.array(rows, np.float32) for rows, _ in layers)
    rising = (*relu, *[False] * (len(layers) - len(relu)))
    shapes = [
        Layer(inputs=weight.shape[1], outputs=weight.shape[0], relu=on)
        for weight, on in zip(weights, rising, strict=True)
    ]
    features = concatenated([(len(rows), len(rows[0]), lookups) for rows, lookups in tables])
    entry = UserEntry(layer=user[0], payload=Payload.VECTOR, elements=len(user[1][0])) if user else None
    shape = ModelShape(
        name="toy",
        features=features,
        dense=dense,
        dense_position=sum(feature.dim for feature in features),
        hidden=tuple(shapes[:-1]),
        output=shapes[-1],
        sigmoid=sigmoid,
        bottom=bottom,
        user=entry,
    )
    return TracedModel(
        shape=shape,
        tables=tuple(StoredTable(weight=torch.tensor(rows)) for rows, _ in tables),
        weights=weights,
        biases=tuple(np.array(bias, np.float32) for _, bias in layers),
        user_weights=np.array(user[1], np.float32) if user else None,
    )


def single(value: float) -> float:
    return float(np.float32(value))


def chained(model: TracedModel, quantised: Quantised) -> None:
    """Every layer's products, less what it drops, have the scale of its outputs; both parts' scales meet."""
    bottom = model.shape.bottom
    before = quantised.dense.step
    for number, layer in enumerate(quantised.model.layers):
        before = quantised.input.step if number == bottom else before
        own, step = quantised.weight_steps[number], quantised.steps[number]
        assert own.shape == (len(layer.weights),)
        assert layer.relu is model.shape.layers[number].relu
        if layer.multiplier is None:
            assert before * own[0] * 2.0**layer.shift == step
            assert set(own.tolist()) == {own[0]}
        else:
            wanted = (before * own).astype(np.float32) * (np.float32(1) / np.float32(step))
            np.testing.assert_array_equal(layer.multiplier, wanted)
        np.testing.assert_allclose(layer.weights * own[:, None], model.weights[number], atol=own.max() * 0.5001, rtol=0)
        before = step
    if bottom:
        assert quantised.steps[bottom - 1] == quantised.input.step
    assert quantised.steps[-1] == 2.0**-quantised.model.logit_fraction
