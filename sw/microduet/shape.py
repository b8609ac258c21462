"""What the compiler needs to know of a model before it knows a single weight."""

import itertools

from microduet_hw.config import Feature, Frozen, Layer


class ModelShape(Frozen, frozen=True, kw_only=True):
    """Features, dense inputs and layers of a model, in the order in which the model concatenates them.

    Members
    -------
    features : one per sparse feature, in the order of the columns of `sparse`
    dense, dense_position : width of the dense features and where they stand in the concatenated vector
    hidden, output : the fully connected layers
    sigmoid : whether the score is the sigmoid of the logit
    """

    name: str
    features: tuple[Feature, ...]
    dense: int = 0
    dense_position: int = 0
    hidden: tuple[Layer, ...]
    output: Layer
    sigmoid: bool = True

    @property
    def vector_elements(self) -> int:
        """Elements of the concatenated vector."""
        return sum(feature.dim for feature in self.features) + self.dense

    @property
    def lookups(self) -> int:
        """Columns of `sparse`."""
        return sum(feature.lookups for feature in self.features)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Hidden layers and the output layer."""
        return (*self.hidden, self.output)

    @property
    def macs(self) -> int:
        """Multiplications of the hidden layers for one item."""
        return sum(layer.inputs * layer.outputs for layer in self.hidden)


def concatenated(tables: list[tuple[int, int, int]]) -> tuple[Feature, ...]:
    """Features of `tables` (rows, dim, lookups), each right after the one before it."""
    ends = list(itertools.accumulate(dim for _, dim, _ in tables))
    return tuple(
        Feature(rows=rows, dim=dim, lookups=lookups, position=end - dim)
        for (rows, dim, lookups), end in zip(tables, ends, strict=True)
    )


def perceptron(inputs: int, widths: tuple[int, ...]) -> tuple[Layer, ...]:
    """Fully connected layers of `widths` outputs after `inputs` elements, ReLU on all but the last."""
    sizes = (inputs, *widths)
    last = len(widths) - 1
    return tuple(
        Layer(inputs=before, outputs=after, relu=k < last)
        for k, (before, after) in enumerate(itertools.pairwise(sizes))
    )
