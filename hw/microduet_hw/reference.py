"""The engine in plain integers: slow, exact, and sharing nothing with the golden model."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig, Precision
from microduet_hw.image import split_multiplier
from microduet_hw.layout import Layers
from microduet_hw.output_layer import output_layer_shape
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.quantised import QuantisedLayer, QuantisedModel
from microduet_hw.requantiser import RequantiserShape
from microduet_hw.sigmoid import sigmoid_reference


def layer_outputs(
    shape: RequantiserShape,
    layer: QuantisedLayer,
    inputs: npt.NDArray[np.object_],
    parts: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.object_]:
    """Outputs of one layer: integers of any size (items, outputs) from (items, inputs).

    Parameters
    ----------
    parts : what the sums of inputs as they are begin with, int64 (items, outputs), if not the layer's own bias
    """
    weights = layer.weights.astype(object).T
    if parts is None:
        totals = (inputs - layer.input_zero_point) @ weights + layer.bias.astype(object)
    else:
        half = 1 << shape.bias_bits - 1
        totals = (inputs @ weights + parts.astype(object) + half) % (2 * half) - half
    result = np.empty_like(totals)
    for output in range(totals.shape[1]):
        mantissa, shift = (0, layer.shift) if layer.multiplier is None else split_multiplier(layer.multiplier[output])
        result[:, output] = [
            shape.compute(
                int(total), shift=shift, relu=layer.relu, mantissa=mantissa, zero_point=layer.output_zero_point
            )
            for total in totals[:, output]
        ]
    return result


def array_outputs(
    config: Layers,
    quantised: Sequence[QuantisedLayer],
    vectors: npt.NDArray[np.object_],
    parts: Mapping[int, npt.NDArray[np.int64]] | None = None,
) -> npt.NDArray[np.object_]:
    """Outputs of the last layer that an array computes, integers of any size, from input vectors.

    Parameters
    ----------
    parts : by number of a layer, as `layer_outputs`
    """
    values, beside = vectors[:, : config.sections[0]], vectors[:, config.sections[0] :]
    for array in config.arrays:
        shape = pe_array_shape(config, array).drain.requantiser
        for number in array.layers:
            if number and number == config.bottom:
                values = np.concatenate([beside, values], axis=1)
            values = layer_outputs(shape, quantised[number], values, (parts or {}).get(number))
    return values


def scores(
    config: EngineConfig,
    model: QuantisedModel,
    vectors: npt.NDArray[np.int64],
    parts: npt.NDArray[np.int64] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Logits and scores (fractions of 2^16) of assembled vectors, int64 (items, elements) in the model's order.

    With a bottom MLP that is the dense elements, then the features.

    Parameters
    ----------
    parts : of every item, its user's part of the sums of layer `config.user.layer`, int64 (items, outputs)
    """
    begun = {config.user.layer: parts} if config.user and parts is not None else {}
    values = array_outputs(config, model.layers, vectors.astype(object), begun)
    last = begun.get(len(config.hidden))
    logits = layer_outputs(output_layer_shape(config).requantiser, model.layers[-1], values, last)[:, 0]
    extra = config.precision.logit_width - Precision.FIXED16.width
    fraction = model.logit_fraction - extra
    result = [sigmoid_reference(int(logit) >> extra, fraction) if config.sigmoid else 0 for logit in logits]
    return logits.astype(np.int64), np.array(result, np.int64)
