"""Which output leaves a PeArray when: the order that weights, parameters and the next layer's inputs share.

A round of P outputs leaves an array R at a time. PE ``p = j R + i`` is place j of chain i, so drain step j carries
PEs j R .. j R + R - 1. The P mod R outputs that do not fill a step (the leftover) are gathered over
``R // (P mod R)`` rounds into one word, side by side. So a layer of O outputs becomes
``rounds x (P // R) + ceil(rounds / gathered)`` words, and no word but the leftover ones has holes. With fewer PEs than
lanes, P < R, a round is all leftover.

With a bottom MLP the layer behind it has two inputs side by side: a section of the vector, then the bottom's outputs.
"""

import math
from typing import Protocol

import numpy as np

from microduet_hw.config import Array, Frozen, Layer, Precision

HOLE = -1
"""Stands for "no output" in an order."""


class Layers(Protocol):
    """What the order of weights and words depends on: an `EngineConfig` or a `Stack`."""

    @property
    def precision(self) -> Precision:
        """Arithmetic of all layers."""
        ...

    @property
    def streamed(self) -> bool:
        """Whether weights come from memory, a row of all PEs per step."""
        ...

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """Layers that arrays compute."""
        ...

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays, in the order of their layers."""
        ...

    @property
    def sections(self) -> tuple[int, ...]:
        """Elements of the vector's sections; the first layer reads the first, layer `bottom` the second."""
        ...

    @property
    def bottom(self) -> int:
        """Layers of the bottom MLP, whose outputs the layer behind them reads after a section of the vector."""
        ...

    @property
    def input_lanes(self) -> int:
        """Elements of a word of the vector."""
        ...

    @property
    def accumulator_width(self) -> int:
        """Bits that hold any sum of products and its bias."""
        ...


class DrainStep(Frozen, frozen=True, kw_only=True):
    """One step of a round's drain: PEs `first_pe` .. `first_pe + lanes - 1`; a leftover lands at lane `lane`."""

    first_pe: int
    lanes: int
    leftover: bool
    lane: int
    emits: bool
    """Whether a word is complete after this step."""


class LayerPlan(Frozen, frozen=True, kw_only=True):
    """How one hidden layer runs on its array.

    `steps` input words per round, `rounds` rounds; `drains[r]` are the steps in which round r leaves.
    """

    layer: int
    steps: int
    rounds: int
    drains: tuple[tuple[DrainStep, ...], ...]

    @property
    def words(self) -> int:
        """Words of the next layer's input."""
        return sum(step.emits for drain in self.drains for step in drain)


def round_drain(array: Array, *, outputs: int, number: int, last: bool) -> tuple[DrainStep, ...]:
    """Drain steps of round `number`, which computes `outputs` (1 to P) outputs."""
    full, leftover = divmod(array.pes, array.drain)
    gathered = array.drain // leftover if leftover else 1
    used = min(full, math.ceil(outputs / array.drain))
    steps = [
        DrainStep(first_pe=j * array.drain, lanes=array.drain, leftover=False, lane=0, emits=True) for j in range(used)
    ]
    place = number % gathered
    if leftover and (outputs > full * array.drain or (last and place)):
        emits = last or place == gathered - 1
        first = used * array.drain
        steps += [DrainStep(first_pe=first, lanes=leftover, leftover=True, lane=place * leftover, emits=emits)]
    return tuple(steps)


def plan_layer(config: Layers, number: int) -> LayerPlan:
    """The plan of hidden layer `number`."""
    array, layer = array_of(config, number), config.hidden[number]
    rounds = math.ceil(layer.outputs / array.pes)
    counts = [min(array.pes, layer.outputs - r * array.pes) for r in range(rounds)]
    drains = tuple(round_drain(array, outputs=count, number=r, last=r == rounds - 1) for r, count in enumerate(counts))
    return LayerPlan(layer=number, steps=input_words(config, number), rounds=rounds, drains=drains)


def section_words(config: Layers, section: int) -> int:
    """Words in which section `section` of the vector comes."""
    return math.ceil(config.sections[section] / config.input_lanes)


def vector_words(config: Layers) -> tuple[range, ...]:
    """Which elements of the vector come in each of its words; each section begins with a word."""
    result: list[range] = []
    first = 0
    for elements in config.sections:
        words = range(first, first + elements)
        result += [words[k : k + config.input_lanes] for k in range(0, elements, config.input_lanes)]
        first += elements
    return tuple(result)


def input_words(config: Layers, layer: int) -> int:
    """Words of the input of layer `layer`; the output layer is number ``len(config.hidden)``."""
    if layer == 0:
        return section_words(config, 0)
    return plan_layer(config, layer - 1).words + (section_words(config, 1) if layer == config.bottom else 0)


def array_of(config: Layers, layer: int) -> Array:
    """The array that computes hidden layer `layer`."""
    return next(array for array in config.arrays if layer in array.layers)


def input_order(config: Layers, layer: int) -> np.ndarray:
    """Which input stands where: int (words, lanes), element (k, i) is the input in lane i of word k, or HOLE."""
    if layer == 0:
        return _section_order(config, 0)
    order = _output_order(config, layer - 1)
    if layer != config.bottom:
        return order
    return np.concatenate([_section_order(config, 1), np.where(order == HOLE, HOLE, config.sections[1] + order)])


def _section_order(config: Layers, section: int) -> np.ndarray:
    """The elements of a section, numbered from 0, in the words in which they come."""
    elements = config.sections[section]
    order = np.full((section_words(config, section), config.input_lanes), HOLE)
    order.flat[:elements] = np.arange(elements)
    return order


def _output_order(config: Layers, layer: int) -> np.ndarray:
    """The outputs of hidden layer `layer` in the words in which they leave."""
    array = array_of(config, layer)
    rows: list[np.ndarray] = []
    gathered = np.full(array.drain, HOLE)
    for outputs, steps in drain_order(config, layer):
        for step, row in zip(steps, outputs, strict=True):
            if not step.leftover:
                rows.append(row)
                continue
            gathered[step.lane : step.lane + step.lanes] = row[: step.lanes]
            if step.emits:
                rows.append(gathered)
                gathered = np.full(array.drain, HOLE)
    return np.stack(rows)


def drain_order(config: Layers, layer: int) -> list[tuple[np.ndarray, tuple[DrainStep, ...]]]:
    """Per round of hidden layer `layer`: int (drain steps, min(P, R)) of output numbers or HOLE, and the steps."""
    array = array_of(config, layer)
    result: list[tuple[np.ndarray, tuple[DrainStep, ...]]] = []
    for number, steps in enumerate(plan_layer(config, layer).drains):
        outputs = np.full((len(steps), array.requantised), HOLE)
        for k, step in enumerate(steps):
            first = number * array.pes + step.first_pe
            numbers = np.arange(first, first + step.lanes)
            outputs[k, : step.lanes] = np.where(numbers < config.hidden[layer].outputs, numbers, HOLE)
        result.append((outputs, steps))
    return result
