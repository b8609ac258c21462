"""An estimate, before any simulation, of how items follow each other through an arrangement of arrays."""

import itertools
import math

from microduet.shape import ModelShape
from microduet_hw.config import Array, Precision
from microduet_hw.layout import round_drain
from microduet_hw.places import ISSUE_TO_CAPTURE
from microduet_hw.requantiser import latency

DRAIN_CYCLES = ISSUE_TO_CAPTURE + 1
"""Engine cycles, beside the requantiser's, from the end of a round's last step until its first word can be read."""
LOOKUP_CYCLES = 30
"""Engine cycles from the first beat to the vector at the first layer: a page miss of HBM (138 ns), two crossings."""
OUTPUT_CYCLES = 10
"""Engine cycles, beside the requantiser's, from the last word of the output layer to the result."""


class Estimate:
    """Times of consecutive items, in engine cycles.

    Parameters
    ----------
    shape, arrays : the model and the arrangement that computes its hidden layers
    """

    def __init__(self, shape: ModelShape, *, arrays: tuple[Array, ...], precision: Precision) -> None:
        self._requantiser = latency(precision)
        self._drains = [
            [(number, _drains(array, outputs=shape.hidden[number].outputs)) for number in array.layers]
            for array in arrays
        ]
        lanes = arrays[0].lanes if arrays else 16
        self._words = first_words(shape, lanes)
        self._joined = joined_words(shape, lanes)
        self._busy = [0] * (len(arrays) + 1)

    def item(self, arrival: int, *, alone: bool = True) -> int:
        """Cycle at which the next item's result leaves, if its whole vector is there at `arrival`.

        Parameters
        ----------
        alone : no other item's layers are there to take turns with on an array with a bottom MLP
        """
        words = [arrival] * self._words
        for number, layers in enumerate(self._drains):
            now = self._busy[number]
            waits = alone or number > 0 or not self._joined[0]
            for layer, rounds in layers:
                if layer == self._joined[0]:
                    words = [arrival] * self._joined[1] + words
                out: list[int] = []
                for places in rounds:
                    for ready in words:
                        now = (max(now, ready) if waits else now) + 1
                    out += [now + DRAIN_CYCLES + self._requantiser + place for place in places]
                words = out
            self._busy[number] = now
        now = self._busy[-1]
        for ready in words:
            now = max(now, ready) + 1
        self._busy[-1] = now
        return now + OUTPUT_CYCLES + self._requantiser

    def idle_latency(self) -> int:
        """Engine cycles from an item's first beat to its result; for an estimate that has seen no item."""
        return LOOKUP_CYCLES + self.item(0)

    def cycles_per_item(self) -> int:
        """Engine cycles from result to result when vectors are always there."""
        ends = [self.item(0, alone=False) for _ in range(6)]
        return max(after - before for before, after in itertools.pairwise(ends[2:]))


def first_words(shape: ModelShape, lanes: int) -> int:
    """Words of `lanes` elements of the first layer's input."""
    return math.ceil((shape.dense if shape.bottom else shape.vector_elements) / lanes)


def joined_words(shape: ModelShape, lanes: int) -> tuple[int, int]:
    """The layer that reads the features in front of a bottom MLP's outputs, and their words; (0, 0) without one."""
    return (shape.bottom, math.ceil(shape.feature_elements / lanes)) if shape.bottom else (0, 0)


def _drains(array: Array, *, outputs: int) -> list[list[int]]:
    """Per round, the drain steps (from 0) that complete a word."""
    rounds = math.ceil(outputs / array.pes)
    result: list[list[int]] = []
    for number in range(rounds):
        count = min(array.pes, outputs - number * array.pes)
        steps = round_drain(array, outputs=count, number=number, last=number == rounds - 1)
        result.append([place for place, step in enumerate(steps) if step.emits])
    return result
