"""Where every table lies: a fixed rule, in the plan-file format.

Tables of at most 3,000 rows lie on chip. A table too large for one channel is split by columns or, if its narrowest
columns are still too large, by rows. The rest goes, largest first, to the channel that an item keeps busy for the
shortest time; of equals, to the one with the fewest bytes.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import msgspec

from microduet.boards import Board, Channel
from microduet.errors import PlacementError
from microduet.shape import ModelShape
from microduet.unreadable import UNREADABLE
from microduet_hw.config import AXI_BYTES, EngineConfig, Feature, Frozen, Part, Precision, Source, SourceKind

ONCHIP_ROWS = 3000
"""Largest table that goes on chip."""
ONCHIP_CYCLES = 40
"""Memory-side cycles in which a bank serves one item: less than a read of a channel takes (138 ns at 450 MHz)."""
URAM_WORDS, URAM_PER_BEAT = 4096, 4
"""Depth of a URAM, and how many stand side by side for 256 bits."""
FORMAT = 1


class PlannedSource(Frozen, frozen=True, kw_only=True):
    """One source, the channel it is on, and what an item asks of it."""

    channel: str
    source: Source
    beats: float
    """Beats of 32 bytes that an item reads on average."""
    size: int
    """Bytes."""


class Plan(Frozen, frozen=True, kw_only=True):
    """Where the tables of one model lie on one board.

    Parts are of physical tables: the model's features in order, but a product stands where its first factor would
    and its second factor is left out. Without products they are the features.
    """

    format: int = FORMAT
    model: str
    board: str
    precision: Precision
    mode: str = "rule"
    """What made the plan."""
    products: tuple[tuple[int, int], ...] = ()
    """Pairs of features (first, second) that are one table: row ``i_first * rows_second + i_second`` is their two rows,
    the first one's elements first."""
    planned: tuple[PlannedSource, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        """As `EngineConfig` takes them."""
        return tuple(planned.source for planned in self.planned)

    def to_json(self) -> bytes:
        """Canonical JSON: equal plans give equal bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1)

    def save(self, path: Path) -> None:
        """Write the plan file."""
        path.write_bytes(self.to_json())

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Read a plan file; raises PlacementError if it is not one."""
        try:
            plan = msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, *UNREADABLE) as error:
            raise PlacementError(f"{path}: not a plan file: {error}") from error
        if plan.format != FORMAT:
            raise PlacementError(f"{path}: plan format must be {FORMAT}, not {plan.format}")
        return plan


def place(shape: ModelShape, *, precision: Precision, board: Board) -> Plan:
    """The plan of the fixed rule for `shape` on `board`.

    Raises
    ------
    PlacementError
        If a table fits nowhere: names the table, its size and the largest channel.
    """
    onchip = _choose_onchip(shape, precision=precision, board=board)
    beats = sum(_item_beats(shape.features[number], precision) for number in onchip)
    banks = [
        _Bin(channel=Channel(name=f"onchip{k}", kind=SourceKind.ONCHIP, size=1 << 34))
        for k in range(math.ceil(beats / ONCHIP_CYCLES))
    ]
    bins = [_Bin(channel=channel) for channel in board.channels]
    for number in _largest_first(shape, onchip, precision):
        whole = _Piece(feature=number, rows=shape.features[number].rows, columns=shape.features[number].dim)
        _put(whole, banks, feature=shape.features[number], precision=precision)
    rest = [number for number in range(len(shape.features)) if number not in onchip]
    for number in _largest_first(shape, rest, precision):
        for piece in _pieces(shape, number, precision=precision, board=board):
            if not _put(piece, bins, feature=shape.features[number], precision=precision):
                raise _misfit(shape, number, precision=precision, board=board, free=max(b.free for b in bins))
    planned = tuple(used.planned() for used in (*bins, *banks) if used.parts)
    return Plan(model=shape.name, board=board.name, precision=precision, planned=planned)


def plan_of(config: EngineConfig, *, model: str, board: Board) -> Plan:
    """The plan that a configuration made by hand already contains; its channels are those of `board` in turn."""
    names: dict[SourceKind, Iterator[str]] = {
        kind: iter([channel.name for channel in board.channels if channel.kind is kind]) for kind in SourceKind
    }
    planned: list[PlannedSource] = []
    for number, source in enumerate(config.sources):
        beats, size = 0.0, 0
        for part in source.parts:
            feature = config.features[part.feature]
            beats += len(part.served(feature)) * row_beats(part.columns, config.precision) * part.rows / feature.rows
            size = max(size, part.end)
        channel = next(names[source.kind], f"{source.kind}-{number}")
        planned.append(PlannedSource(channel=channel, source=source, beats=beats, size=size))
    return Plan(model=model, board=board.name, precision=config.precision, mode="given", planned=tuple(planned))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Piece:
    feature: int
    row_first: int = 0
    rows: int
    column_first: int = 0
    columns: int


