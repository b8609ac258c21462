"""Quantised layers as arrays of an .npz file, and what the arrays do not say as records of a manifest."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microduet_hw.config import Frozen
from microduet_hw.quantised import QuantisedLayer

Arrays = Mapping[str, npt.NDArray[np.generic]]


class LayerRecord(Frozen, frozen=True, kw_only=True):
    """What an .npz file does not say of a layer."""

    relu: bool
    shift: int
    input_zero_point: int
    output_zero_point: int
    step: float
    """What one unit of an output stands for."""


def layer_records(layers: Sequence[QuantisedLayer], steps: Sequence[float]) -> tuple[LayerRecord, ...]:
    """Records of layers whose outputs' units stand for `steps`."""
    return tuple(
        LayerRecord(
            relu=layer.relu,
            shift=layer.shift,
            input_zero_point=layer.input_zero_point,
            output_zero_point=layer.output_zero_point,
            step=step,
        )
        for layer, step in zip(layers, steps, strict=True)
    )


def layer_arrays(
    layers: Sequence[QuantisedLayer], *, width: int, prefix: str = ""
) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of layers whose weights have `width` bits, by names that begin with `prefix`."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for number, layer in enumerate(layers):
        arrays[f"{prefix}weights_{number}"] = layer.weights.astype(f"<i{width // 8}")
        arrays[f"{prefix}bias_{number}"] = layer.bias.astype("<i8")
        if layer.multiplier is not None:
            arrays[f"{prefix}multiplier_{number}"] = layer.multiplier.astype("<f4")
    return arrays


def read_layers(arrays: Arrays, records: Sequence[LayerRecord], *, prefix: str = "") -> tuple[QuantisedLayer, ...]:
    """The layers that `layer_arrays` and `layer_records` took apart; raises KeyError if an array is missing."""
    return tuple(
        QuantisedLayer(
            weights=arrays[f"{prefix}weights_{k}"].astype(np.int64),
            bias=arrays[f"{prefix}bias_{k}"].astype(np.int64),
            multiplier=_multiplier(arrays, f"{prefix}multiplier_{k}"),
            relu=record.relu,
            shift=record.shift,
            input_zero_point=record.input_zero_point,
            output_zero_point=record.output_zero_point,
        )
        for k, record in enumerate(records)
    )


def _multiplier(arrays: Arrays, name: str) -> npt.NDArray[np.float32] | None:
    return arrays[name].astype(np.float32) if name in arrays else None
