"""A solution of mode `best` in numbers of tables and pieces, and the seats that its pieces are counted on."""

import dataclasses
from collections import Counter

from microduet.planner.model import BANKS, joint_load, part_load
from microduet.planner.options import ONCHIP, UNITS, Choices, Kind
from microduet_hw.config import SourceKind

MOST_BANKS = 16
"""On-chip banks at most."""


@dataclasses.dataclass(frozen=True)
class Seat:
    """A channel, or `gang` channels with copies of the same pieces; or an on-chip bank."""

    group: int
    gang: int
    number: int


@dataclasses.dataclass
class Solution:
    """How many tables of each class take each option, and how many pieces of each kind each seat holds.

    Members
    -------
    tables : by (class, option)
    pieces : per seat by kind
    banks : per on-chip bank, the numbers of tables by their beats
    """

    tables: Counter[tuple[int, int]]
    pieces: dict[Seat, Counter[Kind]]
    banks: list[Counter[int]]

    def words(self, choices: Choices) -> int:
        """Words of 32 bytes stored in all."""
        return sum(count * choices.options[of][option].words for (of, option), count in self.tables.items())

    def slowest_ps(self, choices: Choices) -> int:
        """Picoseconds of the slowest seat."""
        times = [seat_ps(choices, seat, held) or 0 for seat, held in self.pieces.items()]
        return max([*times, *(bank_ps(bank) for bank in self.banks)], default=0)


def seats(choices: Choices) -> list[Seat]:
    """All seats there may be, those of one gang size in a row."""
    gangs = sorted(
        {(option.kind.group, option.kind.gang) for options in choices.options for option in options if option.kind}
    )
    return [
        Seat(group, gang, number)
        for group, gang in gangs
        for number in range(len(choices.groups[group].channels) // gang)
    ]


def bank_ps(bank: Counter[int]) -> int:
    """Picoseconds of an on-chip bank that holds tables of these beats."""
    beats = sum(width * count for width, count in bank.items())
    return part_load(SourceKind.ONCHIP, bank.total(), beats).ps(SourceKind.ONCHIP)


def seat_ps(choices: Choices, seat: Seat, held: Counter[Kind]) -> int | None:
    """Picoseconds of a seat that holds these pieces; None if they do not fit."""
    assert seat.group != ONCHIP
    kind = choices.groups[seat.group].kind
    groups = separated(held) if kind is SourceKind.HBM and held.total() > 1 else None
    if groups is None:
        if sum(piece.units * count for piece, count in held.items()) > UNITS:
            return None
        groups = 1
    return joint_load(kind, (part_load(kind, piece.reads, piece.beats) for piece in held.elements()), groups).ps(kind)


def separated(held: Counter[Kind]) -> int | None:
    """Groups of pieces with banks of their own; None if there are not enough banks for all."""
    if sum((UNITS >> piece.level) * count for piece, count in held.items()) > UNITS:
        return None
    large = [piece for piece in held.elements() if piece.level < 3]
    eighths = BANKS - sum(BANKS >> piece.level for piece in large)
    return len(large) + min(eighths, held.total() - len(large))
