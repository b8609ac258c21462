"""Edge units for tests: small ones, and those whose histories have the sizes of Duet's Table 4."""

from collections.abc import Sequence
from itertools import pairwise

from microduet_hw.config import Layer, Precision
from microduet_hw.edge.config import EdgeConfig, History
from microduet_hw.stack import Stack


def bottom(inputs: int, *hidden: int, outputs: int = 4) -> Stack:
    """A bottom MLP."""
    sizes = [inputs, *hidden, outputs]
    layers = tuple(Layer(inputs=i, outputs=o, relu=True) for i, o in pairwise(sizes))
    return Stack(precision=Precision.FIXED16, inputs=inputs, layers=layers, pes=2, lanes=4)


def small_edge(
    *histories: tuple[Sequence[int], int],
    lanes: int = 4,
    element_bits: int = 32,
    static: Stack | None = None,
    dynamic: Stack | None = None,
) -> EdgeConfig:
    """An edge unit with these histories, each its tables' dims and its slots, and a top MLP of one small layer."""
    groups = tuple(History(dims=tuple(dims), slots=slots) for dims, slots in histories)
    inputs = sum(history.elements for history in groups)
    inputs += sum(stack.outputs for stack in (static, dynamic) if stack is not None)
    return EdgeConfig(
        name="small",
        histories=groups,
        element_bits=element_bits,
        static=static,
        dynamic=dynamic,
        top=Stack(
            precision=Precision.INT8,
            inputs=inputs,
            layers=(Layer(inputs=inputs, outputs=lanes, relu=False),),
            pes=2,
            lanes=lanes,
        ),
    )


TABLE_4 = {
    "rm1": small_edge(((32,) * 6, 80), lanes=32),
    "rm2": small_edge(((64,) * 24, 120), lanes=32),
    "rm3": small_edge(((32,) * 7, 20), lanes=32),
    "rm4": small_edge(((32,) * 7, 20), lanes=32),
    "rm5": small_edge(((18,), 1), ((18, 18), 200), lanes=18),
}
"""Units with the histories of Duet's models."""

SCRATCHPAD_KB = {"rm1": 60.0, "rm2": 720.0, "rm3": 17.5, "rm4": 17.5, "rm5": (1 + 200 + 200) * 18 * 4 / 1024}
"""Kilobytes (1,024 bytes) of their scratchpads, in the table."""


def pack(values: Sequence[int], bits: int) -> int:
    """Numbers side by side, the first in the lowest bits."""
    return sum((value & (1 << bits) - 1) << bits * k for k, value in enumerate(values))


def entry_rows(config: EdgeConfig, entry: Sequence[int]) -> list[int]:
    """An entry as rows of the scratchpad."""
    width = config.row_elements
    return [pack(entry[k : k + width], config.element_bits) for k in range(0, len(entry), width)]


def _layers(*sizes: int) -> tuple[Layer, ...]:
    return tuple(Layer(inputs=i, outputs=o) for i, o in pairwise(sizes))


def _stack(precision: Precision, *sizes: int, pes: int, lanes: int, streamed: bool = False) -> Stack:
    return Stack(precision=precision, inputs=sizes[0], layers=_layers(*sizes), pes=pes, lanes=lanes, streamed=streamed)


FIXED16, INT8 = Precision.FIXED16, Precision.INT8

UNITS = {
    # Two histories, both bottom MLPs, weights in the elements; the vector's last word is both bottoms'.
    "sram": EdgeConfig(
        name="sram",
        histories=(History(dims=(4, 4), slots=3), History(dims=(8,), slots=1)),
        static=_stack(FIXED16, 20, 8, 5, pes=2, lanes=4),
        dynamic=_stack(FIXED16, 10, 6, 3, pes=2, lanes=4),
        top=_stack(INT8, 24, 12, 10, pes=2, lanes=8),
    ),
    # All weights but the dynamic MLP's come from memory.
    "streamed": EdgeConfig(
        name="streamed",
        histories=(History(dims=(8, 16), slots=5),),
        element_bits=16,
        static=_stack(FIXED16, 40, 16, 9, pes=2, lanes=8, streamed=True),
        dynamic=_stack(FIXED16, 5, 2, pes=2, lanes=8),
        top=_stack(INT8, 35, 20, 12, pes=4, lanes=8, streamed=True),
        watchdog=3000,
    ),
    # As RM5: no bottom MLP, one layer, rows that are no power of two.
    "no_bottom": EdgeConfig(
        name="no_bottom",
        histories=(History(dims=(6,), slots=1), History(dims=(6, 6), slots=7)),
        top=_stack(INT8, 18, 20, pes=2, lanes=6),
    ),
}
"""Whole units that are built in seconds."""
