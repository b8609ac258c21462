"""Joules from counts: every count has a constant and a place; ranges stay ranges."""

from collections.abc import Mapping

from microduet.energy.constants import LEVELS, Level, constants
from microduet_hw.config import Frozen

PLACES: tuple[str, ...] = ("edge", "link", "datacentre")
"""As Duet's Figure 11 divides energy."""

_PLACE_OF = {"edge": "edge", "link": "link", "card": "datacentre", "cpu": "datacentre"}


class Energy(Frozen, frozen=True, kw_only=True):
    """Joules with the range that the constants leave.

    Members
    -------
    low, typical, high : with all constants at that end
    places : typical joules by place
    parts : typical joules by constant
    """

    low: float
    typical: float
    high: float
    places: dict[str, float]
    parts: dict[str, float]


def energy(counts: Mapping[str, float]) -> Energy:
    """Joules of events and of powers, which are counted in seconds.

    Parameters
    ----------
    counts : by constant: events, or seconds for one whose unit is a power

    Raises
    ------
    ValueError
        If there is no such constant, or a count is negative.
    """
    table = constants()
    for name, count in counts.items():
        if name not in table:
            raise ValueError(f"there is no constant {name}; there are {', '.join(table)}")
        if count < 0:
            raise ValueError(f"{name}: a count must be at least 0, not {count}")
    totals: dict[Level, float] = {
        level: sum(count * table[name].si(level) for name, count in counts.items()) for level in LEVELS
    }
    parts = {name: count * table[name].si("typical") for name, count in counts.items()}
    places = dict.fromkeys(PLACES, 0.0)
    for name, joules in parts.items():
        places[_PLACE_OF[name.split(".")[0]]] += joules
    return Energy(low=totals["low"], typical=totals["typical"], high=totals["high"], places=places, parts=parts)


def worst_ratio(theirs: Energy, ours: Energy) -> float:
    """Their energy over ours, with every range at the end that is unfavourable to ours."""
    return theirs.low / ours.high
