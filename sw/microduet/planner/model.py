"""How long a memory channel takes for one item: the only place with its numbers, in picoseconds.

A source that an item asks for `reads` rows of `beats` beats in all, for which it opens pages `activations` times, takes
the longest of

    data         first + (beats - 1) beat
    activations  first - slack + (activations - 1) activation
    banks        first + (reads - 1) activation + waits + (beats - reads) tail

where `waits` is what reads wait for each other's banks: a part that shares its banks with another one meets it there
(``same_bank - activation``), and rows of one part meet as often as in one channel of `CHANNELS`. It is the slowest
case, the one that decides over an item that waits for all of its channels. An on-chip bank takes
``ONCHIP_FIRST + beats ONCHIP_BEAT``.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from microduet.placement import row_beats
from microduet_hw.config import AXI_BYTES, Feature, Part, Precision, Source, SourceKind


class Law(NamedTuple):
    """Times of one kind of memory channel, in ps, fitted to the DRAM's model (tests/sw/test_plan_law.py)."""

    first: int
    """From a request to an idle channel, whose bank holds another row, to its first beat."""
    activation: int
    """From activation to activation on average: a quarter of tFAW."""
    slack: int
    """How much sooner than that the last of them is: tFAW holds four close to each other."""
    same_bank: int
    """From a read to the next one of another row of the same bank: tRC."""
    beat: int
    """From beat to beat at the port."""
    tail: int
    """What a further beat of a row costs where rows wait for banks, which hides most of them."""
    burst: int
    """Bytes of a burst; two neighbours lie in different banks."""


LAWS = {
    SourceKind.HBM: Law(
        first=137_800,
        activation=6_110,
        slack=1_110,
        same_bank=48_900,
        beat=2_280,
        tail=1_400,
        burst=32,
    ),
    SourceKind.DDR: Law(
        first=106_600,
        activation=3_330,
        slack=0,
        same_bank=46_700,
        beat=2_220,
        tail=740,
        burst=64,
    ),
}
ONCHIP_FIRST, ONCHIP_BEAT = 9_000, 2_220
CHANNELS = 34
"""Channels of which the unluckiest is looked at."""
ALL_BANKS = 16
"""Banks over which the rows of a table are spread, in pairs if a row opens two."""

BANK_LOW, BANK_BITS = 11, 3
"""The bank bits of an address in an HBM channel (BA0, BA1, BG1 of the default map); DDR's map is not used."""
BANKS = 1 << BANK_BITS


class Load(NamedTuple):
    """What an item asks of a source; `waits` in ps."""

    reads: int = 0
    beats: int = 0
    activations: int = 0
    waits: int = 0

    def ps(self, kind: SourceKind) -> int:
        """Picoseconds that a source of `kind` takes for it."""
        if not self.reads:
            return 0
        if kind is SourceKind.ONCHIP:
            return ONCHIP_FIRST + self.beats * ONCHIP_BEAT
        law = LAWS[kind]
        return law.first + max(
            (self.beats - 1) * law.beat,
            (self.activations - 1) * law.activation - law.slack,
            (self.reads - 1) * law.activation + self.waits + (self.beats - self.reads) * law.tail,
        )


@functools.cache
def part_load(kind: SourceKind, reads: int, beats: int) -> Load:
    """What a part is asked for whose `reads` rows have `beats` beats in all."""
    if kind is SourceKind.ONCHIP:
        return Load(reads, beats)
    law = LAWS[kind]
    opened = min(2, math.ceil(beats // reads * AXI_BYTES / law.burst))
    waits = (_meeting(reads, ALL_BANKS // opened) - 1) * law.same_bank - (reads - 1) * law.activation
    return Load(reads, beats, reads * opened, max(0, waits))


def joint_load(kind: SourceKind, parts: Iterable[Load], groups: int) -> Load:
    """What a source is asked for whose `parts` form so many groups that share no bank."""
    every = list(parts)
    waits = 0 if kind is SourceKind.ONCHIP else (len(every) - groups) * sharing_ps(kind)
    return Load(
        reads=sum(part.reads for part in every),
        beats=sum(part.beats for part in every),
        activations=sum(part.activations for part in every),
        waits=waits + sum(part.waits for part in every),
    )


def sharing_ps(kind: SourceKind) -> int:
    """Picoseconds that a part costs for sharing its banks with another one."""
    return LAWS[kind].same_bank - LAWS[kind].activation


def _meeting(reads: int, banks: int) -> int:
    """How many of `reads` random rows meet in one of so many banks, in one channel of `CHANNELS`."""
    chances = [math.comb(reads, count) * (banks - 1) ** (reads - count) / banks**reads for count in range(reads + 1)]
    chance, count = 0.0, reads + 1
    while count > 1 and chance * banks * CHANNELS < 1:
        count -= 1
        chance += chances[count]
    return count


def load(source: Source, tables: Sequence[Feature], precision: Precision) -> Load:
    """What an item that hits every part asks of `source`; `tables` are the physical ones."""
    parts: list[Load] = []
    for part in source.parts:
        reads = len(part.served(tables[part.feature]))
        parts.append(part_load(source.kind, reads, reads * row_beats(part.columns, precision)))
    groups = _groups(banks(part) for part in source.parts) if source.kind is SourceKind.HBM else 1
    return joint_load(source.kind, parts, groups)


def banks(part: Part) -> frozenset[int]:
    """Numbers of the banks (their BANK_BITS bits) of an HBM channel that hold bytes of the part."""
    size, chunk = part.rows << part.stride_log2, 1 << BANK_LOW
    places = [*range(0, min(size, 2 * BANKS * chunk), chunk), size - 1]
    if part.hole_bits and part.hole_log2 < BANK_LOW:  # the hole splits what would be one bank's bytes
        return frozenset(range(BANKS))
    low = (1 << part.hole_log2) - 1
    return frozenset(
        part.base + (((place & ~low) << part.hole_bits) | (place & low)) >> BANK_LOW & (BANKS - 1) for place in places
    )


def _groups(sets: Iterable[frozenset[int]]) -> int:
    """How many groups of sets there are such that sets of different groups share nothing."""
    groups: list[frozenset[int]] = []
    for members in sets:
        joined = members.union(*(group for group in groups if group & members))
        groups = [group for group in groups if not group & members] + [joined]
    return len(groups)
