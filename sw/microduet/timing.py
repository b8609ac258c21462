"""An estimate, before any simulation, of how items follow each other through an arrangement of arrays."""

import itertools
import math

from microduet_hw.config import Array, Layer
from microduet_hw.layout import round_drain

DRAIN_CYCLES = 12
"""Engine cycles from the last step of a round to its first word in the next buffer: memory, tree, requantiser."""
LOOKUP_CYCLES = 30
"""Engine cycles from the first beat to the vector at the first layer: a page miss of HBM (138 ns), two crossings."""
OUTPUT_CYCLES = 18
"""Engine cycles from the last word of the output layer to the result: tree, requantiser, sigmoid table."""


class Estimate:
    """Times of consecutive items, in engine cycles.

    Parameters
    ----------
    arrays, hidden : the arrangement and the layers it computes
    elements : of the concatenated vector
    """

    def __init__(self, *, arrays: tuple[Array, ...], hidden: tuple[Layer, ...], elements: int) -> None:
        self._drains = [[_drains(array, outputs=hidden[number].outputs) for number in array.layers] for array in arrays]
        self._words = math.ceil(elements / (arrays[0].lanes if arrays else 16))
        self._busy = [0] * (len(arrays) + 1)

    def item(self, arrival: int) -> int:
        """Cycle at which the next item's result leaves, if its whole vector is there at `arrival`."""
        words = [arrival] * self._words
        for number, layers in enumerate(self._drains):
            now = self._busy[number]
            for rounds in layers:
                out: list[int] = []
                for places in rounds:
                    for ready in words:
                        now = max(now, ready) + 1
                    out += [now + DRAIN_CYCLES + place for place in places]
                words = out
            self._busy[number] = now
        now = self._busy[-1]
        for ready in words:
            now = max(now, ready) + 1
        self._busy[-1] = now
        return now + OUTPUT_CYCLES


def idle_latency(*, arrays: tuple[Array, ...], hidden: tuple[Layer, ...], elements: int) -> int:
    """Estimated engine cycles from an item's first beat to its result, nothing else in flight."""
    return LOOKUP_CYCLES + Estimate(arrays=arrays, hidden=hidden, elements=elements).item(0)


def cycles_per_item(*, arrays: tuple[Array, ...], hidden: tuple[Layer, ...], elements: int) -> int:
    """Estimated engine cycles from result to result when vectors are always there."""
    estimate = Estimate(arrays=arrays, hidden=hidden, elements=elements)
    ends = [estimate.item(0) for _ in range(6)]
    return max(after - before for before, after in itertools.pairwise(ends[2:]))


def _drains(array: Array, *, outputs: int) -> list[list[int]]:
    """Per round, the drain steps (from 0) that complete a word."""
    rounds = math.ceil(outputs / array.pes)
    result: list[list[int]] = []
    for number in range(rounds):
        count = min(array.pes, outputs - number * array.pes)
        steps = round_drain(array, outputs=count, number=number, last=number == rounds - 1)
        result.append([place for place, step in enumerate(steps) if step.emits])
    return result
