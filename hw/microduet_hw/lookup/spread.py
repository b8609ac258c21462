"""What is fixed about lookups in tables that are spread over all channels: lanes, steps and queues."""

import math
from typing import NamedTuple

from microduet_hw.config import EngineConfig
from microduet_hw.lookup.geometry import ITEM_WORDS, QUEUE_DEPTH


class SpreadStep(NamedTuple):
    """One cycle of dealing out an item."""

    takes: bool
    """Whether it is the first to see its beat."""
    first: int = 0
    """Its first word of the beat: lane k is given word first + k."""
    words: int = 0
    """How many lanes are given a word."""
    token: bool = False
    """Whether all lanes are given the token that ends a feature."""
    dense: int | None = None
    """Number of the beat of dense elements that this step hands on."""


def lanes(config: EngineConfig) -> int:
    """Lanes in which lookups go to their channels."""
    return min(ITEM_WORDS, 1 << config.spread)


def spread_schedule(config: EngineConfig, *, dense: int) -> tuple[SpreadStep, ...]:
    """The steps of dealing out an item with `dense` beats of dense elements."""
    width = lanes(config)
    steps = [SpreadStep(takes=True)]
    for feature in config.features:
        for lookup in range(0, feature.lookups, width):
            first = lookup % ITEM_WORDS
            steps.append(SpreadStep(takes=first == 0, first=first, words=min(width, feature.lookups - lookup)))
        steps.append(SpreadStep(takes=False, token=True))
    return (*steps, *(SpreadStep(takes=True, dense=number) for number in range(dense)))


def queue_depth(config: EngineConfig) -> int:
    """Lookups that may wait in front of a channel, so that others are a slot's items ahead: a power of two."""
    waiting = math.ceil(config.vector_slots * config.lookups / (1 << config.spread))
    return max(QUEUE_DEPTH, 1 << (waiting - 1).bit_length())
