"""Modes `paper-built` and `paper-hbm`: what MicroRec's authors built, with and without products, for any model.

A round reads one table from every channel and one from each of eight on-chip banks. For the fewest rounds r in which
all tables can be read:

1. The narrow tables, whose rows fill at most half a beat in fp32, are the first candidates for products, smallest
   first, as many as must be joined.
2. Of the others the 8 r smallest are reserved on chip, before further candidates are chosen.
3. If there are too few narrow tables, the next smallest behind the reservation are candidates too.
4. The smallest candidate is joined with the largest, and so on. No more are joined than must be.
5. If fewer tables need the large channels (DDR) than there are, the largest of them is split by columns over those
   that would be left without one.
6. If all tables in DRAM have the same number of lookups, above one, a copy per lookup is kept.

`paper-hbm` is what the paper compares that with: as many tables on chip, but the smallest of all; the others dealt out
whole, in as many rounds as that takes. Rule 6 holds, the others speak of products or serve to spare a round.
"""

import math
from collections import Counter
from collections.abc import Sequence

from microduet.boards import Board, Channel
from microduet.placement import Plan, row_beats, stride_log2, table_bytes
from microduet.planner import allocate, pieces
from microduet.planner.allocate import BANKS, Joined, Seat
from microduet.planner.physical import physical_shape
from microduet.planner.pieces import Piece
from microduet.shape import ModelShape
from microduet_hw.config import Feature, Precision, SourceKind

MODE = "paper-built"
WITHOUT_PRODUCTS = "paper-hbm"
NARROW = 4
"""Elements in half a beat of 32 bytes, in fp32 as the paper counts."""
TRIES = 3
"""Numbers of products tried per number of rounds: the least, and a few more where sizes stand in the way."""


