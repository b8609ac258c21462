"""Mode `spread`: every table over all HBM channels by rows, as engines of many lookups per item take them."""

from microduet.boards import Board, Channel
from microduet.errors import PlacementError
from microduet.placement import Plan, PlannedSource, row_beats, stride_log2, table_bytes
from microduet.planner.allocate import gigabytes
from microduet.shape import ModelShape
from microduet_hw.axi import PAGE_BYTES
from microduet_hw.config import Feature, Part, Precision, Source, SourceKind

MODE = "spread"
MOST_CHANNELS = 64
"""Channels that a router of spread lookups leads to."""


def spread_plan(shape: ModelShape, *, precision: Precision, board: Board) -> Plan:
    """Row i of every table in HBM channel i mod 2^n, of as many channels as a power of two has; tables one after
    another, the widest rows first, at the same bytes of every channel.

    Random rows of a table so lie in all banks, whichever table is served.

    Raises
    ------
    PlacementError
        If the board has less than two HBM channels, a table has less rows than there are channels or rows longer than
        4 KiB, or the tables are more than the channels hold: names the table.
    """
    channels = _channels(board)
    bits = len(channels).bit_length() - 1
    bases = _bases(shape, precision, channels)
    planned: list[PlannedSource] = []
    for first, channel in enumerate(channels):
        parts = tuple(
            Part(
                feature=number,
                row_first=first,
                row_step_log2=bits,
                rows=len(range(first, feature.rows, len(channels))),
                columns=feature.dim,
                base=bases[number],
                stride_log2=stride_log2(feature.dim, precision),
            )
            for number, feature in enumerate(shape.features)
        )
        beats = sum(f.lookups * row_beats(f.dim, precision) for f in shape.features) / len(channels)
        source = Source(kind=SourceKind.HBM, parts=parts)
        size = max(part.end for part in parts)
        planned.append(PlannedSource(channel=channel.name, source=source, beats=beats, size=size))
    return Plan(model=shape.name, board=board.name, precision=precision, mode=MODE, planned=tuple(planned))


def _channels(board: Board) -> tuple[Channel, ...]:
    hbm = [channel for channel in board.channels if channel.kind is SourceKind.HBM][:MOST_CHANNELS]
    if len(hbm) < 2:
        raise PlacementError(f"tables are spread over at least 2 HBM channels; {board.name} has {len(hbm)}")
    return tuple(hbm[: 1 << len(hbm).bit_length() - 1])


def _bases(shape: ModelShape, precision: Precision, channels: tuple[Channel, ...]) -> list[int]:
    """Where the rows of every table begin, in any channel."""
    size = min(channel.size for channel in channels)
    strides = [stride_log2(feature.dim, precision) for feature in shape.features]
    bases, end = [0] * len(strides), 0
    for number in sorted(range(len(strides)), key=lambda n: -strides[n]):
        feature = shape.features[number]
        _check(number, feature, precision, len(channels))
        bases[number] = end
        end += -(-feature.rows // len(channels)) << strides[number]
        if end > size:
            raise PlacementError(
                f"table {number} ({feature.rows} x {feature.dim}, {gigabytes(table_bytes(feature, precision))} in "
                f"{precision}) has no room beside the others in {len(channels)} channels of {gigabytes(size)}"
            )
    return bases


def _check(number: int, feature: Feature, precision: Precision, channels: int) -> None:
    if feature.rows < channels:
        raise PlacementError(
            f"table {number} has {feature.rows} rows and is not spread over {channels} channels: it needs one for each"
        )
    size = 1 << stride_log2(feature.dim, precision)
    if size > PAGE_BYTES:
        raise PlacementError(f"table {number}: a row must have at most {PAGE_BYTES} bytes, not {size}")
