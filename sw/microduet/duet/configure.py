"""The edge unit of a split model: histories, stacks, and the sizes of its arrays."""

import itertools
import math

import msgspec

from microduet.duet.shape import DlrmShape
from microduet.duet.split import Split, parts, split_shape
from microduet.errors import ModelError
from microduet_hw.config import AXI_BYTES, CHECKSUM_BITS, Layer, Precision
from microduet_hw.edge.config import EdgeConfig, History
from microduet_hw.layout import plan_layer
from microduet_hw.stack import Stack

TOP_MULTIPLIERS = 128
"""8-bit multipliers of the user top MLP."""

LANES = 32
"""Most elements of a row of scratchpad, sums and the top array's operand."""

DYNAMIC_PES, STATIC_PES, BOTTOM_LANES = 4, 2, 8
"""Arrays of the bottom MLPs: 32 multipliers for each query's, 16 for the background's, whose rows are one beat."""


def histories(shape: DlrmShape, split: Split) -> tuple[History, ...]:
    """Neighbouring features of the user that are kept equally long: one click updates all of a group."""
    features = split_shape(shape, split).features
    runs = itertools.groupby(shape.user.features, key=lambda number: features[number].lookups)
    return tuple(History(dims=tuple(shape.dim(k) for k in members), slots=slots) for slots, members in runs)


def edge_config(
    shape: DlrmShape,
    split: Split,
    *,
    element_bits: int = 32,
    top_streamed: bool = False,
    clock_mhz: int = 1000,
    weight_check: bool = False,
) -> EdgeConfig:
    """The edge unit that computes the user's part of `shape` cut by `split`.

    A row is as many elements as divide every history, 32 at most; the top array has as many PEs as make the fewest
    steps with 128 multipliers, and of those numbers the smallest.

    Parameters
    ----------
    element_bits : of an element of a history: 32 as in Duet's Table 4, or 16
    top_streamed : the top MLP's weights come from memory with every query instead of lying in the PEs
    weight_check : bits that change in weights since they were loaded are found

    Raises
    ------
    ModelError
        If the split is not Duet's, or no array fits.
    """
    if split.kind != "duet":
        raise ModelError(f"{shape.name}: an edge unit computes a duet split, not {split.kind!r}")
    widths = parts(shape, split)
    groups = histories(shape, split)
    try:
        return EdgeConfig(
            name=f"{shape.name}-edge",
            histories=groups,
            element_bits=element_bits,
            static=_bottom(widths.static, pes=STATIC_PES, streamed=True),
            dynamic=_bottom(widths.dynamic, pes=DYNAMIC_PES, streamed=False),
            top=_top(shape.name, widths.user_top, groups, streamed=top_streamed),
            clock_mhz=clock_mhz,
            checksum_bits=CHECKSUM_BITS if weight_check else msgspec.UNSET,
        )
    except ValueError as error:
        raise ModelError(f"{shape.name}: {error}") from error


def _layers(widths: tuple[int, ...]) -> tuple[Layer, ...]:
    return tuple(Layer(inputs=before, outputs=after) for before, after in itertools.pairwise(widths))


def _bottom(widths: tuple[int, ...], *, pes: int, streamed: bool) -> Stack | None:
    if not widths:
        return None
    return Stack(
        precision=Precision.FIXED16,
        inputs=widths[0],
        layers=_layers(widths),
        pes=pes,
        lanes=BOTTOM_LANES,
        streamed=streamed,
    )


def _top(name: str, widths: tuple[int, ...], groups: tuple[History, ...], *, streamed: bool) -> Stack:
    """The array with the widest rows that fits, and the fewest steps."""
    common = math.gcd(*(group.elements for group in groups))
    for lanes in (n for n in range(min(LANES, common), 0, -1) if common % n == 0):
        stacks = [
            Stack(
                precision=Precision.INT8,
                inputs=widths[0],
                layers=_layers(widths),
                pes=pes,
                lanes=lanes,
                streamed=streamed,
            )
            for pes in range(2, TOP_MULTIPLIERS // lanes + 1, 2)
            if (lanes % pes == 0 or pes % lanes == 0) and (not streamed or pes * lanes % AXI_BYTES == 0)
        ]
        if stacks:
            return min(stacks, key=lambda stack: (steps(stack), stack.pes))
    raise ModelError(f"{name}: no array of at most {TOP_MULTIPLIERS} multipliers has rows that fit its histories")


def steps(stack: Stack) -> int:
    """Steps of one vector through all layers of `stack`."""
    plans = (plan_layer(stack, number) for number in range(len(stack.layers)))
    return sum(plan.rounds * plan.steps for plan in plans)
