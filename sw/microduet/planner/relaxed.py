"""Bounds on both minima: the program with channels counted by what they hold, not one by one.

Channels of a kind share their bytes, and pieces of less than an eighth of a channel take no room in it, so it is a
relaxation; without channels to be told apart it is solved at once, and its bounds are usually met.
"""

import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ortools.sat.python import cp_model

from microduet.planner.core import Core
from microduet.planner.make import Progress
from microduet.planner.model import BANKS, joint_load, part_load
from microduet.planner.options import UNITS, Choices, Kind, Option
from microduet_hw.config import AXI_BYTES, SourceKind

MOST_PATTERNS = 5_000
"""Contents of a channel that are told apart; if there are more, pieces are told apart by their times only."""


class Timed(NamedTuple):
    """What a channel's time depends on in a piece."""

    reads: int
    beats: int
    level: int
    """Of the least share of the channel with banks of its own; 3 where it is not told apart."""
    units: int
    """Bytes, in 256ths of the channel, of the smallest such piece."""
    most: int
    """How many of them a channel may hold: as many as there are tables, whose pieces lie on different channels."""


class Pattern(NamedTuple):
    """What a channel may hold at the same time, and how long that takes."""

    counts: tuple[int, ...]
    ps: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relaxed:
    """What the relaxation says.

    Members
    -------
    slowest : picoseconds that no solution is faster than
    words : that no solution which is as fast stores less than
    tables : how many tables of a class take an option, with the fewest pieces that allow both; None if it is not known
    """

    slowest: int = 0
    words: int = 0
    tables: Counter[tuple[int, int]] | None = None


def relax(choices: Choices, known: int | None, *, seconds: float, progress: Progress | None) -> Relaxed:
    """Bounds on both minima.

    Parameters
    ----------
    known : picoseconds of some solution; without one nothing is bounded
    """
    core = None if known is None else _relaxation(choices, known)
    if core is None:
        return Relaxed(slowest=_alone(choices))
    run = core.run(core.slowest, seconds=seconds / 2, name="bound, ps", progress=progress)
    slowest = max(run.bound, _alone(choices))
    core.model.add(core.slowest <= slowest)
    run = core.run(core.words, seconds=seconds / 4, name="bound, words", progress=progress)
    if not run.found:
        return Relaxed(slowest=slowest)
    words = run.bound
    core.model.add(core.words <= words)
    pieces = core.model.new_int_var(0, 1 << 30, "pieces")
    core.model.add(pieces == sum(kind.pieces * kind.gang * core.wanted(kind) for kind in core.demand))
    run = core.run(pieces, seconds=seconds / 4, name="pieces", progress=progress)
    return Relaxed(slowest=slowest, words=words, tables=run.values(core.tables) if run.found else None)


def _alone(choices: Choices) -> int:
    """The time of the table that takes longest even if it is all that there is; products are no better."""
    return max(
        min(_alone_ps(choices, option) for option in options)
        for of, options in zip(choices.classes, choices.options, strict=True)
        if of.factors is None
    )


def _alone_ps(choices: Choices, option: Option) -> int:
    kind = option.kind
    if kind is None:
        return part_load(SourceKind.ONCHIP, 1, option.beats).ps(SourceKind.ONCHIP)
    memory = choices.groups[kind.group].kind
    return part_load(memory, kind.reads, kind.beats).ps(memory)