@dataclasses.dataclass
class _Bin:
    channel: Channel
    parts: list[Part] = dataclasses.field(default_factory=list[Part])
    beats: float = 0.0
    used: int = 0

    @property
    def free(self) -> int:
        return self.channel.size - self.used

    def free_from(self, stride: int) -> int:
        """Bytes left where rows of 2^stride bytes may begin: at a multiple of that, so that none crosses 4 KiB."""
        return self.channel.size - (-(-self.used >> stride) << stride)

    def planned(self) -> PlannedSource:
        source = Source(kind=self.channel.kind, parts=tuple(self.parts))
        return PlannedSource(channel=self.channel.name, source=source, beats=self.beats, size=self.used)


def stride_log2(columns: int, precision: Precision) -> int:
    """Log2 of the bytes from row to row: a power of two, so that an address is a shift, and at least one beat."""
    return max(AXI_BYTES.bit_length() - 1, math.ceil(math.log2(columns * precision.width / 8)))


def row_beats(columns: int, precision: Precision) -> int:
    """Beats of 32 bytes that a row of `columns` elements takes."""
    return math.ceil(columns * precision.width / (AXI_BYTES * 8))


def _item_beats(feature: Feature, precision: Precision) -> int:
    return feature.lookups * row_beats(feature.dim, precision)


def table_bytes(feature: Feature, precision: Precision) -> int:
    """Bytes of the whole table of `feature` at its stride."""
    return feature.rows << stride_log2(feature.dim, precision)


def _largest_first(shape: ModelShape, numbers: list[int], precision: Precision) -> list[int]:
    return sorted(numbers, key=lambda number: (-table_bytes(shape.features[number], precision), number))


def _choose_onchip(shape: ModelShape, *, precision: Precision, board: Board) -> list[int]:
    budget = board.onchip_uram // URAM_PER_BEAT * URAM_WORDS * AXI_BYTES
    beats, used = 0, 0
    chosen: list[int] = []
    for number in reversed(_largest_first(shape, list(range(len(shape.features))), precision)):
        size = table_bytes(shape.features[number], precision)
        more = beats + _item_beats(shape.features[number], precision)
        spare = (math.ceil(more / ONCHIP_CYCLES) - 1) * URAM_WORDS * AXI_BYTES  # each bank is rounded up to whole URAMs
        if shape.features[number].rows <= ONCHIP_ROWS and used + size <= budget - spare:
            beats, used = more, used + size
            chosen.append(number)
    return chosen


def _pieces(shape: ModelShape, number: int, *, precision: Precision, board: Board) -> list[_Piece]:
    feature, limit = shape.features[number], board.largest_channel.size
    per_beat = AXI_BYTES * 8 // precision.width
    beats = row_beats(feature.dim, precision)
    for count in range(1, beats + 1):
        width = math.ceil(beats / count) * per_beat if count > 1 else feature.dim
        if feature.rows << stride_log2(width, precision) <= limit:
            return [
                _Piece(feature=number, rows=feature.rows, column_first=c, columns=min(width, feature.dim - c))
                for c in range(0, feature.dim, width)
            ]
    if feature.lookups > 1:  # the rows of one sum would lie in several channels
        raise _misfit(shape, number, precision=precision, board=board, free=limit)
    count = math.ceil(feature.rows / (limit >> stride_log2(feature.dim, precision)))
    rows = math.ceil(feature.rows / count)
    return [
        _Piece(feature=number, row_first=r, rows=min(rows, feature.rows - r), columns=feature.dim)
        for r in range(0, feature.rows, rows)
    ]


def _put(piece: _Piece, bins: list[_Bin], *, feature: Feature, precision: Precision) -> bool:
    stride = stride_log2(piece.columns, precision)
    size = piece.rows << stride
    fitting = [target for target in bins if target.free_from(stride) >= size]
    if not fitting:
        return False
    target = min(fitting, key=lambda candidate: (candidate.beats, candidate.used))
    target.parts.append(
        Part(
            feature=piece.feature,
            row_first=piece.row_first,
            rows=piece.rows,
            column_first=piece.column_first,
            columns=piece.columns,
            base=target.channel.size - target.free_from(stride),
            stride_log2=stride,
        )
    )
    target.beats += feature.lookups * row_beats(piece.columns, precision) * piece.rows / feature.rows
    target.used = target.channel.size - target.free_from(stride) + size
    return True


def _misfit(shape: ModelShape, number: int, *, precision: Precision, board: Board, free: int) -> PlacementError:
    feature, largest = shape.features[number], board.largest_channel
    size = table_bytes(feature, precision)
    pooled = " and, being pooled, cannot be split by rows" if feature.lookups > 1 else ""
    return PlacementError(
        f"table {number} ({feature.rows} x {feature.dim}, {size / 2**20:.1f} MiB in {precision}) fits no channel "
        f"of {board.name}{pooled}: the largest, {largest.name}, has {largest.size >> 20} MiB, at most "
        f"{free >> 20} MiB free"
    )
