"""Mode `paper-literal`: Algorithm 1 of the MicroRec paper with its four rules, word for word.

For every n the n smallest tables are candidates (rule 1), joined in pairs (rule 2), the smallest with the largest
(rule 3); then the smallest tables go on chip and the others to the channels (rule 4). The allocation with the fewest
rounds wins; of equals, the one that stores least. No table is split: an allocation with a table too large for every
channel is dropped. N iterations visit at most N tables each.
"""

import math
from collections.abc import Sequence

from microduet.boards import Board
from microduet.placement import Plan, table_bytes
from microduet.planner import allocate, pieces
from microduet.planner.allocate import BANKS, Joined, Seat
from microduet.planner.physical import physical_shape
from microduet.shape import ModelShape
from microduet_hw.config import Precision

MODE = "paper-literal"


def plan(shape: ModelShape, *, precision: Precision, board: Board) -> Plan:
    """The best plan that Algorithm 1 finds.

    Raises
    ------
    PlacementError
        If every allocation is dropped: names the largest table.
    """
    ordered = allocate.by_size(shape)
    best: tuple[int, int] | None = None
    found: Plan | None = None
    for count in range(1, len(ordered) + 1):
        joined = allocate.join(ordered[:count])
        if joined is None:
            continue
        tables = sorted([*joined, *ordered[count:]], key=lambda table: table.elements)
        stored = sum(table.elements for table in tables)
        rounds, onchip = fewest_rounds(tables, precision=precision, board=board)
        if best is not None and (rounds, stored) >= best:
            continue  # no allocation of these tables can be better
        seats = [Seat((channel,)) for channel in board.channels]
        if _deal(shape, tables, onchip, seats, precision):
            rounds = max(math.ceil(onchip / BANKS), *(seat.reads for seat in seats))
            if best is None or (rounds, stored) < best:
                best = (rounds, stored)
                found = allocate.assemble(
                    shape,
                    tables,
                    mode=MODE,
                    seats=seats,
                    onchip=tables[:onchip],
                    precision=precision,
                    board=board,
                )
    if found is None:
        largest = ordered[-1].members[0]
        if table_bytes(ordered[-1].table, precision) <= board.largest_channel.size:
            raise allocate.all_too_large(shape, precision=precision, board=board)
        hint = f" ({MODE} splits no table)"
        raise allocate.table_too_large(shape, largest, precision=precision, board=board, hint=hint)
    return found


def fewest_rounds(tables: Sequence[Joined], *, precision: Precision, board: Board) -> tuple[int, int]:
    """Rule 4: rounds that cannot be avoided, and how many of the smallest tables lie on chip then."""
    channels = len(board.channels)
    reads = [joined.table.lookups for joined in tables]
    rounds = math.ceil(sum(reads) / (channels + BANKS))
    while True:
        onchip = allocate.fitting_onchip(tables, BANKS * rounds, precision=precision, board=board)
        if sum(reads[onchip:]) <= channels * rounds:
            return rounds, onchip
        rounds += 1


def _deal(
    shape: ModelShape, tables: Sequence[Joined], onchip: int, seats: Sequence[Seat], precision: Precision
) -> bool:
    numbers = allocate.numbered(shape, tables)
    features = physical_shape(shape, allocate.products_of(tables)).features
    rest = [
        [pieces.whole(numbers[joined.members], features[numbers[joined.members]], precision)]
        for joined in tables[onchip:]
    ]
    return allocate.deal(rest, seats, features)