def _relaxation(choices: Choices, known: int) -> Core | None:
    """The program; None if channels can hold too many different things."""
    core = Core(choices)
    core.model.add(core.slowest <= known)
    gangs = sorted({(kind.group, kind.gang) for kind in core.demand})
    used: dict[int, list[cp_model.LinearExprT]] = defaultdict(list)
    for group, gang in gangs:
        channels = _channels(core, group, gang, known)
        if channels is None:
            return None
        used[group].append(gang * channels)
    for number, group in enumerate(choices.groups):
        core.model.add(sum(used[number]) <= len(group.channels))
        words = [
            choices.options[of][option].words * core.tables[of, option]
            for kind, keys in core.demand.items()
            if kind.group == number
            for of, option in keys
        ]
        core.model.add(sum(words) <= len(group.channels) * group.size // AXI_BYTES)
    return core


def _channels(core: Core, group: int, gang: int, known: int) -> cp_model.LinearExprT | None:
    """Add the patterns of one group and gang size; how many gangs they take, None if there are too many patterns."""
    found = _types(core, group, gang, known, leveled=True) or _types(core, group, gang, known, leveled=False)
    if found is None:
        return None
    kinds, patterns = found
    most = len(core.choices.groups[group].channels) // gang
    counts = [core.model.new_int_var(0, most, "") for _ in patterns]
    for ps in sorted({pattern.ps for pattern in patterns}):
        reached = core.model.new_bool_var("")
        slow = [count for pattern, count in zip(patterns, counts, strict=True) if pattern.ps >= ps]
        core.model.add(sum(slow) <= most * reached)
        core.model.add(core.slowest >= ps).only_enforce_if(reached)
    for number, alike in enumerate(kinds):
        held = sum(pattern.counts[number] * count for pattern, count in zip(patterns, counts, strict=True))
        core.model.add(held >= sum(kind.pieces * core.wanted(kind) for kind in alike))
    return sum(counts)


def _types(
    core: Core, group: int, gang: int, known: int, *, leveled: bool
) -> tuple[list[list[Kind]], list[Pattern]] | None:
    """Kinds by what a channel's time depends on, and the patterns of these; None if there are too many."""
    alike: dict[tuple[int, int, int, int], list[Kind]] = defaultdict(list)
    for kind in core.demand:
        if (kind.group, kind.gang) == (group, gang):
            key = (min(kind.level, 3), kind.pieces) if leveled else (3, 0)
            alike[kind.reads, kind.beats, *key].append(kind)
    types = [
        Timed(reads, beats, level, min(kind.units for kind in kinds) if leveled else 0, _tables(core, kinds))
        for (reads, beats, level, _), kinds in alike.items()
    ]
    every = _patterns(types, core.choices.groups[group].kind, known)
    patterns = list(itertools.islice(every, MOST_PATTERNS + 1))
    return None if len(patterns) > MOST_PATTERNS else (list(alike.values()), patterns)


def _tables(core: Core, kinds: list[Kind]) -> int:
    """How many tables there are that may have pieces of these kinds."""
    classes = {of for kind in kinds for of, _ in core.demand[kind]}
    return sum(core.most[of] for of in classes)


def _patterns(types: list[Timed], kind: SourceKind, known: int) -> Iterator[Pattern]:
    """All counts of pieces by type that take at most `known`."""

    def extend(number: int, counts: tuple[int, ...]) -> Iterator[Pattern]:
        if number == len(types):
            yield Pattern(counts, _fastest(types, counts, kind) or 0)
            return
        for count in range(types[number].most + 1):
            ps = _fastest(types, (*counts, count), kind)
            if ps is None or ps > known:
                return
            yield from extend(number + 1, (*counts, count))

    return (pattern for pattern in extend(0, ()) if any(pattern.counts))


def _fastest(types: list[Timed], counts: tuple[int, ...], kind: SourceKind) -> int | None:
    """Picoseconds of a channel with so many pieces of the first types; None if they cannot fit."""
    held = [timed for timed, count in zip(types, counts, strict=False) for _ in range(count)]
    large = [timed for timed in held if timed.level < 3]
    eighths = BANKS - sum(BANKS >> timed.level for timed in large)
    small = len(held) - len(large)
    if kind is SourceKind.HBM and eighths >= (small > 0):
        groups = len(large) + min(eighths, small)
    elif sum(timed.units for timed in held) > UNITS:
        return None
    else:
        groups = min(1, len(held))
    return joint_load(kind, (part_load(kind, timed.reads, timed.beats) for timed in held), groups).ps(kind)
