"""What of a model of DLRM's form the datacentre's engine computes: all of it, or the item's part; plain data."""

from microduet.duet.shape import DlrmShape
from microduet.duet.split import Split, parts
from microduet.errors import ModelError
from microduet.shape import ModelShape, UserEntry, concatenated, perceptron
from microduet_hw.config import Feature, Layer, Payload


def whole_shape(shape: DlrmShape) -> ModelShape:
    """The uncut model; raises ModelError if no hidden layer joins features and bottom MLP.

    Two outputs, scored by their softmax, are one: the difference of both.
    """
    if shape.bottom and len(shape.top) < 2:
        raise ModelError(
            f"{shape.name}: an engine with a bottom MLP needs a hidden layer behind it, not only {shape.top}"
        )
    bottom = tuple(layer.replace(relu=True) for layer in perceptron(shape.dense, shape.bottom[1:]))
    *hidden, output = perceptron(shape.top_inputs, (*shape.top[:-1], 1))
    return ModelShape(
        name=shape.name,
        features=_features(shape, range(len(shape.features))),
        dense=shape.dense,
        dense_position=shape.elements(range(len(shape.features))) if bottom else 0,
        hidden=(*bottom, *hidden),
        output=output,
        bottom=len(bottom),
    )


def item_shape(shape: DlrmShape, split: Split) -> ModelShape:
    """The item's part and the combined layers of `shape` cut by `split`: a model of the item's features alone.

    ``duet``: users come into the first combined layer, as vectors of the user top MLP's width. ``exact``: into the
    first layer, as its sums.
    """
    widths = parts(shape, split)
    exact = split.kind == "exact"
    cut = 0 if exact else len(widths.item_top) - 1
    sizes = (*widths.item_top, *widths.combined[1:-1], 1)
    *hidden, output = perceptron(sizes[0], sizes[1:])
    return ModelShape(
        name=f"{shape.name}-{split.kind}",
        features=_features(shape, shape.item_features),
        hidden=tuple(hidden),
        output=output,
        user=UserEntry(
            layer=cut,
            payload=Payload.SUMS if exact else Payload.VECTOR,
            elements=widths.user_top[-1],
        ),
    )


def user_shape(shape: DlrmShape) -> ModelShape:
    """The user's side of an exact split: his features, the bottom MLP, and the sums of the first top layer."""
    bottom = tuple(layer.replace(relu=True) for layer in perceptron(shape.dense, shape.bottom[1:]))
    elements = shape.elements(shape.user.features)
    return ModelShape(
        name=f"{shape.name}-user",
        features=_features(shape, shape.user.features),
        dense=shape.dense,
        dense_position=elements if bottom else 0,
        hidden=bottom,
        output=Layer(inputs=elements + shape.bottom_outputs, outputs=shape.top[0], relu=False),
        bottom=len(bottom),
    )


def _features(shape: DlrmShape, numbers: range | tuple[int, ...]) -> tuple[Feature, ...]:
    listed = [(shape.tables[shape.features[k].table].rows, shape.dim(k), shape.features[k].lookups) for k in numbers]
    return concatenated(listed)
