"""Room for check words: a plan whose rows all end in one."""

from collections.abc import Iterable

from microduet.boards import Board
from microduet.errors import PlacementError
from microduet.placement import Plan, PlannedSource, row_beats
from microduet_hw.config import AXI_BYTES, CHECK_BITS, Part, Precision, SourceKind


def with_room(plan: Plan, board: Board) -> Plan:
    """`plan`, with twice the stride where a row fills its own; everything stays where it is if none does.

    Raises
    ------
    PlacementError
        If a channel has not so much room, or a part that needs it lies in chosen banks: names the channel.
    """
    sizes = {channel.name: channel.size for channel in board.channels}
    planned = [
        source if source.source.kind is SourceKind.ONCHIP else _roomy(source, plan.precision, sizes[source.channel])
        for source in plan.planned
    ]
    return plan.replace(planned=tuple(planned))


def _roomy(planned: PlannedSource, precision: Precision, size: int) -> PlannedSource:
    parts = planned.source.parts
    strides = [_stride_log2(part, precision) for part in parts]
    longer = sum(_beats(part, precision) - row_beats(part.columns, precision) for part in parts)
    if strides == [part.stride_log2 for part in parts]:
        return planned.replace(beats=planned.beats + longer)
    if any(part.hole_bits for part in parts):
        raise PlacementError(f"{planned.channel}: rows in chosen banks have no room for a check word; use mode 'rule'")
    placed, used = _packed(zip(parts, strides, strict=True))
    if used > size:
        raise PlacementError(f"{planned.channel}: rows and their check words need {used} bytes of its {size}")
    source = planned.source.replace(parts=placed)
    return planned.replace(source=source, beats=planned.beats + longer, size=used)


def _packed(parts: Iterable[tuple[Part, int]]) -> tuple[tuple[Part, ...], int]:
    """The parts with their strides, one behind the other, and where they end."""
    placed: list[Part] = []
    used = 0
    for part, stride in sorted(parts, key=lambda entry: -entry[1]):
        placed.append(part.replace(stride_log2=stride, base=-(-used >> stride) << stride))
        used = placed[-1].end
    return tuple(placed), used


def _beats(part: Part, precision: Precision) -> int:
    return -(-(part.columns * precision.width + CHECK_BITS) // (8 * AXI_BYTES))


def _stride_log2(part: Part, precision: Precision) -> int:
    return max(part.stride_log2, (AXI_BYTES * _beats(part, precision) - 1).bit_length())
