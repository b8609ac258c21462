"""Which card holds which table, or which columns of one that no card could hold."""

import dataclasses
import math

from microduet.boards import Board
from microduet.errors import InputError, PlacementError
from microduet.placement import stride_log2
from microduet.shape import ModelShape, concatenated
from microduet_hw.config import AXI_BYTES, Frozen, Precision
from microduet_hw.shard import LINK_BITS, share_output

MOST_CARDS = 64
"""Cards that one switch joins."""


class Piece(Frozen, frozen=True, kw_only=True):
    """Columns of a feature's table, all of its rows."""

    feature: int
    column_first: int = 0
    columns: int


Pieces = tuple[Piece, ...]


@dataclasses.dataclass
class _Card:
    """What one card holds so far, and the elements that it is still to hold."""

    elements: int
    bytes: int = 0
    lookups: int = 0
    pieces: list[Piece] = dataclasses.field(default_factory=list[Piece])


def partition(shape: ModelShape, *, cards: int, precision: Precision, board: Board) -> tuple[Pieces, ...]:
    """Pieces by card: whole tables, or columns of one larger than a card, so that no sum crosses a card.

    The widest rows, of those the largest tables, are dealt out first, each to the card with the fewest lookups that has
    room for its bytes and, in a whole number of link beats, for its elements.

    Raises
    ------
    InputError
        If `cards` is not 1 to 64, or there are fewer tables.
    PlacementError
        If the tables do not fit so many cards: says how large they are.
    """
    if not 1 <= cards <= MOST_CARDS:
        raise InputError(f"cards must be 1 to {MOST_CARDS}, not {cards}")
    capacity = sum(channel.size for channel in board.channels)
    pieces = _cut(shape, capacity, precision)
    if cards > len(pieces):
        raise InputError(f"cards must be at most {len(pieces)}, the tables of {shape.name}, not {cards}")
    sizes = {piece: _bytes(shape, piece, precision) for piece in pieces}
    holders = [_Card(elements=quota) for quota in quotas(shape, cards=cards, precision=precision)]
    for piece in sorted(pieces, key=lambda one: (-one.columns, -sizes[one], one.feature, one.column_first)):
        fitting = [card for card in holders if card.bytes + sizes[piece] <= capacity]
        if not fitting:
            raise PlacementError(
                f"table {piece.feature} of {shape.name} ({sizes[piece] / 2**30:.2f} GiB of "
                f"{sum(sizes.values()) / 2**30:.2f} in {precision}) fits none of {cards} {board.name} cards, which "
                f"have {capacity / 2**30:.2f} GiB each"
            )
        _deal(fitting, piece, size=sizes[piece], lookups=shape.features[piece.feature].lookups)
    if not all(card.pieces for card in holders):
        raise InputError(f"cards must be fewer: one of {cards} would have no table of {shape.name}")
    return tuple(tuple(sorted(card.pieces, key=lambda one: (one.feature, one.column_first))) for card in holders)


def _deal(cards: list[_Card], piece: Piece, *, size: int, lookups: int) -> None:
    """Give `piece` to one of the cards that have room for its bytes."""
    roomy = [card for card in cards if card.elements >= piece.columns]
    if roomy:
        chosen = min(roomy, key=lambda card: (card.lookups, card.bytes))
    else:  # somebody has a beat more
        chosen = min(cards, key=lambda card: (bool(card.pieces), -card.elements, card.bytes))
    chosen.pieces.append(piece)
    chosen.elements -= piece.columns
    chosen.bytes += size
    chosen.lookups += lookups


def _cut(shape: ModelShape, capacity: int, precision: Precision) -> Pieces:
    """The tables, those larger than a card in as few groups of columns, whole beats each, as fit one."""
    per_beat = AXI_BYTES * 8 // precision.width
    pieces: list[Piece] = []
    for number, feature in enumerate(shape.features):
        whole, beats = Piece(feature=number, columns=feature.dim), math.ceil(feature.dim / per_beat)
        width = feature.dim
        for count in range(2, beats + 1):
            if _bytes(shape, whole.replace(columns=width), precision) <= capacity:
                break
            width = math.ceil(beats / count) * per_beat
        pieces += [
            Piece(feature=number, column_first=first, columns=min(width, feature.dim - first))
            for first in range(0, feature.dim, width)
        ]
    return tuple(pieces)


def _bytes(shape: ModelShape, piece: Piece, precision: Precision) -> int:
    return shape.features[piece.feature].rows << stride_log2(piece.columns, precision)


def quotas(shape: ModelShape, *, cards: int, precision: Precision) -> list[int]:
    """Elements that each card is to hold: whole beats, as equal as possible, if the vector has one for every card."""
    per_beat = LINK_BITS // precision.width
    beats = -(-shape.feature_elements // per_beat)
    unit, units = (per_beat, beats) if beats >= cards else (1, shape.feature_elements)
    whole, more = divmod(units, cards)
    return [unit * (whole + (card < more)) for card in range(cards)]


def part_shape(shape: ModelShape, pieces: Pieces) -> ModelShape:
    """What one card looks up: its pieces side by side, and no layers.

    Equal tables give equal shapes, whichever card and features they are of, so that equal cards are built once.
    """
    features = [(shape.features[piece.feature], piece.columns) for piece in pieces]
    chosen = concatenated([(feature.rows, columns, feature.lookups) for feature, columns in features])
    output = share_output(sum(piece.columns for piece in pieces))
    return ModelShape(name=f"{shape.name}-share", features=chosen, hidden=(), output=output, sigmoid=False)
