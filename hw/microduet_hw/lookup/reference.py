"""The memory side in plain integers: what an item's vector and status are, whatever goes wrong."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig, Part, Precision
from microduet_hw.lookup.geometry import (
    ITEM_BITS,
    ITEM_WORDS,
    PartPlan,
    SourcePlan,
    dense_beats,
    index_beats,
    packet_positions,
    packet_words,
    served_lookups,
    source_plan,
)
from microduet_hw.lookup.pooling import saturated
from microduet_hw.status import QUERY, Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packet:
    """An item as it is sent: `beats` of its packet come, if that is not as many as there should be."""

    tag: int
    indices: Sequence[int]
    dense: Sequence[int] = ()
    """Elements as unsigned integers."""
    query: Mapping[int | str, int] = dataclasses.field(default_factory=dict)
    """Fields of `QUERY`; those left out are 0."""
    beats: int | None = None
    gone: bool = False
    """Whether the packet stops behind them, without a TLAST, until its item is given up."""


def packet_beats(config: EngineConfig, packet: Packet) -> list[int]:
    """The beats of `packet`, as unsigned integers; excess beats are all ones."""
    placed = zip((0, *packet_words(config)), (packet.tag, *packet.indices), strict=True)
    head = sum(value << 32 * word for word, value in placed)
    if config.user:
        head |= QUERY.const(dict(packet.query)).as_bits() << 32
    dense = sum(element << config.precision.width * k for k, element in enumerate(packet.dense))
    mask = (1 << ITEM_BITS) - 1
    beats = [head >> ITEM_BITS * k & mask for k in range(index_beats(config))]
    beats += [dense >> ITEM_BITS * k & mask for k in range(dense_beats(config))]
    count = len(beats) if packet.beats is None else packet.beats
    return (beats + [mask] * count)[:count]


def reads(plan: SourcePlan, config: EngineConfig, packet: Packet) -> list[tuple[int, int]]:
    """Address and beats of every read that a memory channel is asked for this item, in order."""
    return [
        (part.address(index), part.read_beats)
        for part, index in _lookups(plan, config, packet)
        if index is not None and index in part.part.row_numbers
    ]


def routed(config: EngineConfig, packet: Packet) -> list[list[list[int]]]:
    """Per channel and feature of spread tables: the indices that the channel is given, in any order."""
    come = ITEM_WORDS * (index_beats(config) if packet.beats is None else packet.beats)
    placed = iter(zip(packet_words(config), packet.indices, strict=True))
    given = [
        [index for word, index in itertools.islice(placed, feature.lookups) if word < come]
        for feature in config.features
    ]
    channels = range(len(config.sources))
    return [[[i for i in indices if i % len(channels) == channel] for indices in given] for channel in channels]


def assemble(
    config: EngineConfig,
    tables: Sequence[npt.NDArray[np.int64]],
    packet: Packet,
    faults: Mapping[int, Sequence[Status]] | None = None,
) -> tuple[npt.NDArray[np.int64], Status]:
    """The vector of an item, int64 (elements), and its status flags.

    Parameters
    ----------
    tables : of every feature, int64 (rows, dim)
    faults : of a source, per read as `reads` counts them: the flag that it fails with, or OK
    """
    zero = 128 if config.precision is Precision.INT8 else 0
    status = Status.OK
    # Whichever sources the rows of a sum come from, it is one sum, and saturated once.
    totals = np.full(config.vector_elements, zero, np.int64)
    for source in range(len(config.sources)):
        if not config.sources[source].parts:
            continue
        plan = source_plan(config, source)
        told = iter((faults or {}).get(source, ()))
        for part, index in _lookups(plan, config, packet):
            row, flags = _row(part.part, index, tables[part.part.feature], told)
            status |= flags
            if row is not None:
                first = config.features[part.part.feature].position + part.part.column_first + config.feature_start
                totals[first : first + part.part.columns] += row - zero
    vector = saturated(totals, precision=config.precision)
    return _with_dense(config, packet, vector, zero), status | _packet_flags(config, packet)


def _lookups(plan: SourcePlan, config: EngineConfig, packet: Packet) -> list[tuple[PartPlan, int | None]]:
    """Per lookup of a source: its part, and its index or None if it did not come."""
    parts = [part for part in plan.parts for _ in part.served]
    come = ITEM_WORDS * (index_beats(config) if packet.beats is None else packet.beats)
    served = zip(parts, served_lookups(config, plan), packet_positions(config, plan), strict=True)
    return [(part, packet.indices[lookup] if word < come else None) for part, lookup, word in served]


def _row(
    part: Part, index: int | None, table: npt.NDArray[np.int64], told: Iterator[Status]
) -> tuple[npt.NDArray[np.int64] | None, Status]:
    """What the part adds to a sum, if anything, and what went wrong."""
    if index is None:
        return None, Status.OK
    if index >= len(table):
        return None, Status.INDEX_RANGE
    if index not in part.row_numbers:
        return None, Status.OK
    fault = next(told, Status.OK)
    if fault:
        return None, fault
    return table[index, part.column_first : part.column_first + part.columns], Status.OK


def _with_dense(
    config: EngineConfig, packet: Packet, vector: npt.NDArray[np.int64], zero: int
) -> npt.NDArray[np.int64]:
    per_beat = ITEM_BITS // config.precision.width
    come = dense_beats(config) if packet.beats is None else max(0, packet.beats - index_beats(config))
    for k in range(config.dense):
        value = packet.dense[k] if k // per_beat < come else zero
        sign = config.precision.signed and value >> config.precision.width - 1
        vector[config.dense_position + k] = value - (1 << config.precision.width) if sign else value
    return vector


def _packet_flags(config: EngineConfig, packet: Packet) -> Status:
    right = index_beats(config) + dense_beats(config)
    beats = right if packet.beats is None else packet.beats
    if packet.gone:
        return Status.TIMEOUT | (Status.LONG_PACKET if beats > right else Status.OK)
    if beats == right:
        return Status.OK
    return Status.SHORT_PACKET if beats < right else Status.LONG_PACKET
