"""The memory side in plain integers: what an item's vector and status are, whatever goes wrong."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig, Precision
from microduet_hw.lookup.geometry import (
    ITEM_BITS,
    ITEM_WORDS,
    PartPlan,
    SourcePlan,
    dense_beats,
    index_beats,
    packet_positions,
    source_plan,
)
from microduet_hw.lookup.pooling import pooled
from microduet_hw.status import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packet:
    """An item as it is sent: `beats` of its packet come, if that is not as many as there should be."""

    tag: int
    indices: Sequence[int]
    dense: Sequence[int] = ()
    """Elements as unsigned integers."""
    beats: int | None = None


def packet_beats(config: EngineConfig, packet: Packet) -> list[int]:
    """The beats of `packet`, as unsigned integers; excess beats are all ones."""
    words = [packet.tag, *packet.indices]
    head = sum(word << 32 * k for k, word in enumerate(words))
    dense = sum(element << config.precision.width * k for k, element in enumerate(packet.dense))
    mask = (1 << ITEM_BITS) - 1
    beats = [head >> ITEM_BITS * k & mask for k in range(index_beats(config))]
    beats += [dense >> ITEM_BITS * k & mask for k in range(dense_beats(config))]
    count = len(beats) if packet.beats is None else packet.beats
    return (beats + [mask] * count)[:count]


def reads(plan: SourcePlan, config: EngineConfig, packet: Packet) -> list[tuple[int, int]]:
    """Address and beats of every read that a memory channel is asked for this item, in order."""
    return [
        (part.address(index), part.beats)
        for part, index, _ in _lookups(plan, config, packet)
        if index is not None and part.part.row_first <= index < part.row_end
    ]


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
    vector = np.full(config.vector_elements, zero, np.int64)
    status = Status.OK
    # A part that another source's rows fall to leaves what that one wrote.
    for source in range(len(config.sources)):
        if not config.sources[source].parts:
            continue
        plan = source_plan(config, source)
        told = iter((faults or {}).get(source, ()))
        rows: dict[int, list[npt.NDArray[np.int64]]] = {}
        for part, index, number in _lookups(plan, config, packet):
            row, flags = _row(part, index, tables[part.part.feature], told, zero)
            status |= flags
            if row is not None:
                rows.setdefault(number, []).append(row)
        for number, found in rows.items():
            part = plan.parts[number].part
            first = config.features[part.feature].position + part.column_first
            vector[first : first + part.columns] = pooled(np.stack(found), precision=config.precision)
    return _with_dense(config, packet, vector, zero), status | _packet_flags(config, packet)


def _lookups(plan: SourcePlan, config: EngineConfig, packet: Packet) -> list[tuple[PartPlan, int | None, int]]:
    """Per lookup of a source: its part, its index or None if it did not come, and the part's number."""
    parts = [(part, number) for number, part in enumerate(plan.parts) for _ in range(part.lookups)]
    come = ITEM_WORDS * (index_beats(config) if packet.beats is None else packet.beats)
    positions = packet_positions(config, plan)
    return [
        (part, packet.indices[position - 1] if position < come else None, number)
        for (part, number), position in zip(parts, positions, strict=True)
    ]


def _row(
    part: PartPlan, index: int | None, table: npt.NDArray[np.int64], told: Iterator[Status], zero: int
) -> tuple[npt.NDArray[np.int64] | None, Status]:
    zeros = np.full(part.part.columns, zero, np.int64)
    if index is None:
        return zeros, Status.OK
    if index >= part.table_rows:
        return zeros, Status.INDEX_RANGE
    if not part.part.row_first <= index < part.row_end:
        return None, Status.OK
    fault = next(told, Status.OK)
    if fault:
        return zeros, fault
    return table[index, part.part.column_first : part.part.column_first + part.part.columns], Status.OK


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
    if beats == right:
        return Status.OK
    return Status.SHORT_PACKET if beats < right else Status.LONG_PACKET
