"""What both of the paper's modes share: tables by size, products of pairs, and tables dealt out to channels."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from microduet.boards import Board, Channel
from microduet.errors import PlacementError
from microduet.placement import URAM_PER_BEAT, URAM_WORDS, Plan, PlannedSource, stride_log2, table_bytes
from microduet.planner import pieces
from microduet.planner.physical import INDEX_BITS, factors, physical_shape
from microduet.planner.pieces import Piece
from microduet.shape import ModelShape
from microduet_hw.config import AXI_BYTES, Feature, Precision, SourceKind

BANKS = 8
"""On-chip banks of the paper's engine, each of which serves one table per round: its tables 39 = 47 - 8 and
82 = 98 - 2 x 8 that are left to DRAM say so."""


@dataclasses.dataclass(frozen=True)
class Joined:
    """A physical table while it is not decided which number it gets."""

    members: tuple[int, ...]
    table: Feature

    @property
    def elements(self) -> int:
        """The paper's measure of size."""
        return self.table.rows * self.table.dim


@dataclasses.dataclass
class Seat:
    """A channel, or several that hold copies of the same tables, and what lies there so far."""

    channels: tuple[Channel, ...]
    pieces: list[Piece] = dataclasses.field(default_factory=list[Piece])
    reads: int = 0
    used: int = 0

    @property
    def size(self) -> int:
        """Bytes of one channel."""
        return self.channels[0].size


def by_size(shape: ModelShape) -> list[Joined]:
    """The model's tables, smallest first."""
    tables = [Joined((number,), feature) for number, feature in enumerate(shape.features)]
    return sorted(tables, key=lambda table: table.elements)


def join(candidates: Sequence[Joined]) -> list[Joined] | None:
    """Rules 2 and 3: the k-th smallest candidate with the k-th largest; one in the middle stays as it is.

    None if a pair has unequal lookups or more rows than an index can number.
    """
    result: list[Joined] = []
    for a, b in zip(candidates, reversed(candidates), strict=True):
        if len(result) == len(candidates) // 2:
            break
        rows = a.table.rows * b.table.rows
        if a.table.lookups != b.table.lookups or rows > 1 << INDEX_BITS:
            return None
        table = Feature(rows=rows, dim=a.table.dim + b.table.dim, lookups=a.table.lookups, position=0)
        result.append(Joined((*a.members, *b.members), table))
    middle = candidates[len(candidates) // 2 : (len(candidates) + 1) // 2]
    return result + list(middle)


def products_of(tables: Iterable[Joined]) -> tuple[tuple[int, int], ...]:
    """Pairs of features that `tables` join, in the order of their first factors."""
    return tuple(sorted((table.members[0], table.members[1]) for table in tables if len(table.members) > 1))


def fitting_onchip(tables: Sequence[Joined], limit: int, *, precision: Precision, board: Board) -> int:
    """How many of `tables`, in order, go on chip: at most `limit`, and no more than the banks' URAM."""
    columns = board.onchip_uram // URAM_PER_BEAT
    words = [0] * BANKS
    for count, joined in enumerate(tables[:limit]):
        words[count % BANKS] += table_bytes(joined.table, precision) // AXI_BYTES
        if sum(math.ceil(bank / URAM_WORDS) for bank in words) > columns:
            return count
    return min(limit, len(tables))


def deal(tables: Iterable[Sequence[Piece]], seats: Sequence[Seat], features: Sequence[Feature]) -> bool:
    """Put the pieces of tables, largest first, where fewest reads are, then fewest bytes; False if one has no room."""
    loose = sorted((piece for group in tables for piece in group), key=lambda piece: (-piece.size, piece.table))
    for piece in loose:
        free = [seat for seat in seats if seat.used + piece.size <= seat.size]
        if not free:
            return False
        seat = min(free, key=lambda seat: (seat.reads, seat.used))
        seat.pieces.append(piece)
        seat.used += piece.size
        seat.reads += math.ceil(features[piece.table].lookups / len(seat.channels))
    return True


def assemble(
    shape: ModelShape,
    tables: Sequence[Joined],
    *,
    mode: str,
    seats: Sequence[Seat],
    onchip: Sequence[Joined],
    precision: Precision,
    board: Board,
) -> Plan:
    """The plan of dealt seats; the numbers in their pieces are those of `numbered`."""
    products = products_of(tables)
    numbers, features = numbered(shape, tables), physical_shape(shape, products).features
    sources: list[PlannedSource] = []
    for seat in seats:
        copies = [pieces.replicas(piece, features[piece.table].lookups, len(seat.channels)) for piece in seat.pieces]
        for channel, held in zip(seat.channels, zip(*copies, strict=True), strict=False):
            parts = pieces.one_after_another(held)
            sources.append(pieces.planned(channel, parts, tables=features, precision=precision))
    for bank in range(min(BANKS, len(onchip))):
        held = [pieces.whole(numbers[t.members], features[numbers[t.members]], precision) for t in onchip[bank::BANKS]]
        channel = Channel(name=f"onchip{bank}", kind=SourceKind.ONCHIP, size=1 << 34)
        parts = pieces.one_after_another(held)
        sources.append(pieces.planned(channel, parts, tables=features, precision=precision))
    return Plan(
        model=shape.name,
        board=board.name,
        precision=precision,
        mode=mode,
        products=products,
        planned=tuple(sources),
    )


def numbered(shape: ModelShape, tables: Iterable[Joined]) -> dict[tuple[int, ...], int]:
    """Number of each physical table by its members."""
    return {members: number for number, members in enumerate(factors(shape, products_of(tables)))}


def table_too_large(
    shape: ModelShape, number: int, *, precision: Precision, board: Board, hint: str = ""
) -> PlacementError:
    """What to say of a table that no channel can hold."""
    largest, feature = board.largest_channel, shape.features[number]
    return PlacementError(
        f"table {number} ({feature.rows} x {feature.dim} in {precision}) needs "
        f"{gigabytes(table_bytes(feature, precision))}; the largest channel of {board.name}, {largest.name}, has "
        f"{gigabytes(largest.size)}{hint}"
    )


def all_too_large(shape: ModelShape, *, precision: Precision, board: Board) -> PlacementError:
    """What to say if the tables do not fit together."""
    sizes = [table_bytes(feature, precision) for feature in shape.features]
    number = max(range(len(sizes)), key=lambda number: sizes[number])
    room = sum(channel.size for channel in board.channels)
    return PlacementError(
        f"no plan was found: the {len(sizes)} tables need {gigabytes(sum(sizes))} in {precision}, the largest (table "
        f"{number}) {gigabytes(sizes[number])}; the {len(board.channels)} channels of {board.name} have "
        f"{gigabytes(room)}, the largest, {board.largest_channel.name}, {gigabytes(board.largest_channel.size)}"
    )


def gigabytes(size: float) -> str:
    """Bytes as text: decimal gigabytes, three digits, or MB and kB below."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def even_columns(number: int, table: Feature, count: int, precision: Precision) -> list[Piece]:
    """A table in `count` pieces of equally many columns."""
    width = math.ceil(table.dim / count)
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
