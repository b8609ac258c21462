"""What mode `best` may choose from: classes of equal tables, and the ways in which each of them can be stored."""

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microduet.boards import Board, Channel
from microduet.placement import row_beats, stride_log2
from microduet.planner.physical import INDEX_BITS
from microduet.planner.pieces import MAX_LEVEL, level
from microduet.shape import ModelShape
from microduet_hw.config import AXI_BYTES, Feature, Precision, SourceKind

MAX_STRIDE = 12
"""Log2 of the longest row's bytes."""
UNITS = 1 << MAX_LEVEL
"""Shares of a channel's bytes that tables without banks of their own are counted in."""
MOST_PRODUCTS = 100
"""Pairs of classes that may be joined; if there are more, those that store least."""
ONCHIP = -1
"""Number of the on-chip banks, among groups of channels."""


class Group(NamedTuple):
    """Channels of one kind and size."""

    kind: SourceKind
    channels: tuple[Channel, ...]

    @property
    def size(self) -> int:
        """Bytes of each."""
        return self.channels[0].size


class Class(NamedTuple):
    """Tables alike in rows, width and lookups: features, or products of features of two classes."""

    rows: int
    dim: int
    lookups: int
    features: tuple[int, ...] = ()
    factors: tuple[int, int] | None = None
    """Numbers of the two classes whose tables are joined."""


