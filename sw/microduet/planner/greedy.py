"""A quick solution of mode `best`: the smallest tables on chip, then the largest first to wherever it ends soonest."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from microduet.planner.options import Choices, Kind, Option, onchip_words
from microduet.planner.solution import MOST_BANKS, Seat, Solution, bank_ps, seat_ps

BANK_WORDS = 4096
"""Words of the URAM that a bank's size is rounded up to."""


OPTIONS_PER_SECOND = 25_000
"""Options that an attempt looks at, about: counted, not timed, so that equal inputs give equal plans everywhere."""


class Way(NamedTuple):
    """One way of being greedy."""

    gang: int
    """Channels that hold copies of a pooled table, as far as its lookups allow."""
    patience: float
    """How long on-chip banks may take, in times of the fastest channel."""
    split: bool
    """Whether tables are split where that ends sooner, not only where it must be."""
    busiest_first: bool
    """Whether tables with most lookups come before the largest."""


def greedy(choices: Choices, *, seconds: float) -> Solution | None:
    """The best of a few quick solutions, as many as take about `seconds`; None if none was found."""
    options = sum(len(ways) for ways in choices.options)
    attempts = itertools.islice(_ways(choices), max(1, round(seconds * OPTIONS_PER_SECOND / options)))
    found = [solution for way in attempts if (solution := _attempt(choices, way)) is not None]
    return min(found, key=lambda solution: _rank(choices, solution), default=None)


def _ways(choices: Choices) -> Iterator[Way]:
    """All of them, those that differ most first."""
    gangs = sorted({option.kind.gang for options in choices.options for option in options if option.kind})
    pooled = any(of.lookups > 1 for of in choices.classes)
    patience = (1.0, 0.0, 4.0, 10.0) if pooled else (1.0, 0.0)
    orders = (True, False) if pooled else (False,)
    for limit, split, busiest_first, gang in itertools.product(patience, (False, True), orders, gangs):
        yield Way(gang, limit, split, busiest_first)


def _rank(choices: Choices, solution: Solution) -> tuple[int, int, int]:
    """What is minimised; of equals, the solution with the fewest pieces."""
    pieces = sum(held.total() for held in solution.pieces.values())
    return solution.slowest_ps(choices), solution.words(choices), pieces


def _attempt(choices: Choices, way: Way) -> Solution | None:
    solution = Solution(Counter(), {}, [])
    order = [
        (min(option.words for option in options), of)
        for of, options in enumerate(choices.options)
        if choices.classes[of].factors is None
    ]
    left = {of: len(choices.classes[of].features) for _, of in order}
    _fill_banks(choices, solution, sorted(order), left, slowest=way.patience * _fastest_channel(choices))
    free = [len(group.channels) for group in choices.groups]
    order.sort(key=lambda pair: (way.busiest_first and choices.classes[pair[1]].lookups, *pair), reverse=True)
    for _, of in order:
        for _ in range(left[of]):
            if not _seat(choices, solution, of, free, way):
                return None
    return solution


def _fill_banks(
    choices: Choices, solution: Solution, order: list[tuple[int, int]], left: dict[int, int], *, slowest: float
) -> None:
    room = onchip_words(choices.board)
    used = 0
    for _, of in order:
        option = next((k for k, option in enumerate(choices.options[of]) if option.kind is None), None)
        while option is not None and left[of]:
            beats, words = choices.options[of][option].beats, choices.options[of][option].words
            banks = [bank for bank in solution.banks if bank_ps(bank + Counter({beats: 1})) <= slowest]
            count = len(solution.banks) + (not banks)
            if used + words > room - (count - 1) * BANK_WORDS or count > MOST_BANKS:
                return
            if not banks:
                solution.banks.append(Counter())
                banks = solution.banks[-1:]
            banks[0][beats] += 1
            solution.tables[of, option] += 1
            used += words
            left[of] -= 1


def _fastest_channel(choices: Choices) -> int:
    """Picoseconds below which no read of a channel is: an on-chip bank may take as long."""
    kinds = [option.kind for options in choices.options for option in options if option.kind]
    return min((seat_ps(choices, Seat(kind.group, kind.gang, 0), Counter({kind: 1})) or 0 for kind in kinds), default=0)


def _seat(choices: Choices, solution: Solution, of: int, free: list[int], way: Way) -> bool:
    """Put one table of a class where it ends soonest; of equals, where it takes the fewest bytes."""
    best: tuple[tuple[float, ...], int, list[Seat]] | None = None
    wanted = max((o.kind.gang for o in choices.options[of] if o.kind and o.kind.gang <= way.gang), default=1)
    for number, option in enumerate(choices.options[of]):
        if option.kind is None or option.kind.gang not in (wanted, 1):
            continue
        chosen = _seats_for(choices, solution, option, free)
        if chosen is None:
            continue
        key = (not way.split and len(chosen), max(ps for ps, _ in chosen), option.words, len(chosen))
        if best is None or key < best[0]:
            best = (key, number, [seat for _, seat in chosen])
    if best is None:
        return False
    _, number, places = best
    solution.tables[of, number] += 1
    kind = choices.options[of][number].kind
    assert kind is not None
    for seat in places:
        if seat not in solution.pieces:
            free[seat.group] -= seat.gang
            solution.pieces[seat] = Counter()
        solution.pieces[seat][kind] += 1
    return True


def _seats_for(
    choices: Choices, solution: Solution, option: Option, free: list[int]
) -> list[tuple[float, Seat]] | None:
    """As many seats as the option has pieces, those that end soonest; None if there are too few."""
    kind = option.kind
    assert kind is not None
    found: list[tuple[float, float, Seat]] = []
    unopened = free[kind.group] // kind.gang
    opened = [seat for seat in solution.pieces if (seat.group, seat.gang) == (kind.group, kind.gang)]
    for seat in opened:
        held = solution.pieces[seat]
        if (ps := seat_ps(choices, seat, held + Counter({kind: 1}))) is not None:
            found.append((ps, _fill(held), seat))
    numbers = {seat.number for seat in opened}
    fresh = [Seat(kind.group, kind.gang, k) for k in range(len(choices.groups[kind.group].channels) // kind.gang)]
    for seat in [seat for seat in fresh if seat.number not in numbers][: min(unopened, kind.pieces)]:
        found.append((seat_ps(choices, seat, Counter({kind: 1})) or math.inf, 0, seat))
    if len(found) < kind.pieces:
        return None
    found.sort(key=lambda entry: (entry[0], entry[1], entry[2].number))
    return [(ps, seat) for ps, _, seat in found[: kind.pieces]]


def _fill(held: Counter[Kind]) -> float:
    return sum(kind.units * count for kind, count in held.items())
