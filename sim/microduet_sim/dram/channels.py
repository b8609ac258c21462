"""The DRAM behind the ports of an engine."""

import ctypes
import functools
from collections.abc import Mapping

from microduet_hw.config import EngineConfig, SourceKind
from microduet_hw.edge.config import EdgeConfig
from microduet_sim.dram.abi import MdDram, dram_argument
from microduet_sim.dram.parameters import DramParameters, built_in

DRAM_SETS = {SourceKind.HBM: "hbm2-u280", SourceKind.DDR: "ddr4-2400", SourceKind.LPDDR: "lpddr4x-4266"}
"""The built-in set for each kind of channel."""


SPREAD_SETS = DRAM_SETS | {SourceKind.HBM: "hbm2-u280-rows"}
"""The same of an engine whose tables are spread over all channels."""


@functools.cache
def default_parameters(kind: SourceKind, *, spread: bool = False) -> DramParameters:
    """What stands behind a channel of `kind` unless something else is asked for."""
    return built_in((SPREAD_SETS if spread else DRAM_SETS)[kind])


def dram_arguments(
    config: EngineConfig | EdgeConfig, chosen: Mapping[SourceKind, DramParameters]
) -> ctypes.Array[MdDram]:
    """One structure per memory channel, in the order of `config.channels`; channels of a kind refresh in that order.

    Raises
    ------
    ValueError
        If a part lies outside its channel.
    """
    kinds = [config.sources[source].kind for source in config.channels]
    spread = isinstance(config, EngineConfig) and config.spread > 0
    structures: list[MdDram] = []
    for number, (source, kind) in enumerate(zip(config.channels, kinds, strict=True)):
        parameters = chosen.get(kind) or default_parameters(kind, spread=spread)
        for part in config.sources[source].parts:
            if part.end > parameters.bytes:
                raise ValueError(
                    f"source {source}: feature {part.feature} must end within the channel's {parameters.bytes} bytes, "
                    f"not at {part.end}"
                )
        structures.append(dram_argument(parameters, channel=kinds[:number].count(kind), channels=kinds.count(kind)))
    return (MdDram * len(structures))(*structures)