class Kind(NamedTuple):
    """Pieces that are alike to a channel. `gang` channels hold copies of the same pieces."""

    group: int
    gang: int
    reads: int
    beats: int
    level: int
    """The smallest share with banks of its own is 2^-level of the channel."""
    units: int
    """Bytes, in 256ths of the channel, rounded up."""
    pieces: int
    """Into how many pieces, on different channels, the table is split."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """One way to store a table of a class.

    Members
    -------
    kind : of its pieces; None on chip
    columns : into how many pieces columns are split
    step_log2 : each of which is split into 2^step_log2 by rows
    beats : of an item, on chip
    words : of 32 bytes, stored in all
    """

    kind: Kind | None
    columns: int = 1
    step_log2: int = 0
    beats: int
    words: int


@dataclasses.dataclass(frozen=True)
class Choices:
    """A model's classes and, per class, the options.

    Members
    -------
    pairs, considered : pairs of classes that could be joined, and how many of them are among the classes
    """

    classes: tuple[Class, ...]
    options: tuple[tuple[Option, ...], ...]
    groups: tuple[Group, ...]
    precision: Precision
    board: Board
    pairs: int
    considered: int


def choices(shape: ModelShape, *, precision: Precision, board: Board, fine: bool = False) -> Choices:
    """Everything that mode `best` chooses from for `shape` on `board`.

    Parameters
    ----------
    fine : tell sizes apart to 2^-8 of a channel, which takes longer, instead of as finely as most models need
    """
    alike: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for number, feature in enumerate(shape.features):
        alike[feature.rows, feature.dim, feature.lookups].append(number)
    plain = [Class(*key, features=tuple(numbers)) for key, numbers in sorted(alike.items())]
    groups = _groups(board)
    deepest = MAX_LEVEL if fine else _deepest(shape, board)
    every = _Every(groups, precision, board, deepest)
    options = [tuple(every.of(of)) for of in plain]
    joined = [(of, found) for of in _products(plain) if (found := tuple(every.of(of)))]
    joined.sort(key=lambda pair: min(option.words for option in pair[1]))
    kept = joined[:MOST_PRODUCTS]
    return Choices(
        classes=(*plain, *(of for of, _ in kept)),
        options=(*options, *(found for _, found in kept)),
        groups=groups,
        precision=precision,
        board=board,
        pairs=len(joined),
        considered=len(kept),
    )


def _groups(board: Board) -> tuple[Group, ...]:
    alike: dict[tuple[SourceKind, int], list[Channel]] = defaultdict(list)
    for channel in board.channels:
        alike[channel.kind, channel.size].append(channel)
    return tuple(Group(kind, tuple(channels)) for (kind, _), channels in alike.items())


def _deepest(shape: ModelShape, board: Board) -> int:
    """Finest level that is told apart: with few tables per channel, eighths are enough."""
    per_channel = len(shape.features) / max(1, len(board.channels))
    return min(MAX_LEVEL, 3 + max(0, math.ceil(math.log2(max(1.0, per_channel / 4)))))


def _products(plain: Sequence[Class]) -> Iterator[Class]:
    for a, b in itertools.combinations_with_replacement(range(len(plain)), 2):
        first, second = plain[a], plain[b]
        enough = a != b or len(first.features) > 1
        if enough and first.lookups == second.lookups and first.rows * second.rows <= 1 << INDEX_BITS:
            yield Class(first.rows * second.rows, first.dim + second.dim, first.lookups, factors=(a, b))


class _Every:
    def __init__(self, groups: Sequence[Group], precision: Precision, board: Board, deepest: int) -> None:
        self._groups, self._precision, self._board, self._deepest = groups, precision, board, deepest
        self._fine = deepest == MAX_LEVEL

    def of(self, of: Class) -> Iterator[Option]:
        """Options of a class; products are stored whole."""
        table = Feature(rows=of.rows, dim=of.dim, lookups=of.lookups, position=0)
        beats = row_beats(table.dim, self._precision)
        stride = stride_log2(table.dim, self._precision)
        words = (table.rows << stride) // AXI_BYTES
        if stride <= MAX_STRIDE and words <= onchip_words(self._board):
            yield Option(kind=None, beats=table.lookups * beats, words=words)
        for number, group in enumerate(self._groups):
            for columns in {1} if of.factors else _splits(beats, len(group.channels)):
                yield from self._on_group(table, number, columns, joined=of.factors is not None)

    def _on_group(self, table: Feature, number: int, columns: int, *, joined: bool) -> Iterator[Option]:
        group = self._groups[number]
        beats = math.ceil(row_beats(table.dim, self._precision) / columns)
        width = table.dim if columns == 1 else beats * 256 // self._precision.width
        stride = stride_log2(width, self._precision)
        if stride > MAX_STRIDE:
            return
        most = len(group.channels) // columns
        gangs = [1] if table.lookups == 1 else _splits(table.lookups, most)
        for gang in gangs:
            yield from self._copies(table, number, columns=columns, beats=beats, stride=stride, gang=gang)
        if joined or table.lookups > 1:
            return
        before = level(table.rows << stride, stride, group.size) if table.rows << stride <= group.size else -1
        for step in range(1, most.bit_length()):
            size = math.ceil(table.rows / (1 << step)) << stride
            now = min(level(size, stride, group.size), 3)
            if size <= group.size and now > before and table.rows >> step:
                before = now
                yield self._option(table, number, columns=columns, beats=beats, stride=stride, step=step)

    def _copies(
        self, table: Feature, number: int, *, columns: int, beats: int, stride: int, gang: int
    ) -> Iterator[Option]:
        if table.rows << stride <= self._groups[number].size:
            yield self._option(table, number, columns=columns, beats=beats, stride=stride, gang=gang)

    def _option(
        self, table: Feature, number: int, *, columns: int, beats: int, stride: int, step: int = 0, gang: int = 1
    ) -> Option:
        group = self._groups[number]
        size = math.ceil(table.rows / (1 << step)) << stride
        reads = math.ceil(table.lookups / gang)
        found = min(level(size, stride, group.size), self._deepest)
        units = -(-size * UNITS // group.size)
        kind = Kind(
            group=number,
            gang=gang,
            reads=reads,
            beats=reads * beats,
            level=found,
            units=units if not found or group.kind is not SourceKind.HBM or self._fine else UNITS >> found,
            pieces=columns << step,
        )
        return Option(
            kind=kind,
            columns=columns,
            step_log2=step,
            beats=reads * beats,
            words=(columns << step) * gang * size // AXI_BYTES,
        )


def onchip_words(board: Board) -> int:
    """Words of 32 bytes that tables may take on chip."""
    return board.onchip_uram // 4 * 4096


def _splits(beats: int, most: int) -> list[int]:
    """Numbers of pieces with different sizes that share `beats`, one of the sizes being as small as `most` allows."""
    counts = {math.ceil(beats / math.ceil(beats / count)) for count in range(1, min(beats, most) + 1)}
    return sorted(counts)[:4] + ([max(counts)] if len(counts) > 4 else [])