def plan(shape: ModelShape, *, precision: Precision, board: Board) -> Plan:
    """The plan with the fewest rounds, then the fewest products.

    Raises
    ------
    PlacementError
        If the tables fit in no number of rounds: names the largest.
    """
    most = sum(feature.lookups for feature in shape.features)
    for builder in _builders(shape, precision, board):
        for rounds in range(1, most + 1):
            missing = builder.missing(rounds)
            for products in range(missing, min(missing + TRIES, len(shape.features) // 2 + 1)):
                found = builder.attempt(rounds, products)
                if found is not None:
                    return found
    raise allocate.all_too_large(shape, precision=precision, board=board)


def plan_without_products(shape: ModelShape, *, precision: Precision, board: Board) -> Plan:
    """Mode `paper-hbm`: as many tables on chip as `plan` has there, no products.

    Raises
    ------
    PlacementError
        As `plan` does.
    """
    built = plan(shape, precision=precision, board=board)
    onchip = sum(len(planned.source.parts) for planned in built.planned if planned.source.kind is SourceKind.ONCHIP)
    for builder in _builders(shape, precision, board):
        found = builder.unjoined(onchip)
        if found is not None:
            return found
    raise allocate.all_too_large(shape, precision=precision, board=board)


def _builders(shape: ModelShape, precision: Precision, board: Board) -> list["_Builder"]:
    """With copies, then without; raises PlacementError if no arrangement can hold some table."""
    builders = [_Builder(shape, precision, board, replicate=replicate) for replicate in (True, False)]
    misfit = next((number for number in range(len(shape.features)) if not builders[0].holds(number)), None)
    if misfit is not None:
        raise allocate.table_too_large(shape, misfit, precision=precision, board=board)
    return builders


class _Builder:
    def __init__(self, shape: ModelShape, precision: Precision, board: Board, *, replicate: bool) -> None:
        self.shape, self.precision, self.board = shape, precision, board
        self.ordered = allocate.by_size(shape)
        self.copies = self._copies() if replicate else 1

    def missing(self, rounds: int) -> int:
        """Products without which there are more tables than `rounds` rounds read."""
        onchip, seats = self._reserve(rounds, [])[1], self._seats()
        reads = [math.ceil(joined.table.lookups / self.copies) for joined in self.ordered]
        split = sum(len(group) - 1 for group in self._split(self.ordered, idle=True).values())
        return max(0, sum(reads) + split - len(onchip) - rounds * len(seats))

    def attempt(self, rounds: int, products: int) -> Plan | None:
        """The plan with so many products, if everything fits and is read in `rounds` rounds."""
        candidates, onchip = self._choose(rounds, products)
        joined = allocate.join(candidates)
        if joined is None or len(candidates) < 2 * products:
            return None
        taken = {table.members for table in (*candidates, *onchip)}
        rest = [*joined, *(table for table in self.ordered if table.members not in taken)]
        return self._dealt(onchip, rest, self._split(rest, idle=True), mode=MODE, rounds=rounds)

    def unjoined(self, onchip: int) -> Plan | None:
        """The plan with the `onchip` smallest tables on chip and no product, if everything fits."""
        onchip = allocate.fitting_onchip(self.ordered, onchip, precision=self.precision, board=self.board)
        rest = self.ordered[onchip:]
        return self._dealt(self.ordered[:onchip], rest, self._split(rest, idle=False), mode=WITHOUT_PRODUCTS)

    def _dealt(
        self,
        onchip: list[Joined],
        rest: list[Joined],
        split: dict[int, list[Piece]],
        *,
        mode: str,
        rounds: int | None = None,
    ) -> Plan | None:
        """The plan with `onchip` on chip and the pieces of `rest` in DRAM, if they fit and take at most `rounds`."""
        tables, seats = [*onchip, *rest], self._seats()
        features = physical_shape(self.shape, allocate.products_of(tables)).features
        if not allocate.deal(split.values(), seats, features):
            return None
        if rounds is not None and max(seat.reads for seat in seats) > rounds:
            return None
        return allocate.assemble(
            self.shape, tables, mode=mode, seats=seats, onchip=onchip, precision=self.precision, board=self.board
        )

    def _choose(self, rounds: int, products: int) -> tuple[list[Joined], list[Joined]]:
        """Candidates, smallest first, and the tables on chip: rules 1 to 3."""
        narrow = [table for table in self.ordered if table.table.dim <= NARROW][: 2 * products]
        others, onchip = self._reserve(rounds, narrow)
        further = others[len(onchip) :][: 2 * products - len(narrow)]
        return sorted([*narrow, *further], key=lambda table: table.elements), onchip

    def _reserve(self, rounds: int, candidates: Sequence[Joined]) -> tuple[list[Joined], list[Joined]]:
        """The tables that are not `candidates`, and those of them that lie on chip."""
        taken = {table.members for table in candidates}
        others = [table for table in self.ordered if table.members not in taken]
        count = allocate.fitting_onchip(others, BANKS * rounds, precision=self.precision, board=self.board)
        return others, others[:count]

    def _copies(self) -> int:
        """Rule 6."""
        onchip = self._reserve(1, [])[1]
        lookups = {joined.table.lookups for joined in self.ordered[len(onchip) :]}
        most = max(Counter(channel.size for channel in self.board.channels).values())
        return copies if len(lookups) == 1 and (copies := lookups.pop()) <= most else 1

    def _seats(self) -> list[Seat]:
        """Channels by groups of as many as there are copies, each of one size."""
        sizes: dict[int, list[Channel]] = {}
        for channel in self.board.channels:
            sizes.setdefault(channel.size, []).append(channel)
        return [
            Seat(tuple(group[first : first + self.copies]))
            for group in sizes.values()
            for first in range(0, len(group) - self.copies + 1, self.copies)
        ]

    def _split(self, tables: Sequence[Joined], *, idle: bool) -> dict[int, list[Piece]]:
        """Pieces of every table: what fits no channel is split, and over `idle` channels by rule 5."""
        products = allocate.products_of(tables)
        numbers, features = allocate.numbered(self.shape, tables), physical_shape(self.shape, products).features
        sizes = [channel.size for channel in self.board.channels]
        result = {
            numbers[joined.members]: self._fitting(numbers[joined.members], joined.table, max(sizes))
            for joined in tables
        }
        small = min(sizes)
        needing = [joined for joined in tables if table_bytes(joined.table, self.precision) > small]
        spare = sizes.count(max(sizes)) - len(needing)
        if idle and small < max(sizes) and needing and spare > 0 and self.copies == 1:
            widest = max(needing, key=lambda joined: table_bytes(joined.table, self.precision))
            number = numbers[widest.members]
            result[number] = allocate.even_columns(number, features[number], spare + 1, self.precision)
        return result

    def holds(self, number: int) -> bool:
        """Whether a channel holds each piece of a feature's table, and the board all of them."""
        largest, room = self.board.largest_channel.size, sum(channel.size for channel in self.board.channels)
        sizes = [piece.size for piece in self._fitting(number, self.shape.features[number], largest)]
        return max(sizes) <= largest and sum(sizes) <= room

    def _fitting(self, number: int, table: Feature, limit: int) -> list[Piece]:
        """A table in as few pieces as the largest channel asks for: of columns, or else of rows."""
        for count in range(1, row_beats(table.dim, self.precision) + 1):
            split = pieces.column_pieces(number, table, count, self.precision)
            if split[0].size <= limit:
                return split
        whole = pieces.whole(number, table, self.precision)
        step = math.ceil(math.log2(table.rows / (limit >> stride_log2(table.dim, self.precision))))
        return pieces.row_pieces(whole, step) if table.lookups == 1 else [whole]
