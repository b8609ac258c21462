"""What is fixed about lookups before any index comes: who serves them, where rows lie, when indices are dealt out."""

import functools
import itertools
import math
from collections import deque
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Value

from microduet_hw.axi import ADDRESS_BITS, PAGE_BYTES
from microduet_hw.config import AXI_BYTES, CHECK_BITS, EngineConfig, Frozen, Part, SourceKind
from microduet_hw.part_rules import in_order

WORD_BITS = 32
"""Bits of an index in an item packet."""
ITEM_BITS = 512
"""Width of a beat of an item packet."""
ITEM_WORDS = ITEM_BITS // WORD_BITS
QUEUE_DEPTH = 16
"""Indices that may wait in front of a source."""


class Spread(NamedTuple):
    """Which wire of an index is which of an address: numbers of bits only, so that it costs nothing."""

    step: int
    stride: int
    hole: tuple[int, int]
    """Where zeros are put in, and how many."""

    def of(self, index: Value) -> Value:
        """Distance of row `index` from the origin, ADDRESS_BITS wide."""
        low, zeros = self.hole
        linear = Cat(Const(0, self.stride), index[self.step :])
        return Cat(linear[:low], Const(0, zeros), linear[low:], Const(0, ADDRESS_BITS))[:ADDRESS_BITS]


def read_beats(config: EngineConfig, part: Part) -> int:
    """Beats of a row in a memory channel: one more where its last has no room for the check word."""
    return math.ceil((part.columns * config.precision.width + config.row_check * CHECK_BITS) / (8 * AXI_BYTES))


class PartPlan(Frozen, frozen=True, kw_only=True):
    """One part of a source as its reader sees it."""

    part: Part
    served: tuple[int, ...]
    """Numbers, within the feature, of the lookups that the part serves."""
    pooled: bool
    """Whether the feature sums several rows, be they served here or not."""
    table_rows: int
    """Rows of the whole table: an index beyond is an error, not just elsewhere."""
    elements: int
    """Elements of a full beat."""
    element_bits: int
    read_beats: int
    """Beats that are read of a row: one more where its last has no room for the check word."""
    checked: bool = False
    """Whether every row ends in a check word."""

    @property
    def lookups(self) -> int:
        """Rows per item."""
        return len(self.served)

    @property
    def beats(self) -> int:
        """Beats of a row."""
        return math.ceil(self.part.columns / self.elements)

    @property
    def row_first(self) -> int:
        """No row before this one is in the part; the first rows of steps are told apart by their lowest bits."""
        return 0 if self.part.row_step_log2 else self.part.row_first

    @property
    def row_end(self) -> int:
        """No row from this one on is in the part, but where its last step would end, the table does."""
        rows = self.part.row_numbers
        return self.table_rows if rows.stop >= self.table_rows else rows[-1] + 1

    @property
    def row_mask(self) -> tuple[int, int]:
        """The lowest bits of its rows: which of them count, and what they are."""
        mask = (1 << self.part.row_step_log2) - 1
        return mask, self.part.row_first & mask

    @property
    def spread(self) -> "Spread":
        """How a row's number becomes its distance from `origin`."""
        part = self.part
        hole = (part.hole_log2, part.hole_bits) if part.hole_bits else (0, 0)
        return Spread(step=part.row_step_log2, stride=part.stride_log2, hole=hole)

    @property
    def origin(self) -> int:
        """Where row 0 of the table would lie, modulo the address space."""
        return (self.part.base - (self.row_first << self.part.stride_log2)) % (1 << ADDRESS_BITS)

    def address(self, index: int) -> int:
        """Byte address of row `index`, one of the part's."""
        return self.part.offset(self.part.row_numbers.index(index))

    def beat_elements(self, beat: int) -> int:
        """Elements in beat `beat` of a row."""
        return min(self.elements, self.part.columns - beat * self.elements)


class SourcePlan(Frozen, frozen=True, kw_only=True):
    """One source's parts in the order in which it serves them: by feature, that is as indices come."""

    source: int
    parts: tuple[PartPlan, ...]
    shared: bool = False
    """Whether the source has partners: its rows are parts of sums that are joined later."""
    marked: bool = False
    """Whether lookups say themselves which is a feature's last: of spread tables, nobody counts a source's."""
    flags: int = 3
    """Flags of a row: one more in an engine whose rows are checked."""

    @property
    def width(self) -> int:
        """Bits of the widest beat."""
        return max(plan.beat_elements(0) * plan.element_bits for plan in self.parts)

    @property
    def beats(self) -> int:
        """Beats of the longest row."""
        return max(plan.beats for plan in self.parts)

    @property
    def read_beats(self) -> int:
        """The most beats that are read of a row."""
        return max(plan.read_beats for plan in self.parts)

    @property
    def checked(self) -> bool:
        """Whether the source's rows end in a check word."""
        return self.parts[0].checked

    @property
    def lookups(self) -> int:
        """The most rows that one feature sums."""
        return max(plan.lookups for plan in self.parts)

    @property
    def pooled(self) -> bool:
        """Whether any feature sums several rows."""
        return self.lookups > 1

    @property
    def words(self) -> int:
        """Words of 32 bytes of the address space in use."""
        return max(plan.part.end for plan in self.parts) // AXI_BYTES


