"""The whole edge unit in plain integers: what each message does, and what a query answers."""

from collections.abc import Sequence

import numpy as np

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.model import EdgeModel
from microduet_hw.edge.quantiser import QuantiserShape
from microduet_hw.edge.reference import HistoryReference
from microduet_hw.image import split_multiplier
from microduet_hw.quantised import QuantisedLayer
from microduet_hw.reference import array_outputs
from microduet_hw.stack import Stack


class EdgeReference:
    """A unit and its user.

    Parameters
    ----------
    config, model : of the unit

    Members
    -------
    histories : of the user
    """

    def __init__(self, config: EdgeConfig, model: EdgeModel) -> None:
        self._config, self._model = config, model
        self.histories = HistoryReference(config)

    def static(self, inputs: Sequence[int]) -> list[int]:
        """The static bottom MLP's outputs, what the memoisation register keeps, from its inputs."""
        return _outputs(self._config.static, self._model.static, inputs)

    def vector(self, *, static: Sequence[int], context: Sequence[int]) -> list[int]:
        """What the user top MLP reads now.

        Parameters
        ----------
        static : outputs of the static bottom MLP
        context : inputs of the dynamic one
        """
        dynamic = _outputs(self._config.dynamic, self._model.dynamic, context)
        pooled = self._quantised(self.histories.sums(), self._model.pooled_multiplier)
        return pooled + self._quantised([*static, *dynamic], self._model.bottom_multiplier)

    def payload(self, *, static: Sequence[int], context: Sequence[int]) -> list[int]:
        """The user vector for the histories as they are now; arguments as those of `vector`."""
        return _outputs(self._config.top, self._model.top, self.vector(static=static, context=context))

    def _quantised(self, values: Sequence[int], multiplier: np.float32) -> list[int]:
        mantissa, exponent = split_multiplier(multiplier)
        zero_point = self._model.zero_point
        return [
            QuantiserShape.compute(value, mantissa=mantissa, exponent=exponent, zero_point=zero_point)
            for value in values
        ]


def _outputs(stack: Stack | None, layers: Sequence[QuantisedLayer], inputs: Sequence[int]) -> list[int]:
    if stack is None:
        return []
    (outputs,) = array_outputs(stack, layers, np.array([list(inputs)], object))
    return [int(value) for value in outputs]
