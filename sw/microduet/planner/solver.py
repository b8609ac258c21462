"""Mode `best`: CP-SAT minimises the slowest channel's time, then what is stored, and proves both if it can."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable

from ortools.sat.python import cp_model

from microduet.planner.core import Core, Run
from microduet.planner.make import Progress
from microduet.planner.model import BANKS, LAWS, Load, part_load, sharing_ps
from microduet.planner.options import UNITS, Choices, Kind
from microduet.planner.relaxed import Relaxed, relax
from microduet.planner.solution import Seat, Solution, bank_ps, seats
from microduet_hw.config import SourceKind

SHARE = 0.3
"""Part of the time left that a step may take; the last one takes what is left."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the solver found.

    Members
    -------
    time, time_bound : of the slowest channel, ps
    words, words_bound : stored at that time, words of 32 bytes
    """

    solution: Solution
    time: int
    time_bound: int
    words: int
    words_bound: int

    @property
    def optimal(self) -> bool:
        """Whether both values are proven."""
        return self.time == self.time_bound and self.words == self.words_bound

    @property
    def gap(self) -> float:
        """Of the first value that is not proven, how far it may be from the best, as a part of it; 0 if both are."""
        if self.time > self.time_bound:
            return 1 - self.time_bound / self.time
        return 1 - self.words_bound / self.words


def solve(
    choices: Choices, hint: Solution | None, *, seconds: float, progress: Progress | None = None
) -> Outcome | None:
    """The best solution found in `seconds`: the shortest time of the slowest channel, then the fewest bytes.

    None if there is none, or none was found.
    """
    search = _Search(choices, (1 - SHARE) * seconds, progress)
    known = hint.slowest_ps(choices) if hint else None
    bounds = relax(choices, known, seconds=seconds * SHARE, progress=progress)
    solution = hint
    if solution is None or not search.meets(solution, bounds):
        solution = search.packed(bounds) or solution
    slowest = bounds.slowest
    if solution is None or solution.slowest_ps(choices) > slowest:
        solution, slowest = search.fastest(solution, bounds)
    if solution is None:
        return None
    words = bounds.words if solution.slowest_ps(choices) == bounds.slowest else 0
    if solution.words(choices) > words:
        solution, words = search.smallest(solution)
    return Outcome(
        solution=solution,
        time=solution.slowest_ps(choices),
        time_bound=min(slowest, solution.slowest_ps(choices)),
        words=solution.words(choices),
        words_bound=min(words, solution.words(choices)),
    )


class _Search:
    """The steps of `solve`, and the time that is left for them."""

    def __init__(self, choices: Choices, seconds: float, progress: Progress | None) -> None:
        self._choices, self._progress = choices, progress
        self._left = seconds

    def _run(self, program: "_Program", objective: cp_model.IntVar, *, share: float, name: str) -> Run:
        """Minimise for a share of what is left, which is counted as the solver counts."""
        run = program.run(objective, seconds=max(1.0, share * self._left), name=name, progress=self._progress)
        self._left -= run.seconds
        return run

    def meets(self, solution: Solution, bounds: Relaxed) -> bool:
        """Whether a solution cannot be better."""
        found = solution.slowest_ps(self._choices), solution.words(self._choices)
        return found == (bounds.slowest, bounds.words)

    def packed(self, bounds: Relaxed) -> Solution | None:
        """A solution that meets both bounds, with the relaxation's own choice of options, if its pieces fit."""
        if bounds.tables is None:
            return None
        program = _Program(self._choices)
        program.model.add(program.slowest <= bounds.slowest)
        for key, variable in program.tables.items():
            program.model.add(variable == bounds.tables[key])
        run = self._run(program, program.slowest, share=SHARE, name="packing, ps")
        return program.solution(run) if run.found else None

    def fastest(self, hint: Solution | None, bounds: Relaxed) -> tuple[Solution | None, int]:
        """The fastest solution, and a bound on its time."""
        program = _Program(self._choices)
        program.model.add(program.slowest >= bounds.slowest)
        program.hint(hint)
        run = self._run(program, program.slowest, share=2 * SHARE, name="slowest channel, ps")
        return program.solution(run) if run.found else hint, max(bounds.slowest, run.bound)

    def smallest(self, hint: Solution) -> tuple[Solution, int]:
        """Of the solutions that are as fast as `hint`, the one that stores least, and a bound on that."""
        program = _Program(self._choices)
        program.model.add(program.slowest <= hint.slowest_ps(self._choices))
        program.hint(hint)
        run = self._run(program, program.words, share=1, name="stored, words")
        return program.solution(run) if run.found else hint, run.bound


