"""A quick solution of mode `best`: the smallest tables on chip, then the largest first to wherever it ends soonest."""

import itertools
import math
from collections import Counter

from microduet.planner.options import Choices, Kind, Option, onchip_words
from microduet.planner.solution import MOST_BANKS, Seat, Solution, bank_ps, seat_ps

BANK_WORDS = 4096
"""Words of the URAM that a bank's size is rounded up to."""


def greedy(choices: Choices) -> Solution | None:
    """The best of a few quick solutions: numbers of copies, with and without splits that are not needed.

    None if none was found.
    """
    gangs = sorted({option.kind.gang for options in choices.options for option in options if option.kind})
    attempts = itertools.product(gangs, (True, False), (True, False))
    found = [
        solution
        for gang, onchip, split in attempts
        if (solution := _attempt(choices, gang, onchip=onchip, split=split))
    ]
    return min(found, key=lambda solution: _rank(choices, solution), default=None)


def _rank(choices: Choices, solution: Solution) -> tuple[int, int, int]:
    """What is minimised; of equals, the solution with the fewest pieces."""
    pieces = sum(held.total() for held in solution.pieces.values())
    return solution.slowest_ps(choices), solution.words(choices), pieces


def _attempt(choices: Choices, gang: int, *, onchip: bool, split: bool) -> Solution | None:
    """Copies of pooled tables on `gang` channels each, as far as their lookups allow."""
    solution = Solution(Counter(), {}, [])
    order = [
        (min(option.words for option in options), of)
        for of, options in enumerate(choices.options)
        if choices.classes[of].factors is None and options
    ]
    if len(order) < sum(1 for of in choices.classes if of.factors is None):
        return None
    left = {of: len(choices.classes[of].features) for _, of in order}
    if onchip:
        _fill_banks(choices, solution, sorted(order), left)
    free = [len(group.channels) for group in choices.groups]
    for _, of in sorted(order, reverse=True):
        for _ in range(left[of]):
            if not _seat(choices, solution, of, free, gang=gang, split=split):
                return None
    return solution


def _fill_banks(choices: Choices, solution: Solution, order: list[tuple[int, int]], left: dict[int, int]) -> None:
    room, slowest = onchip_words(choices.board), _fastest_channel(choices)
    used = 0
    for words, of in order:
        option = next((k for k, option in enumerate(choices.options[of]) if option.kind is None), None)
        while option is not None and left[of]:
            beats = choices.options[of][option].beats
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


def _seat(choices: Choices, solution: Solution, of: int, free: list[int], *, gang: int, split: bool) -> bool:
    """Put one table of a class where it ends soonest; of equals, where it takes the fewest bytes."""
    best: tuple[tuple[float, ...], int, list[Seat]] | None = None
    wanted = min(gang, max((o.kind.gang for o in choices.options[of] if o.kind and o.kind.gang <= gang), default=1))
    for number, option in enumerate(choices.options[of]):
        if option.kind is None or option.kind.gang not in (wanted, 1):
            continue
        chosen = _seats_for(choices, solution, option, free)
        if chosen is None:
            continue
        key = (not split and len(chosen), max(time for time, _ in chosen), option.words, len(chosen))
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
        if (time := seat_ps(choices, seat, held + Counter({kind: 1}))) is not None:
            found.append((time, _fill(held), seat))
    numbers = {seat.number for seat in opened}
    fresh = [Seat(kind.group, kind.gang, k) for k in range(len(choices.groups[kind.group].channels) // kind.gang)]
    for seat in [seat for seat in fresh if seat.number not in numbers][: min(unopened, kind.pieces)]:
        found.append((seat_ps(choices, seat, Counter({kind: 1})) or math.inf, 0, seat))
    if len(found) < kind.pieces:
        return None
    found.sort(key=lambda entry: (entry[0], entry[1], entry[2].number))
    return [(time, seat) for time, _, seat in found[: kind.pieces]]


def _fill(held: Counter[Kind]) -> float:
    return sum(kind.units * count for kind, count in held.items())
