"""Quantised user model: plain numpy arrays in the model's own order, before any packing."""

from dataclasses import dataclass

import numpy as np

from microduet_hw.quantised import QuantisedLayer


@dataclass(frozen=True, kw_only=True)
class EdgeModel:
    """What an edge unit is loaded with.

    The user top MLP reads ``clip(rint(f32(v) m) + zero_point)`` of every element v of its vector, in single precision,
    with m `pooled_multiplier` for sums of histories and `bottom_multiplier` for outputs of the bottom MLPs.

    Members
    -------
    version : uint32, of the model; messages of another one are refused
    static, dynamic : fixed16 layers, empty for a model without
    top : int8 layers
    pooled_multiplier, bottom_multiplier : float32, 2^-fraction / scale, at least 2^-40 and below 1
    zero_point : of the top MLP's input, 0 to 255
    payload_scale : float32, of the top MLP's output; its zero point is that of the last layer
    """

    version: int
    static: tuple[QuantisedLayer, ...]
    dynamic: tuple[QuantisedLayer, ...]
    top: tuple[QuantisedLayer, ...]
    pooled_multiplier: np.float32
    bottom_multiplier: np.float32
    zero_point: int
    payload_scale: np.float32
