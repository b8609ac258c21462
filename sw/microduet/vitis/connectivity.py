"""Which memory of the card each port reads: the linker's configuration file, from the plan."""

from collections.abc import Mapping

from microduet.boards import Board
from microduet.errors import PlacementError
from microduet_hw.config import EngineConfig, SourceKind
from microduet_hw.export import module_name, streams
from microduet_hw.kernel import CLOCKS
from microduet_hw.lookup.unit import port_name

ENGINE = "engine"
"""Name of the engine's instance."""

SEND, RECEIVE = "microduet_send", "microduet_receive"
"""Kernels that move data between memory and streams; a sender is followed by the name of what it sends."""

TAGS = {SourceKind.HBM: "HBM", SourceKind.DDR: "DDR"}


def movers(config: EngineConfig) -> dict[str, str]:
    """By the engine's stream, the kernel that feeds it or takes what comes out; instances are called as kernels."""
    return {
        name: f"{SEND}_{name.removeprefix('s_axis_')}" if name.startswith("s_") else RECEIVE for name in streams(config)
    }


def banks(config: EngineConfig, board: Board) -> dict[int, str]:
    """The card's memory of each source that is a memory channel: the n-th HBM source lies in ``HBM[n]``.

    Raises
    ------
    PlacementError
        If the board has not so many channels of a kind, or one is too small for what lies in it.
    """
    found: dict[int, str] = {}
    for kind, tag in TAGS.items():
        sizes = [channel.size for channel in board.channels if channel.kind is kind]
        sources = [source for source in config.channels if config.sources[source].kind is kind]
        if len(sources) > len(sizes):
            raise PlacementError(
                f"{config.name} reads {len(sources)} channels of {kind}, {board.name} has {len(sizes)}: "
                "compile it for that board"
            )
        for number, (source, size) in enumerate(zip(sources, sizes, strict=False)):
            end = bytes_of(config, source)
            if end > size:
                raise PlacementError(f"source {source} of {config.name} takes {end} bytes, {tag}[{number}] has {size}")
            found[source] = f"{tag}[{number}]"
    missing = [source for source in config.channels if source not in found]
    if missing:
        kind = config.sources[missing[0]].kind
        raise PlacementError(f"{config.name} reads {kind} memory, which no card of Vitis has here")
    return dict(sorted(found.items()))


def bytes_of(config: EngineConfig, source: int) -> int:
    """Bytes of the buffer that a source reads, from its base to its last row."""
    return max((part.end for part in config.sources[source].parts), default=0)


def mover_bank(config: EngineConfig, board: Board, chosen: Mapping[int, str]) -> str:
    """Where the buffers of items, loads and results lie: a channel that the engine does not read, or the emptiest."""
    every = [
        f"{tag}[{number}]"
        for kind, tag in TAGS.items()
        for number in range(sum(channel.kind is kind for channel in board.channels))
    ]
    taken = {bank: bytes_of(config, source) for source, bank in chosen.items()}
    return min(every, key=lambda bank: taken.get(bank, 0))


def connectivity(config: EngineConfig, board: Board) -> str:
    """Text of the file for ``v++ --link --config``: instances, memories, streams, clocks."""
    chosen, name = banks(config, board), module_name(config)
    moving = mover_bank(config, board, chosen)
    lines = [f"# {name} on {board.name}: memories as its plan has them.", "[connectivity]", f"nk={name}:1:{ENGINE}"]
    lines += [f"nk={mover}:1:{mover}" for mover in movers(config).values()]
    lines += [f"sp={ENGINE}.{port_name(source)}:{bank}" for source, bank in chosen.items()]
    lines += [f"sp={mover}.memory:{moving}" for mover in movers(config).values()]
    for stream, mover in movers(config).items():
        ends = (f"{ENGINE}.{stream}", f"{mover}.beats")
        source, sink = ends if stream.startswith("m_") else ends[::-1]
        lines.append(f"stream_connect={source}:{sink}")
    lines += ["", "[clock]"]
    for domain, mhz in (("sync", config.engine_mhz), ("mem", config.memory_mhz)):
        lines.append(f"freqhz={mhz}000000:{ENGINE}.{CLOCKS[domain]}")
    return "\n".join(lines) + "\n"
