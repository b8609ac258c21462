"""A quantised model, and the ranges of values that its scales were chosen for."""

import dataclasses

import numpy as np
import numpy.typing as npt

from microduet.quantisation import InputQuantisation
from microduet_hw.quantised import QuantisedModel, UserWeights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranges:
    """What a calibration batch showed.

    Members
    -------
    outputs : per layer float64 (items, outputs)
    features : the largest magnitude that the features' scale has to hold, and that of dense inputs beside them
    dense : the same of dense inputs that a bottom MLP reads
    """

    outputs: list[npt.NDArray[np.float64]]
    features: float
    dense: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantised:
    """A quantised model and what its integers stand for.

    Members
    -------
    model : weights in integers
    input, dense : scales of the features and of the dense inputs; one scale unless a bottom MLP reads the latter
    steps : per layer, what one unit of an output stands for; the last is the logit's
    weight_steps : per layer float64 (outputs,), what one unit of a weight stands for
    user : what user vectors add to a layer's sums; None for a model that takes none
    """

    model: QuantisedModel
    input: InputQuantisation
    dense: InputQuantisation
    steps: tuple[float, ...]
    weight_steps: tuple[npt.NDArray[np.float64], ...]
    user: UserWeights | None = None
