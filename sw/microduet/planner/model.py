"""How long a memory channel takes for one item: the only place with its numbers, in picoseconds.

A source that an item asks for `reads` rows of `beats` beats in all takes

    first + (reads - 1) next_read + (reads - groups) (same_bank - next_read) + (beats - reads) beat

where `groups` counts the groups of its parts that share no bank: a read that follows another one to the same bank
waits for it. It is the slowest case, the one that decides over an item: each part is read, and whatever may meet in
one bank does. An on-chip bank takes ``ONCHIP_FIRST + beats ONCHIP_BEAT``.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from microduet.placement import row_beats
from microduet_hw.config import Feature, Part, Precision, Source, SourceKind


class Law(NamedTuple):
    """Times of one kind of memory channel, in ps."""

    first: int
    """From a request to an idle channel, whose bank holds another row, to its first beat."""
    next_read: int
    """How much later the next read is there if it goes to another bank."""
    same_bank: int
    """The same, if it goes to the same bank."""
    beat: int
    """How much later each further beat of a row is there."""


LAWS = {
    SourceKind.HBM: Law(first=137_800, next_read=13_400, same_bank=53_300, beat=2_220),
    SourceKind.DDR: Law(first=106_600, next_read=13_400, same_bank=46_000, beat=2_220),
}
ONCHIP_FIRST, ONCHIP_BEAT = 9_000, 2_220

BANK_LOW, BANK_BITS = 11, 3
"""The bank bits of an address in an HBM channel (BA0, BA1, BG1 of the default map); DDR's map is not used."""
BANKS = 1 << BANK_BITS


class Load(NamedTuple):
    """What an item asks of a source."""

    reads: int
    beats: int
    groups: int

    def ps(self, kind: SourceKind) -> int:
        """Picoseconds that a source of `kind` takes for it."""
        if not self.reads:
            return 0
        if kind is SourceKind.ONCHIP:
            return ONCHIP_FIRST + self.beats * ONCHIP_BEAT
        law = LAWS[kind]
        waits = (self.reads - self.groups) * (law.same_bank - law.next_read)
        return law.first + (self.reads - 1) * law.next_read + waits + (self.beats - self.reads) * law.beat


def load(source: Source, tables: Sequence[Feature], precision: Precision) -> Load:
    """What an item that hits every part asks of `source`; `tables` are the physical ones."""
    reads = [len(part.served(tables[part.feature])) for part in source.parts]
    beats = [row_beats(part.columns, precision) for part in source.parts]
    return Load(
        reads=sum(reads),
        beats=sum(count * width for count, width in zip(reads, beats, strict=True)),
        groups=_groups(banks(part) for part in source.parts) if source.kind is SourceKind.HBM else 1,
    )


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
