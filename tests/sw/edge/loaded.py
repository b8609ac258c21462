"""What an edge unit is loaded with, part by part, read off the beats that load it and the layers' plans."""

import re

import numpy as np

from microduet_hw.edge.check import sum_unit
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import CONSTANTS
from microduet_hw.image import CHUNK_BYTES
from microduet_hw.layout import plan_layer
from microduet_hw.loader import Target
from microduet_hw.pe import PAIR_BITS


def rows_of(config: EdgeConfig, beats: np.ndarray, part: str) -> list[np.ndarray]:
    """The rows of a part as the beats that load them, (chunks, 64) bytes each."""
    raw = beats.view(np.uint8).reshape(-1, 64)
    rows = np.split(raw, np.flatnonzero(raw[:, 63])[:-1] + 1)
    named = re.fullmatch(r"(weights|parameters) of layer (\d+) of the (\w+) MLP", part)
    if named is None:
        name = part.split()[-2]
        unit = 0 if part.startswith("constants") else sum_unit(list(config.stacks).index(name))
        return [row for row in rows if row[0, 62] == Target.MODEL and unit_of(row) == unit]
    kind, layer, stack = named[1], int(named[2]), config.stacks[named[3]]
    assert stack is not None
    target, shift = (Target.WEIGHTS, PAIR_BITS + 1) if kind == "weights" else (Target.PARAMETERS, 0)
    plans = [plan_layer(stack, number) for number in range(len(stack.layers))]
    counts = [plan.rounds * plan.steps if shift else sum(map(len, plan.drains)) for plan in plans]
    numbers = range(sum(counts[:layer]), sum(counts[: layer + 1]))
    own = [row for row in rows if row[0, 62] == target and row[0, 56] in numbers]
    return [row for row in own if unit_of(row) >> shift == list(config.stacks).index(named[3])]


def unit_of(row: np.ndarray) -> int:
    return int(row[0, 59]) | int(row[0, 60]) << 8


def bits_of(config: EdgeConfig, part: str) -> int:
    """Bits at the beginning of each row of a part that the unit keeps."""
    if part.startswith("weights"):
        stack = config.stacks[part.split()[-2]]
        assert stack is not None
        return stack.lanes * stack.precision.width
    return CONSTANTS.size if part.startswith("constants") else 32


def flipped(row: np.ndarray, bit: int) -> np.ndarray:
    """The beats that write a row with one bit of its data the other way."""
    changed = row.copy()
    changed[bit // (8 * CHUNK_BYTES), bit // 8 % CHUNK_BYTES] ^= 1 << bit % 8
    return changed.view("<u4")


def parts(config: EdgeConfig) -> list[str]:
    """All that is loaded, by name."""
    named = ["constants of the model"]
    for name, stack in config.stacks.items():
        if stack is None:
            continue
        layers = range(len(stack.layers))
        named += [f"parameters of layer {k} of the {name} MLP" for k in layers]
        own = [f"weights of layer {k} of the {name} MLP" for k in layers]
        named += [f"streamed weights of the {name} MLP"] if stack.streamed else own
    return named
