"""A model's layers in fixed point, 16 or 32 bits: one power of two per tensor."""

import dataclasses

import numpy as np
import numpy.typing as npt

from microduet.fold_user import UserScale, fixed_user_layer
from microduet.quantisation import InputQuantisation
from microduet.quantise_layer import SIGMOID_FRACTIONS, fixed_layer, fraction, output_fraction
from microduet.quantised import Quantised, Ranges
from microduet.traced import TracedModel
from microduet_hw.config import Precision
from microduet_hw.quantised import QuantisedLayer, QuantisedModel, UserWeights


def quantise_fixed(
    model: TracedModel, ranges: Ranges, *, precision: Precision, scale: UserScale | None = None
) -> Quantised:
    """Integers of `model`, whose values were in `ranges`; `scale` is that of its user vectors.

    Features and the outputs of a bottom MLP enter one layer: they share the larger one's scale.
    """
    width, bottom = precision.width, model.shape.bottom
    # The lowest code is a power of two, so a table that reaches -1 keeps all its bits; +1 would lose half a unit.
    common = fraction(ranges.features, 1 << (width - 1), width - 1)
    dense = fraction(ranges.dense, 1 << (width - 1), width - 1)
    if bottom:
        common = min(common, output_fraction(ranges.outputs[bottom - 1], width))
    while True:
        chain = _Chain(model=model, ranges=ranges, precision=precision, common=common, dense=dense, scale=scale)
        chain.run()
        if not bottom or chain.fractions[bottom - 1] == common:
            break
        common = chain.fractions[bottom - 1]
    source = InputQuantisation(precision=precision, fraction=common)
    return Quantised(
        model=QuantisedModel(layers=tuple(chain.layers), logit_fraction=chain.fractions[-1]),
        input=source,
        dense=source.replace(fraction=dense) if bottom else source,
        steps=tuple(2.0**-places for places in chain.fractions),
        weight_steps=tuple(chain.weight_steps),
        user=chain.user,
    )


@dataclasses.dataclass(kw_only=True)
class _Chain:
    """The layers, one after the other."""

    model: TracedModel
    ranges: Ranges
    precision: Precision
    common: int
    dense: int
    scale: UserScale | None
    layers: list[QuantisedLayer] = dataclasses.field(default_factory=list[QuantisedLayer])
    fractions: list[int] = dataclasses.field(default_factory=list[int])
    weight_steps: list[npt.NDArray[np.float64]] = dataclasses.field(default_factory=list[npt.NDArray[np.float64]])
    user: UserWeights | None = None

    def run(self) -> None:
        """Quantise every layer."""
        for number in range(len(self.model.weights)):
            layer, own, after = self._layer(number)
            self.layers.append(layer)
            self.weight_steps.append(np.full(len(layer.weights), 2.0**-own))
            self.fractions.append(after)

    def _layer(self, number: int) -> tuple[QuantisedLayer, int, int]:
        model, shape, width = self.model, self.model.shape, self.precision.width
        relu, places = shape.layers[number].relu, (self._before(number), self._after(number))
        weight, bias = model.weights[number], model.biases[number]
        if self.scale is None or model.user_weights is None or shape.user is None or shape.user.layer != number:
            return fixed_layer(weight, bias, relu=relu, width=width, before=places[0], after=places[1])
        layer, own, after, self.user = fixed_user_layer(
            (weight, bias, model.user_weights),
            relu=relu,
            places=places,
            scale=self.scale,
            width=width,
            accumulator=self.precision.accumulator_width(max(layer.inputs for layer in shape.layers)),
        )
        return layer, own, after

    def _before(self, number: int) -> int:
        bottom = self.model.shape.bottom
        if number == bottom:
            return self.common
        return self.fractions[-1] if number else self.dense

    def _after(self, number: int) -> int:
        """Fraction bits that the outputs of a layer should have."""
        shape, bits = self.model.shape, self.precision.width
        if shape.bottom and number == shape.bottom - 1:
            return self.common
        if number < len(shape.hidden):
            return output_fraction(self.ranges.outputs[number], bits)
        bits = self.precision.logit_width
        after = output_fraction(self.ranges.outputs[number], bits)
        if not shape.sigmoid:
            return after
        least, most = (limit + bits - 16 for limit in SIGMOID_FRACTIONS)
        return min(max(after, least), most)