class _Program(Core):
    """Which pieces lie on which seat."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.pieces: dict[tuple[Seat, Kind], cp_model.IntVar] = {}
        self.opened: dict[Seat, cp_model.IntVar] = {}
        for seat in seats(choices):
            self._seat(seat)
        self._supply()
        self._order()

    def _seat(self, seat: Seat) -> None:
        choices, model = self.choices, self.model
        kinds = [kind for kind in self.demand if (kind.group, kind.gang) == (seat.group, seat.gang)]
        name = f"{seat.group}_{seat.gang}_{seat.number}"
        held = {kind: model.new_int_var(0, UNITS >> kind.level if kind.level else UNITS, "") for kind in kinds}
        opened = model.new_bool_var(f"open_{name}")
        for kind, count in held.items():
            self.pieces[seat, kind] = count
            model.add(count == 0).only_enforce_if(~opened)
            if kind.pieces > 1:  # the pieces of one table lie on different seats
                model.add(count <= self.wanted(kind))
        self.opened[seat] = opened
        self._time(choices.groups[seat.group].kind, held, opened, self._separated(seat, held, opened))

    def _time(
        self, kind: SourceKind, held: dict[Kind, cp_model.IntVar], opened: cp_model.IntVar, groups: cp_model.IntVar
    ) -> None:
        """The channel model, `Load.ps`: the slowest source takes at least each of its three times."""
        law = LAWS[kind]
        loads = [(part_load(kind, piece.reads, piece.beats), count) for piece, count in held.items()]

        def at_least(constant: int, per_part: Callable[[Load], int], *more: cp_model.LinearExpr) -> None:
            terms = [per_part(of) * count for of, count in loads]
            self.model.add(self.slowest >= sum([constant * opened, *terms, *more]))

        sharing = [sharing_ps(kind) * count for count in held.values()]
        at_least(law.first - law.beat, lambda of: of.beats * law.beat)
        at_least(law.first - law.activation - law.slack, lambda of: of.activations * law.activation)
        at_least(
            law.first - law.activation,
            lambda of: of.reads * law.activation + of.waits + (of.beats - of.reads) * law.tail,
            *sharing,
            -sharing_ps(kind) * groups,
        )

    def _separated(self, seat: Seat, held: dict[Kind, cp_model.IntVar], opened: cp_model.IntVar) -> cp_model.IntVar:
        """Groups of pieces that share no bank, and the room for them."""
        model = self.model
        groups = model.new_int_var(0, BANKS, "")
        model.add(groups <= BANKS * opened)
        units = sum(kind.units * count for kind, count in held.items())
        if self.choices.groups[seat.group].kind is not SourceKind.HBM:
            model.add(units <= UNITS)
            model.add(groups <= opened)
            return groups
        mixed = model.new_bool_var("")
        model.add(units <= UNITS).only_enforce_if(mixed)
        model.add(groups <= 1).only_enforce_if(mixed)
        shares = sum((UNITS >> kind.level) * count for kind, count in held.items())
        model.add(shares <= UNITS).only_enforce_if(~mixed)
        large = sum(count for kind, count in held.items() if kind.level < 3)
        eighths = sum((BANKS >> kind.level) * count for kind, count in held.items() if kind.level < 3)
        small = sum(count for kind, count in held.items() if kind.level >= 3)
        model.add(groups <= large + small)
        model.add(groups <= large + BANKS - eighths).only_enforce_if(~mixed)
        return groups

    def _supply(self) -> None:
        """Every piece lies on some seat, and gangs do not use more channels than there are."""
        by_kind: dict[Kind, list[cp_model.IntVar]] = defaultdict(list)
        for (_, kind), count in self.pieces.items():
            by_kind[kind].append(count)
        for kind in self.demand:
            self.model.add(sum(by_kind[kind]) == kind.pieces * self.wanted(kind))
        for number, group in enumerate(self.choices.groups):
            used = sum(seat.gang * opened for seat, opened in self.opened.items() if seat.group == number)
            self.model.add(used <= len(group.channels))

    def _order(self) -> None:
        """Equal seats are told apart by nothing but their loads: the busiest first."""
        reads: dict[Seat, list[cp_model.LinearExpr]] = defaultdict(list)
        for (seat, kind), count in self.pieces.items():
            reads[seat].append(kind.reads * count)
        for seat in self.opened:
            after = dataclasses.replace(seat, number=seat.number + 1)
            if after in self.opened:
                self.model.add(sum(reads[seat]) >= sum(reads[after]))
                self.model.add_implication(self.opened[after], self.opened[seat])

    def hint(self, hint: Solution | None) -> None:
        """Where to begin."""
        self.model.clear_hints()
        if hint is None:
            return
        for key, variable in self.tables.items():
            self.model.add_hint(variable, hint.tables[key])
        arranged = _arranged(hint)
        for (seat, kind), variable in self.pieces.items():
            self.model.add_hint(variable, arranged.get(seat, Counter())[kind])
        for seat, variable in self.opened.items():
            self.model.add_hint(variable, bool(arranged.get(seat)))
        banks = sorted(hint.banks, key=bank_ps, reverse=True)
        for number, bank in enumerate(self.banks):
            for beats, variable in bank.items():
                self.model.add_hint(variable, banks[number][beats] if number < len(banks) else 0)
        self.model.add_hint(self.slowest, hint.slowest_ps(self.choices))
        self.model.add_hint(self.words, hint.words(self.choices))

    def solution(self, run: Run) -> Solution:
        """What a run found."""
        pieces: dict[Seat, Counter[Kind]] = defaultdict(Counter)
        for (seat, kind), count in run.values(self.pieces).items():
            pieces[seat][kind] = count
        banks = [run.values(bank) for bank in self.banks]
        return Solution(run.values(self.tables), dict(pieces), [bank for bank in banks if bank])


def _arranged(hint: Solution) -> dict[Seat, Counter[Kind]]:
    """The hint's seats renumbered in the order that `_order` asks for."""
    by_gang: dict[tuple[int, int], list[Counter[Kind]]] = defaultdict(list)
    for seat, held in hint.pieces.items():
        by_gang[seat.group, seat.gang].append(held)
    return {
        Seat(group, gang, number): held
        for (group, gang), every in by_gang.items()
        for number, held in enumerate(
            sorted(every, key=lambda held: -sum(kind.reads * count for kind, count in held.items()))
        )
    }
