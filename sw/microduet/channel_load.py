"""What a batch asks of each memory channel, and how fast the channel alone could answer it."""

import dataclasses

import numpy as np
import numpy.typing as npt

from microduet.memory_settings import Settings
from microduet_hw.config import AXI_BYTES, EngineConfig, Part
from microduet_hw.lookup.geometry import read_beats
from microduet_sim.dram.parameters import DramParameters
from microduet_sim.dram.replay import Trace, replay

OUTSTANDING = 64
"""Reads that keep a controller busy: as many as a port has IDs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChannelLoad:
    """One channel's share of a batch.

    Members
    -------
    source : number of the source
    reads, bytes : per item, on average; whole beats
    bound_ns : the least time per item, by the DRAM's controller with a deep queue or by the port's beats
    peak_gigabytes_per_s : of the DRAM's data bus
    """

    source: int
    reads: float
    bytes: float
    bound_ns: float
    peak_gigabytes_per_s: float


def channel_loads(config: EngineConfig, packet_ids: npt.NDArray[np.int64], settings: Settings) -> list[ChannelLoad]:
    """The load of every memory channel by a batch.

    Parameters
    ----------
    packet_ids : int64 (items, config.lookups), the indices as the engine gets them
    settings : the DRAM's parameters
    """
    loads: list[ChannelLoad] = []
    for source in config.channels:
        trace = channel_trace(config, source, packet_ids)
        parameters = settings[config.sources[source].kind]
        items, size = len(packet_ids), float(trace.bytes.sum())
        loads.append(
            ChannelLoad(
                source=source,
                reads=len(trace) / items,
                bytes=size / items,
                bound_ns=_bound_ns(trace, parameters, config.memory_mhz) / items if len(trace) else 0.0,
                peak_gigabytes_per_s=parameters.peak_gigabytes_per_s,
            )
        )
    return loads


def channel_trace(config: EngineConfig, source: int, packet_ids: npt.NDArray[np.int64]) -> Trace:
    """The reads of one channel for a batch, item by item and feature by feature."""
    first_columns = np.cumsum([0, *(feature.lookups for feature in config.features)])
    addresses: list[npt.NDArray[np.int64]] = []
    sizes: list[npt.NDArray[np.int64]] = []
    for part in sorted(config.sources[source].parts, key=lambda part: part.feature):
        lookups = part.served(config.features[part.feature])
        columns = first_columns[part.feature] + np.asarray(list(lookups))
        ids = packet_ids[:, columns]
        local = (ids - part.row_first) >> part.row_step_log2
        inside = (local >= 0) & (local < part.rows) & (ids - part.row_first == local << part.row_step_log2)
        beats = read_beats(config, part)
        addresses.append(np.where(inside, _offsets(part, local), -1))
        sizes.append(np.full(ids.shape, beats * AXI_BYTES))
    flat, bytes_ = np.concatenate(addresses, axis=1).ravel(), np.concatenate(sizes, axis=1).ravel()
    here = flat >= 0
    return Trace(addresses=flat[here].astype(np.uint64), bytes=bytes_[here].astype(np.uint32))


def _offsets(part: Part, local: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`Part.offset` of many rows."""
    linear = local << part.stride_log2
    above = linear >> part.hole_log2
    return part.base + (above << (part.hole_log2 + part.hole_bits)) + (linear - (above << part.hole_log2))


def _bound_ns(trace: Trace, parameters: DramParameters, port_mhz: float) -> float:
    busy = replay(trace, parameters, outstanding=OUTSTANDING)
    controller = float(busy.completion.max()) * parameters.tCK_ns
    return max(controller, float(trace.bytes.sum()) / AXI_BYTES * 1000 / port_mhz)
