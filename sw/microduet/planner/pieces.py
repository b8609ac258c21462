"""From pieces of tables on a channel to parts with addresses: bank shares where there is room for them."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from microduet.boards import Channel
from microduet.placement import PlannedSource, row_beats, stride_log2
from microduet.planner.model import BANK_BITS, BANK_LOW
from microduet_hw.config import Feature, Part, Precision, Source, SourceKind

MAX_LEVEL = 8
"""Smallest share of a channel that is given out: 2^-8 of its bytes."""
MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """A rectangle of a physical table that lies on one channel, without an address."""

    table: int
    row_first: int = 0
    row_step_log2: int = 0
    rows: int
    column_first: int = 0
    columns: int
    lookup_first: int = 0
    lookups: int | None = None
    stride: int
    """Log2 of the bytes from row to row."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rows << self.stride

    def part(self, base: int, *, hole_log2: int = 0, hole_bits: int = 0) -> Part:
        """The piece at an address."""
        return Part(
            feature=self.table,
            row_first=self.row_first,
            row_step_log2=self.row_step_log2,
            rows=self.rows,
            column_first=self.column_first,
            columns=self.columns,
            lookup_first=self.lookup_first,
            lookups=self.lookups,
            base=base,
            stride_log2=self.stride,
            hole_log2=hole_log2,
            hole_bits=hole_bits,
        )


def whole(number: int, table: Feature, precision: Precision) -> Piece:
    """All of a table."""
    return Piece(table=number, rows=table.rows, columns=table.dim, stride=stride_log2(table.dim, precision))


def column_pieces(number: int, table: Feature, count: int, precision: Precision) -> list[Piece]:
    """A table in at most `count` pieces of whole beats of columns, as equal as beats allow."""
    if count == 1:
        return [whole(number, table, precision)]
    per_beat = 256 // precision.width
    width = math.ceil(row_beats(table.dim, precision) / count) * per_beat
    return [
        Piece(
            table=number,
            rows=table.rows,
            column_first=first,
            columns=min(width, table.dim - first),
            stride=stride_log2(width, precision),
        )
        for first in range(0, table.dim, width)
    ]


def row_pieces(piece: Piece, step_log2: int) -> list[Piece]:
    """A piece as 2^step_log2 pieces of every 2^step_log2-th row."""
    step = 1 << step_log2
    return [
        dataclasses.replace(piece, row_first=k, row_step_log2=step_log2, rows=math.ceil((piece.rows - k) / step))
        for k in range(step)
    ]


def replicas(piece: Piece, lookups: int, count: int) -> list[Piece]:
    """`count` copies of a piece of a feature with `lookups` lookups, each of which serves its share of them."""
    if count == 1:
        return [piece]
    ends = [lookups * k // count for k in range(count + 1)]
    return [
        dataclasses.replace(piece, lookup_first=first, lookups=end - first) for first, end in itertools.pairwise(ends)
    ]


def level(size: int, stride: int, channel: int) -> int:
    """Log2 of the smallest share of a channel's bytes that holds `size` with rows of `stride` in banks of its own."""
    fitting = MAX_LEVEL
    while fitting and size > channel >> fitting:
        fitting -= 1
    return fitting if fitting <= 0 else min(fitting, max(0, BANK_LOW + BANK_BITS - stride))


def place(
    channel: Channel, pieces: Sequence[Piece], *, tables: Sequence[Feature], precision: Precision
) -> PlannedSource | None:
    """Parts for all `pieces` on `channel`, in banks of their own if possible; None if there is no room."""
    parts = _in_banks(channel, pieces) if channel.kind is SourceKind.HBM and len(pieces) > 1 else None
    parts = parts or one_after_another(pieces)
    if max(part.end for part in parts) > channel.size:
        return None
    return planned(channel, parts, tables=tables, precision=precision)


def one_after_another(pieces: Sequence[Piece]) -> list[Part]:
    """Parts without holes; those with the longest rows first, so that every row lies at a multiple of its stride."""
    parts: list[Part] = []
    base = 0
    for piece in sorted(pieces, key=lambda piece: (-piece.stride, piece.table)):
        parts.append(piece.part(base))
        base += piece.size
    return parts


def planned(
    channel: Channel, parts: Sequence[Part], *, tables: Sequence[Feature], precision: Precision
) -> PlannedSource:
    """A source with its mean beats and its bytes."""
    source = Source(kind=channel.kind, parts=tuple(sorted(parts, key=lambda part: (part.feature, part.base))))
    beats = sum(
        len(part.served(tables[part.feature]))
        * row_beats(part.columns, precision)
        * part.rows
        / tables[part.feature].rows
        for part in parts
    )
    return PlannedSource(channel=channel.name, source=source, beats=beats, size=max(part.end for part in parts))


def _in_banks(channel: Channel, pieces: Sequence[Piece]) -> list[Part] | None:
    """Every piece in a share of the channel that is a power of two, at most an eighth of whose neighbours share banks.

    Shares grow as long as there is room, the smallest first: so two pieces get four banks each.
    """
    unit = 1 << MAX_LEVEL
    levels = [level(piece.size, piece.stride, channel.size) for piece in pieces]
    if channel.size % MEBIBYTE or sum(unit >> share for share in levels) > unit:
        return None
    while sum(unit >> share for share in levels) + (unit >> max(levels)) <= unit:
        levels[levels.index(max(levels))] -= 1
    parts: list[Part] = []
    cursor = 0
    for share, piece in sorted(zip(levels, pieces, strict=True), key=lambda pair: (pair[0], pair[1].table)):
        bits = min(share, BANK_BITS)
        top = BANK_LOW + BANK_BITS
        bank, within = divmod(cursor, unit >> bits)
        start = (within * channel.size >> MAX_LEVEL) << bits
        parts.append(piece.part(start | bank << (top - bits), hole_log2=top - bits if bits else 0, hole_bits=bits))
        cursor += unit >> share
    return parts
