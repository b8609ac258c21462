"""A model's layers in int8: quint8 activations per tensor, qint8 weights per output channel."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from microduet.fold_user import UserScale, int8_user_layer
from microduet.quantisation import InputQuantisation
from microduet.quantise_layer import SIGMOID_FRACTIONS, check_accumulator, int8_layer, output_fraction, output_scale
from microduet.quantised import Quantised, Ranges
from microduet.traced import TracedModel
from microduet_hw.config import Precision
from microduet_hw.quantised import INPUT_ZERO_POINT, QuantisedLayer, QuantisedModel, UserWeights

Steps = tuple[QuantisedLayer, npt.NDArray[np.float64], float]


def quantise_int8(model: TracedModel, ranges: Ranges, *, scale: UserScale | None = None) -> Quantised:
    """Integers of `model`, whose values were in `ranges`; `scale` is that of its user vectors.

    Features and the outputs of a bottom MLP enter one layer: they share the larger one's scale, and zero point 128.
    """
    bottom = model.shape.bottom
    common, dense = _step(ranges.features), _step(ranges.dense)
    if bottom:
        common = max(common, _step(float(np.abs(ranges.outputs[bottom - 1]).max())))
    while True:
        chain = _Chain(model=model, ranges=ranges, common=common, dense=dense, scale=scale)
        chain.run()
        if not bottom or chain.steps[bottom - 1] == common:
            break
        common = chain.steps[bottom - 1]
    source = InputQuantisation(precision=Precision.INT8, scale=common)
    return Quantised(
        model=QuantisedModel(layers=tuple(chain.layers), logit_fraction=-round(math.log2(chain.steps[-1]))),
        input=source,
        dense=source.replace(scale=dense) if bottom else source,
        steps=tuple(chain.steps),
        weight_steps=tuple(chain.weight_steps),
        user=chain.user,
    )


def _step(largest: float) -> float:
    return float(np.float32((largest or 1.0) / 127))


@dataclasses.dataclass(kw_only=True)
class _Chain:
    """The layers, one after the other."""

    model: TracedModel
    ranges: Ranges
    common: float
    dense: float
    scale: UserScale | None
    layers: list[QuantisedLayer] = dataclasses.field(default_factory=list[QuantisedLayer])
    steps: list[float] = dataclasses.field(default_factory=list[float])
    weight_steps: list[npt.NDArray[np.float64]] = dataclasses.field(default_factory=list[npt.NDArray[np.float64]])
    user: UserWeights | None = None

    def run(self) -> None:
        """Quantise every layer."""
        for number in range(len(self.model.weights)):
            layer, own, after = self._layer(number)
            self.layers.append(layer)
            self.weight_steps.append(own)
            self.steps.append(after)

    def _layer(self, number: int) -> Steps:
        model, shape = self.model, self.model.shape
        step, zero_point = self._before(number)
        after, after_zero = self._after(number)
        relu, zero_points = shape.layers[number].relu, (zero_point, after_zero)
        weight, bias = model.weights[number], model.biases[number]
        if self.scale is None or model.user_weights is None or shape.user is None or shape.user.layer != number:
            layer, own, after = int8_layer(weight, bias, relu=relu, step=step, after=after, zero_points=zero_points)
            check_accumulator(layer, f"layer {number}")
            return layer, own, after
        layer, own, after, self.user = int8_user_layer(
            (weight, bias, model.user_weights),
            relu=relu,
            step=step,
            after=after,
            zero_points=zero_points,
            scale=self.scale,
            name=f"layer {number}",
        )
        return layer, own, after

    def _before(self, number: int) -> tuple[float, int]:
        bottom = self.model.shape.bottom
        if number in (0, bottom):
            return (self.common if number == bottom else self.dense), INPUT_ZERO_POINT
        return self.steps[-1], self.layers[-1].output_zero_point

    def _after(self, number: int) -> tuple[float, int]:
        """Scale and zero point that the outputs of a layer should have."""
        shape, outputs = self.model.shape, self.ranges.outputs[number]
        if shape.bottom and number == shape.bottom - 1:
            return self.common, INPUT_ZERO_POINT
        if number < len(shape.hidden):
            return output_scale(outputs, relu=shape.layers[number].relu)
        found = output_fraction(outputs, 16)
        if shape.sigmoid:
            found = min(max(found, SIGMOID_FRACTIONS[0]), SIGMOID_FRACTIONS[1])
        return 2.0**-found, 0
