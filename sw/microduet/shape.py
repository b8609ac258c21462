"""What the compiler needs to know of a model before it knows a single weight."""

import itertools
import typing

from microduet_hw.config import EngineConfig, Feature, Frozen, Layer, Payload, UserPart


class UserEntry(Frozen, frozen=True, kw_only=True):
    """Where user vectors enter a model of items: the sums of layer `layer` begin with the user's part.

    Members
    -------
    layer : of `ModelShape.layers`; its `inputs` are the item's alone
    payload, elements : what a user vector is, and how long
    """

    layer: int
    payload: Payload
    elements: int


class ModelShape(Frozen, frozen=True, kw_only=True):
    """Features, dense inputs and layers of a model, in the order in which the model concatenates them.

    Members
    -------
    features : one per sparse feature, in the order of the columns of `sparse`
    dense, dense_position : width of the dense features and where they stand in the concatenated vector
    hidden, output : the fully connected layers
    sigmoid : whether the score is the sigmoid of the logit
    bottom : hidden layers that are a bottom MLP: the first reads the dense inputs, the layer behind them the features,
        then their outputs; the dense inputs then stand behind all features. 0: there is none
    user : where user vectors enter; None for a model that needs none
    """

    name: str
    features: tuple[Feature, ...]
    dense: int = 0
    dense_position: int = 0
    hidden: tuple[Layer, ...]
    output: Layer
    sigmoid: bool = True
    bottom: int = 0
    user: UserEntry | None = None

    @classmethod
    def of(cls, config: EngineConfig, *, name: str | None = None) -> typing.Self:
        """The model that an engine computes; its features are the physical tables."""
        user = config.user
        return cls(
            name=name or config.name,
            features=config.features,
            dense=config.dense,
            dense_position=config.feature_elements if config.bottom else config.dense_position,
            hidden=config.hidden,
            output=config.output,
            sigmoid=config.sigmoid,
            bottom=config.bottom,
            user=user and UserEntry(layer=user.layer, payload=user.payload, elements=user.elements),
        )

    @property
    def feature_elements(self) -> int:
        """Elements of all features."""
        return sum(feature.dim for feature in self.features)

    @property
    def vector_elements(self) -> int:
        """Elements of the concatenated vector."""
        return self.feature_elements + self.dense

    @property
    def user_part(self) -> UserPart | None:
        """How an engine takes user vectors in, unless something else is asked for."""
        if self.user is None:
            return None
        return UserPart(layer=self.user.layer, payload=self.user.payload, elements=self.user.elements)

    @property
    def pooled(self) -> bool:
        """Whether a feature sums several rows."""
        return any(feature.lookups > 1 for feature in self.features)

    def reads(self, layer: int) -> tuple[slice, bool]:
        """Columns of the vector that a layer reads, and whether it reads the layer before it, behind them."""
        if self.bottom and layer == 0:
            return slice(self.feature_elements, self.vector_elements), False
        if layer == self.bottom:
            return slice(0, self.feature_elements if self.bottom else self.vector_elements), layer > 0
        return slice(0, 0), True

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
