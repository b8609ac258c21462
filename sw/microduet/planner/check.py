"""Whether a plan holds what it must: every row once for every lookup, within its channel, clear of other parts."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microduet.boards import Board
from microduet.errors import PlacementError
from microduet.placement import URAM_PER_BEAT, URAM_WORDS, Plan, PlannedSource, row_beats
from microduet.planner.allocate import gigabytes
from microduet.planner.physical import check_products, physical_shape
from microduet.shape import ModelShape
from microduet_hw.config import AXI_BYTES, Feature, Part, Precision, SourceKind
from microduet_hw.part_rules import overlap

MAX_STRIDE = 12
"""Log2 of the longest row's bytes: AXI bursts do not cross 4 KiB."""


class Placed(NamedTuple):
    """A part and what messages call it."""

    name: str
    part: Part


def check(plan: Plan, shape: ModelShape, board: Board) -> None:
    """Raise PlacementError, with one line that names the parts, unless `plan` serves `shape` on `board`."""
    if plan.model != shape.name or plan.board != board.name:
        raise PlacementError(f"the plan is for {plan.model} on {plan.board}, not {shape.name} on {board.name}")
    check_products(shape, plan.products)
    tables = physical_shape(shape, plan.products).features
    _check_channels(plan, board)
    by_table: dict[int, list[Placed]] = defaultdict(list)
    for source in plan.planned:
        placed = [
            Placed(f"part {number} (table {part.feature}) of {source.channel}", part)
            for number, part in enumerate(source.source.parts)
        ]
        for entry in placed:
            _check_part(entry, tables, plan.precision, onchip=source.source.kind is SourceKind.ONCHIP)
            by_table[entry.part.feature].append(entry)
        _check_source(source, placed, board)
    for number, table in enumerate(tables):
        _check_served(number, table, by_table[number])
    _check_partners(plan, tables)
    _check_onchip(plan, board)


def _check_channels(plan: Plan, board: Board) -> None:
    channels = {channel.name: channel for channel in board.channels}
    seen: set[str] = set()
    for source in plan.planned:
        kind, name = source.source.kind, source.channel
        if name in seen:
            raise PlacementError(f"channel {name} is planned twice")
        seen.add(name)
        if not source.source.parts:
            raise PlacementError(f"channel {name} has no part; leave it out")
        if kind is SourceKind.ONCHIP:
            if name in channels:
                raise PlacementError(f"{name} is a {channels[name].kind} channel of {board.name}, not an on-chip bank")
            continue
        if name not in channels:
            raise PlacementError(f"{board.name} has no channel {name}; its channels are {_names(board)}")
        if channels[name].kind is not kind:
            raise PlacementError(f"channel {name} of {board.name} is {channels[name].kind}, not {kind}")


def _names(board: Board) -> str:
    return f"{board.channels[0].name} to {board.channels[-1].name}"


def _check_part(placed: Placed, tables: Sequence[Feature], precision: Precision, *, onchip: bool) -> None:
    name, part = placed
    if not 0 <= part.feature < len(tables):
        raise PlacementError(f"{name}: tables are 0 to {len(tables) - 1}")
    table = tables[part.feature]
    fields = ("row_first", "row_step_log2", "column_first", "lookup_first", "base", "hole_log2", "hole_bits")
    low = [field for field in fields if getattr(part, field) < 0]
    if low:
        raise PlacementError(f"{name}: {low[0]} must be at least 0, not {getattr(part, low[0])}")
    step, stride = 1 << part.row_step_log2, 1 << part.stride_log2 if part.stride_log2 >= 0 else 0
    ends = (
        ("rows", part.rows, part.row_first + (part.rows - 1) * step + 1, table.rows),
        ("columns", part.columns, part.column_first + part.columns, table.dim),
        ("lookups", len(part.served(table)), part.served(table).stop, table.lookups),
    )
    for field, count, end, limit in ends:
        if count < 1 or end > limit:
            raise PlacementError(f"{name} must hold at least one of its table's {limit} {field} and none beyond")
    needed = row_beats(part.columns, precision) * AXI_BYTES
    if not needed <= stride <= 1 << MAX_STRIDE:
        raise PlacementError(f"{name}: a row of {needed} bytes needs a stride of that to 4096 bytes, not {stride}")
    aligned = AXI_BYTES if onchip else stride
    if part.base % aligned:
        raise PlacementError(f"{name}: base must be a multiple of {aligned}, not {part.base}")
    if step > 1 and part.row_first >= step:
        raise PlacementError(f"{name}: every {step}th row must begin at one of the first {step}, not {part.row_first}")
    chunk = 1 << part.hole_log2
    if part.hole_bits and (onchip or part.base % chunk or stride > chunk or part.row_first >= step):
        raise PlacementError(
            f"{name}: a hole at bit {part.hole_log2} needs a memory channel, a base of whole {chunk} bytes, a stride "
            f"of at most that and the table's first rows"
        )


