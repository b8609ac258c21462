"""Models of DLRM's form as the compiler sees them: whole, or the item's part of a split."""

import numpy as np
import numpy.typing as npt
import torch

from microduet.duet.engine_shape import item_shape, whole_shape
from microduet.models.dlrm import DlrmModel
from microduet.models.layers import linears
from microduet.models.split import SplitModel
from microduet.trace import table_of
from microduet.traced import Table, TracedModel

Floats = npt.NDArray[np.float32]


def whole_model(model: DlrmModel | SplitModel) -> TracedModel:
    """The uncut model, or the one that an exact split was cut from."""
    shape = model.spec.shape
    if isinstance(model, SplitModel):
        assert model.split.kind == "exact", "a duet split has no uncut weights"
        bottom, top = linears(model.user_model.bottom), _joined(model)
    else:
        bottom, top = linears(model.bottom), [_floats(layer) for layer in linears(model.top)]
    layers = _folded([*(_floats(layer) for layer in bottom), *top])
    return TracedModel(
        shape=whole_shape(shape),
        tables=_tables(model, range(len(shape.features))),
        weights=tuple(weight for weight, _ in layers),
        biases=tuple(bias for _, bias in layers),
    )


def item_model(model: SplitModel) -> TracedModel:
    """The item's part of a split and the layers behind both parts.

    An exact split's first layer has no bias: it is part of the user's sums.
    """
    shape = item_shape(model.spec.shape, model.split)
    assert shape.user is not None
    layers = [_floats(layer) for layer in (*linears(model.item_model), *linears(model.combined_model))]
    layers = _folded(layers)
    user_weights = None
    if model.split.kind == "duet":
        weight, bias = layers[shape.user.layer]
        user_weights = weight[:, : shape.user.elements]
        layers[shape.user.layer] = weight[:, shape.user.elements :], bias
    return TracedModel(
        shape=shape,
        tables=_tables(model, model.shape.item_features),
        weights=tuple(weight for weight, _ in layers),
        biases=tuple(bias for _, bias in layers),
        user_weights=user_weights,
    )


def user_tables(model: SplitModel) -> tuple[Table, ...]:
    """Tables of the user's features, in their order."""
    return _tables(model, model.shape.user.features)


def _tables(model: DlrmModel | SplitModel, features: range | tuple[int, ...]) -> tuple[Table, ...]:
    tables = model.embeddings.tables
    return tuple(table_of(tables[model.shape.features[number].table]) for number in features)


def _floats(layer: torch.nn.Linear) -> tuple[Floats, Floats]:
    weight = layer.weight.detach().float()
    bias = layer.bias.detach().float() if layer.bias is not None else weight.new_zeros(len(weight))  # pyright: ignore[reportUnnecessaryComparison]
    return weight.numpy(), bias.numpy()


def _folded(layers: list[tuple[Floats, Floats]]) -> list[tuple[Floats, Floats]]:
    """Two outputs, scored by their softmax, become their difference."""
    weight, bias = layers[-1]
    if len(bias) == 2:
        layers[-1] = weight[1:] - weight[:1], bias[1:] - bias[:1]
    return layers


def _joined(model: SplitModel) -> list[tuple[Floats, Floats]]:
    """Top layers of the model that an exact split was cut from: columns go back where they were."""
    shape = model.spec.shape
    weight, bias = _floats(linears(model.user_model.top)[0])
    first = np.empty((len(bias), shape.top_inputs), np.float32)
    bottom = range(shape.top_inputs - shape.bottom_outputs, shape.top_inputs)
    first[:, shape.positions(shape.user.features) + list(bottom)] = weight
    first[:, shape.positions(shape.item_features)] = _floats(linears(model.item_model)[0])[0]
    return [(first, bias), *(_floats(layer) for layer in linears(model.combined_model))]
