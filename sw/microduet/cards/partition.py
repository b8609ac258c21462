"""Which card holds which table."""

import dataclasses

from microduet.boards import Board
from microduet.errors import InputError, PlacementError
from microduet.placement import table_bytes
from microduet.shape import ModelShape, concatenated
from microduet_hw.config import Precision
from microduet_hw.shard import LINK_BITS, share_output

MOST_CARDS = 64
"""Cards that one switch joins."""


@dataclasses.dataclass
class _Card:
    """What one card holds so far, and the elements that it is to hold."""

    elements: int
    bytes: int = 0
    lookups: int = 0
    features: list[int] = dataclasses.field(default_factory=list[int])


def partition(shape: ModelShape, *, cards: int, precision: Precision, board: Board) -> tuple[tuple[int, ...], ...]:
    """Features by card: whole tables, so that no sum crosses a card; a whole number of link beats each if possible.

    The widest rows, of those the largest tables, are dealt out first, each to the card with the fewest lookups that has
    room for its bytes and, in its beats, for its elements.

    Raises
    ------
    InputError
        If `cards` is not 1 to 64, or there are fewer tables.
    PlacementError
        If the tables do not fit so many cards: says how large they are.
    """
    if not 1 <= cards <= MOST_CARDS:
        raise InputError(f"cards must be 1 to {MOST_CARDS}, not {cards}")
    if cards > len(shape.features):
        raise InputError(f"cards must be at most {len(shape.features)}, the tables of {shape.name}, not {cards}")
    capacity = sum(channel.size for channel in board.channels)
    holders = [_Card(elements=quota) for quota in quotas(shape, cards=cards, precision=precision)]
    sizes = [table_bytes(feature, precision) for feature in shape.features]
    for number in sorted(range(len(sizes)), key=lambda k: (-shape.features[k].dim, -sizes[k], k)):
        feature = shape.features[number]
        fitting = [card for card in holders if card.bytes + sizes[number] <= capacity]
        if not fitting:
            raise PlacementError(
                f"table {number} of {shape.name} ({sizes[number] / 2**30:.1f} GiB of {sum(sizes) / 2**30:.1f} in "
                f"{precision}) fits none of {cards} {board.name} cards, which have {capacity / 2**30:.1f} GiB each"
            )
        roomy = [card for card in fitting if card.elements >= feature.dim]
        # Without room in anybody's beats, the card with the most left has one beat more.
        chosen = min(
            roomy or fitting,
            key=lambda card: (card.lookups if roomy else -card.elements, bool(card.features), card.bytes),
        )
        chosen.features.append(number)
        chosen.elements -= feature.dim
        chosen.bytes += sizes[number]
        chosen.lookups += feature.lookups
    if not all(card.features for card in holders):
        raise InputError(f"cards must be fewer: a card of {cards} has no table of {shape.name}")
    return tuple(tuple(sorted(card.features)) for card in holders)


def quotas(shape: ModelShape, *, cards: int, precision: Precision) -> list[int]:
    """Elements that each card is to hold: whole beats, as equal as possible, if the vector has one for every card."""
    per_beat = LINK_BITS // precision.width
    beats = -(-shape.feature_elements // per_beat)
    unit, units = (per_beat, beats) if beats >= cards else (1, shape.feature_elements)
    whole, more = divmod(units, cards)
    return [unit * (whole + (card < more)) for card in range(cards)]


def part_shape(shape: ModelShape, features: tuple[int, ...]) -> ModelShape:
    """What one card looks up: some of the model's features, side by side, and no layers.

    Equal tables give equal shapes, whichever card and features they are of, so that equal cards are built once.
    """
    chosen = concatenated([(f.rows, f.dim, f.lookups) for f in (shape.features[k] for k in features)])
    output = share_output(sum(feature.dim for feature in chosen))
    return ModelShape(name=f"{shape.name}-share", features=chosen, hidden=(), output=output, sigmoid=False)
