"""How many vectors and results a stage holds: as many as keep its producer at the engine's own cycles per item.

A place is taken from the producer's reservation until the consumer is done with the vector. While items follow each
other every c cycles and each takes a place for t cycles, c cycles per item need t / c places.
"""

import math

from microduet_hw.activation import VECTORS
from microduet_hw.config import EngineConfig
from microduet_hw.layout import input_words, plan_layer
from microduet_hw.pe import ProcessingElement
from microduet_hw.requantiser import latency
from microduet_hw.sigmoid import Sigmoid

ISSUE_TO_CAPTURE = 2 + ProcessingElement.SUM_LATENCY - 1
"""Cycles from a step to the pairs' `capture` for it: buffer, operand register, sums."""
RESULTS = 8
"""Results that may wait for the output port, as a rule."""


def input_places(config: EngineConfig, number: int) -> int:
    """Vectors that the input buffer of array `number` holds, a power of two.

    A bottom MLP's buffers, whose vectors come in two sections, hold `VECTORS`.
    """
    if config.bottom and number == 0:
        return VECTORS
    plan = plan_layer(config, config.arrays[number].layers[0])
    now = 0
    coming = _words(config, number)
    for _ in range(plan.rounds):
        for ready in coming:
            now = max(now, ready + 1) + 1  # a word is read at the earliest in the cycle after it has come
    return _places(now, _cycles(config, number), least=VECTORS)


def result_places(config: EngineConfig) -> int:
    """Results that the output layer may have on their way and waiting, a power of two."""
    last = len(config.arrays)
    waits = config.user is not None and config.user.layer == len(config.hidden)
    begun = 1 if waits else _words(config, last)[-1] + ProcessingElement.SUM_LATENCY + 2
    taken = begun + latency(config.precision) + (Sigmoid.LATENCY if config.sigmoid else 0) + 2
    return _places(taken, 1 if waits else _cycles(config, last), least=RESULTS)


def _places(taken: int, cycles: int, *, least: int) -> int:
    """The least power of two of places, each `taken` for that many cycles, that lets an item pass every `cycles`."""
    return max(least, 1 << (math.ceil(taken / cycles) - 1).bit_length())


def _words(config: EngineConfig, number: int) -> list[int]:
    """Cycles from the reservation to each word towards array `number`, of an item that waits for nothing."""
    array = config.arrays[number] if number < len(config.arrays) else None
    first = array.layers[0] if array else len(config.hidden)
    if number == 0 or (config.user is not None and config.user.layer == first):
        return list(range(1, input_words(config, first) + 1))
    plan = plan_layer(config, first - 1)
    leaves = ISSUE_TO_CAPTURE + 1 + latency(config.precision)
    return [
        (turn + 1) * plan.steps - 1 + leaves + place
        for turn, drain in enumerate(plan.drains)
        for place, step in enumerate(drain)
        if step.emits
    ]


def busiest(config: EngineConfig) -> int:
    """Cycles that an item takes of the array or the output layer that is busy longest."""
    return max(_cycles(config, number) for number in range(len(config.arrays) + 1))


def _cycles(config: EngineConfig, number: int) -> int:
    """Cycles per item of what shares its pace with array `number`: the arrays on its side of where users come in."""
    layers = len(config.hidden)
    user = config.user.layer if config.user else 0
    here = config.arrays[number].layers[0] if number < len(config.arrays) else layers
    together = [array for array in config.arrays if (array.layers[0] >= user) == (here >= user)]
    cycles = [sum(p.rounds * p.steps for p in (plan_layer(config, k) for k in a.layers)) for a in together]
    words = [input_words(config, layers)] if here >= user or user == layers else []
    return max(1, *cycles, *words)
