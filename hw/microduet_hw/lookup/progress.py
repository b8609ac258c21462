"""Keeps count of which lookup of an item a stage of a source is at."""

import dataclasses
from collections.abc import Sequence

from amaranth.hdl import Const, Module, Signal, Value, ValueLike

from microduet_hw.lookup.geometry import SourcePlan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """The lookup that is due: registers that stand still until the stage is done with it."""

    plan: SourcePlan
    move: Signal
    part: Signal
    first: Signal
    """The first row of a sum."""
    last: Signal
    """The last row of a sum."""
    end: Signal
    """The last row of the item."""


def count_lookups(
    m: Module, plan: SourcePlan, done: ValueLike, *, name: str, marked_last: ValueLike | None = None
) -> Progress:
    """Count lookups of a source as `done` says that one is finished with (domain mem).

    `marked_last` : if lookups are marked, whether the one that is due is a feature's last: only features are counted
    """
    counts = [part.lookups for part in plan.parts]
    part = Signal(range(max(2, len(counts))), name=f"{name}_part")
    left = Signal(range(max(2, *counts)), name=f"{name}_left", init=counts[0] - 1)
    first = Signal(name=f"{name}_first", init=1)
    last, end, move = Signal(name=f"{name}_last"), Signal(name=f"{name}_end"), Signal(name=f"{name}_move")
    m.d.comb += [
        last.eq(left == 0 if marked_last is None else marked_last),
        end.eq(last & (part == len(counts) - 1)),
        move.eq(done & last),
    ]
    progress = Progress(plan=plan, move=move, part=part, first=first, last=last, end=end)
    with m.If(done):
        m.d.mem += first.eq(last)
    with m.If(move):
        m.d.mem += part.eq((part + 1) if len(counts) > 1 else 0)
        with m.If(part == len(counts) - 1):
            m.d.mem += part.eq(0)
    if plan.pooled and marked_last is None:
        following = constant(m, progress, [count - 1 for count in counts[1:] + counts[:1]], name=f"{name}_following")
        with m.If(done):
            m.d.mem += left.eq(left - 1)
        with m.If(move):
            m.d.mem += left.eq(following)
    return progress


def constant(m: Module, progress: Progress, values: Sequence[int], *, name: str) -> Value:
    """The value that belongs to the part that is due: a register, filled while the part before ends."""
    width = max(1, max(values).bit_length())
    if len(set(values)) == 1:
        return Const(values[0], width)
    register = Signal(width, init=values[0], name=name)
    with m.If(progress.move), m.Switch(progress.part):
        for part, value in enumerate([*values[1:], values[0]]):
            with m.Case(part):
                m.d.mem += register.eq(value)
    return register