def source_plan(config: EngineConfig, source: int) -> SourcePlan:
    """The parts of `source`, checked.

    Raises
    ------
    ValueError
        If a row is longer than 4 KiB, may cross a 4 KiB boundary or leaves the channel; if the stride is not whole
        beats; if two parts are of one pooled feature, for its sum is of one part.
    """
    onchip = config.sources[source].kind is SourceKind.ONCHIP
    plans = tuple(
        PartPlan(
            part=part,
            served=tuple(part.served(config.features[part.feature])),
            pooled=config.features[part.feature].lookups > 1,
            table_rows=config.features[part.feature].rows,
            elements=config.elements_per_beat,
            element_bits=config.precision.width,
            read_beats=math.ceil(part.columns / config.elements_per_beat) if onchip else read_beats(config, part),
            checked=config.row_check and not onchip,
        )
        for part in in_order(config.sources[source])
    )
    for plan in plans:
        _check(plan, onchip=onchip, name=f"source {source}")
    pooled = [plan.part.feature for plan in plans if plan.pooled]
    if len(set(pooled)) != len(pooled):
        raise ValueError(f"source {source}: a pooled feature must have one part per source, not several")
    shared = any(source in group and len(group) > 1 for group in config.partners)
    flags = 4 if config.row_check else 3
    return SourcePlan(source=source, parts=plans, shared=shared, marked=config.spread > 0, flags=flags)


def _check(plan: PartPlan, *, onchip: bool, name: str) -> None:
    part, size = plan.part, plan.read_beats * AXI_BYTES
    stride = 1 << part.stride_log2
    where = f"{name}, feature {part.feature}"
    if stride > PAGE_BYTES or size > stride:
        raise ValueError(f"{where}: a row must lie within its stride, of at most 4096 bytes, not {size} in {stride}")
    if stride < AXI_BYTES or part.base % AXI_BYTES:
        raise ValueError(f"{where}: base and stride must be whole beats of 32 bytes, not {part.base} and {stride}")
    if not onchip and part.base % stride + size > stride:
        raise ValueError(f"{where}: base must be a multiple of the stride {stride}, not {part.base}")
    if part.end > 1 << ADDRESS_BITS:
        raise ValueError(f"{where}: rows must end within 2^{ADDRESS_BITS} bytes")


def index_beats(config: EngineConfig) -> int:
    """Beats of an item packet that hold the header and the indices."""
    if config.spread:
        return 1 + sum(_feature_beats(config))
    return math.ceil((config.header_words + config.lookups) / ITEM_WORDS)


def dense_beats(config: EngineConfig) -> int:
    """Beats of an item packet that hold dense elements."""
    return math.ceil(config.dense * config.precision.width / ITEM_BITS)


def _feature_beats(config: EngineConfig) -> list[int]:
    """Beats of each feature's lookups where features begin on fresh beats."""
    return [math.ceil(feature.lookups / ITEM_WORDS) for feature in config.features]


@functools.lru_cache(maxsize=16)
def packet_words(config: EngineConfig) -> tuple[int, ...]:
    """For every lookup, in the order of features: its word in the item packet.

    The first `QUEUE_DEPTH` lookups of each source stand in rounds, in each of which a source is asked for one row at
    most, so that every source begins at once. The others are spread evenly: a source that is asked for few does not
    hold up one that is asked for many. A source's own lookups stand in the order in which it serves them. Those of
    spread tables stand in their own order, each feature's on fresh beats.
    """
    if config.spread:
        firsts = itertools.accumulate(_feature_beats(config), initial=1)
        return tuple(
            beat * ITEM_WORDS + lookup
            for feature, beat in zip(config.features, firsts, strict=False)
            for lookup in range(feature.lookups)
        )
    waiting = [
        deque(dict.fromkeys(lookup for part in in_order(source) for lookup in _served(config, part)))
        for source in config.sources
    ]
    asked: list[list[int]] = [[] for _ in range(config.lookups)]
    for number, queue in enumerate(waiting):
        for lookup in queue:
            asked[lookup].append(number)
    totals = [len(queue) for queue in waiting]

    def turn(lookup: int) -> tuple[float, int, int]:
        numbers = [(totals[source] - len(waiting[source]), totals[source]) for source in asked[lookup]]
        return max(max(0, k - QUEUE_DEPTH) / of for k, of in numbers), max(k for k, _ in numbers), lookup

    words = [0] * config.lookups
    for word in range(config.header_words, config.header_words + config.lookups):
        heads = {queue[0] for queue in waiting if queue}
        ready = [lookup for lookup in heads if all(waiting[source][0] == lookup for source in asked[lookup])]
        lookup = min(ready, key=turn)
        words[lookup] = word
        for source in asked[lookup]:
            waiting[source].popleft()
    return tuple(words)


def _served(config: EngineConfig, part: Part) -> list[int]:
    """The part's lookups, counted over all features."""
    first = sum(feature.lookups for feature in config.features[: part.feature])
    return [first + lookup for lookup in part.served(config.features[part.feature])]


def packet_positions(config: EngineConfig, plan: SourcePlan) -> list[int]:
    """For every lookup of the source, in the order of service: its word in the item packet."""
    words = packet_words(config)
    return [words[lookup] for lookup in served_lookups(config, plan)]


def served_lookups(config: EngineConfig, plan: SourcePlan) -> list[int]:
    """The source's lookups in the order of service, counted over all features."""
    firsts = [0, *itertools.accumulate(feature.lookups for feature in config.features)]
    return [firsts[p.part.feature] + lookup for p in plan.parts for lookup in p.served]