def _check_source(source: PlannedSource, placed: Sequence[Placed], board: Board) -> None:
    sizes = {channel.name: channel.size for channel in board.channels}
    if source.source.kind is not SourceKind.ONCHIP:
        for name, part in placed:
            if part.end > sizes[source.channel]:
                raise PlacementError(
                    f"{name} ends at byte {part.end}, {source.channel} has {sizes[source.channel]} "
                    f"({gigabytes(sizes[source.channel])})"
                )
    for a, b in itertools.combinations(placed, 2):
        if overlap(a.part, b.part):
            raise PlacementError(f"{a.name} and {b.name} overlap: bytes {_span(a.part)} and {_span(b.part)}")


def _span(part: Part) -> str:
    holes = f" with {part.hole_bits} bits of hole at bit {part.hole_log2}" if part.hole_bits else ""
    return f"{part.base} to {part.end - 1}{holes}"


def _check_served(number: int, table: Feature, placed: Sequence[Placed]) -> None:
    """Cut the table where any part begins or ends: in every piece the parts must share the rows."""
    for a, b in itertools.combinations(placed, 2):
        if _meet(a.part, b.part, table):
            raise PlacementError(f"{a.name} and {b.name} hold the same row and column for the same lookup")
    columns = _cuts([(p.column_first, p.column_first + p.columns) for _, p in placed], table.dim)
    lookups = _cuts([(p.served(table).start, p.served(table).stop) for _, p in placed], table.lookups)
    for (column, end), (lookup, _) in itertools.product(columns, lookups):
        rows = sum(
            part.rows
            for _, part in placed
            if part.column_first <= column < part.column_first + part.columns and lookup in part.served(table)
        )
        if rows != table.rows:
            raise PlacementError(
                f"table {number}: of its {table.rows} rows only {rows} can be reached in columns {column} to {end - 1} "
                f"for lookup {lookup}"
            )


def _cuts(ranges: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    edges = sorted({0, size, *itertools.chain.from_iterable(ranges)})
    return itertools.pairwise(edges)


def _meet(a: Part, b: Part, table: Feature) -> bool:
    """Whether two parts of a table hold some row and column for one lookup; steps are powers of two."""
    if max(a.column_first, b.column_first) >= min(a.column_first + a.columns, b.column_first + b.columns):
        return False
    ours, theirs = a.served(table), b.served(table)
    if max(ours.start, theirs.start) >= min(ours.stop, theirs.stop):
        return False
    rows, others = sorted((a.row_numbers, b.row_numbers), key=lambda numbers: numbers.step)
    if (others.start - rows.start) % rows.step:
        return False
    behind = max(rows.start, others.start)
    first = behind + (others.start - behind) % others.step  # of the sparser rows, the first within both
    return first <= min(rows[-1], others[-1])


def _check_partners(plan: Plan, tables: Sequence[Feature]) -> None:
    """Sources whose rows are summed into the same columns of a pooled table must serve the same throughout."""
    serving: dict[int, list[tuple[PlannedSource, Part]]] = defaultdict(list)
    for source in plan.planned:
        for part in source.source.parts:
            if tables[part.feature].lookups > 1:
                for other, its in serving[part.feature]:
                    _check_pair(other, its, source, part)
                serving[part.feature].append((source, part))


def _check_pair(other: PlannedSource, its: Part, source: PlannedSource, part: Part) -> None:
    table = part.feature
    if other is source:
        numbers = [source.source.parts.index(found) for found in (its, part)]
        first, second = (f"part {number} (table {table}) of {source.channel}" for number in numbers)
        raise PlacementError(f"{first} and {second} are of one pooled table: put them on two channels")
    shared = max(part.column_first, its.column_first) < min(_end(part), _end(its))
    if shared and _served(other) != _served(source):
        raise PlacementError(
            f"{other.channel} and {source.channel} share the sums of table {table} and must serve the same tables "
            f"and columns, not those of {_listed(other)} and {_listed(source)}"
        )


def _end(part: Part) -> int:
    return part.column_first + part.columns


def _served(source: PlannedSource) -> list[tuple[int, int, int]]:
    return sorted((part.feature, part.column_first, part.columns) for part in source.source.parts)


def _listed(source: PlannedSource) -> str:
    return ", ".join(str(table) for table, _, _ in _served(source))


def _check_onchip(plan: Plan, board: Board) -> None:
    columns = 0
    for source in plan.planned:
        if source.source.kind is SourceKind.ONCHIP:
            words = max(part.end for part in source.source.parts) // AXI_BYTES
            columns += -(-words // URAM_WORDS)
    if columns * URAM_PER_BEAT > board.onchip_uram:
        raise PlacementError(
            f"the on-chip banks take {columns * URAM_PER_BEAT} URAM; tables may take {board.onchip_uram} of "
            f"{board.name}'s {board.uram}"
        )
