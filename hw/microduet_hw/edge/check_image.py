"""Check beats of an edge unit: what it is asked to read, and what it finds if nothing of it has changed."""

from collections.abc import Iterator

from microduet_hw.check_image import Check, array_parts, read_checks
from microduet_hw.edge.arrays import array_shape
from microduet_hw.edge.check import checked_memories
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.image import load_beats
from microduet_hw.edge.model import EdgeModel
from microduet_hw.loader import Target
from microduet_hw.stack import Stack
from microduet_hw.weight_check import CheckedMemory


def weight_checks(config: EdgeConfig, model: EdgeModel) -> list[Check]:
    """The constants, and weights and parameters of every MLP, layer by layer; streamed weights are a part of their own.

    Of these is found what `again_beats` had the unit read, or a query since. ValueError if something does not fit.
    """
    return read_checks(
        load_beats(config, model),
        checked_memories(config),
        element=lambda memory: array_shape(_stack(config, memory)[1]).pe,
        parts=lambda memory: _parts(config, memory),
    )


def _stack(config: EdgeConfig, memory: CheckedMemory) -> tuple[str, Stack]:
    """Name and stack of the array that has weights or parameters in `memory`."""
    name, stack = list(config.stacks.items())[memory.unit]
    assert stack is not None, f"the unit has no {name} array"
    return name, stack


def _parts(config: EdgeConfig, memory: CheckedMemory) -> Iterator[tuple[str, slice]]:
    if memory.target is Target.MODEL:
        name = list(config.stacks)[memory.unit - 1]
        yield f"streamed weights of the {name} MLP" if memory.unit else "constants of the model", slice(None)
        return
    name, stack = _stack(config, memory)
    for part, rows in array_parts(stack, stack.arrays[0], memory):
        yield f"{part} of the {name} MLP", rows
