"""The integer program of mode `best`, and what it shares with its relaxation: docs/planner.md has the formulas."""

from collections import Counter, defaultdict
from typing import TypeVar

from ortools.sat.python import cp_model

from microduet.planner.make import Progress
from microduet.planner.model import ONCHIP_BEAT, ONCHIP_FIRST
from microduet.planner.options import Choices, Kind, onchip_words
from microduet.planner.solution import MOST_BANKS

WORKERS, SEED = 1, 1
BANK_WORDS = 4096
"""Words of a column of URAM, in which a bank's size is rounded up."""
Key = TypeVar("Key")

PATIENCE = 16
"""Seconds on the clock per second of the solver's own count before it is stopped: enough for a busy machine."""


class Core:
    """Which table takes which option, what lies on chip, and what is minimised.

    Members
    -------
    slowest : time of the slowest source, ps
    words : of 32 bytes, stored in all
    tables : how many tables of a class take an option
    most : how many tables of a class there can be
    demand : the (class, option) whose pieces are of a kind
    banks : per on-chip bank, how many tables of so many beats it holds
    """

    def __init__(self, choices: Choices) -> None:
        self.choices, self.model = choices, cp_model.CpModel()
        self.slowest = self.model.new_int_var(0, 1 << 40, "slowest")
        self.most = [len(of.features) for of in choices.classes]
        for k, of in enumerate(choices.classes):
            if of.factors:
                a, b = of.factors
                self.most[k] = min(self.most[a], self.most[b]) if a != b else self.most[a] // 2
        self.tables = self._tables()
        self.demand: dict[Kind, list[tuple[int, int]]] = defaultdict(list)
        for of, options in enumerate(choices.options):
            for number, option in enumerate(options):
                if option.kind is not None:
                    self.demand[option.kind].append((of, number))
        self.banks: list[dict[int, cp_model.IntVar]] = []
        self._onchip()
        self.words = self.model.new_int_var(0, 1 << 60, "words")
        every = [variable * choices.options[of][number].words for (of, number), variable in self.tables.items()]
        self.model.add(self.words == sum(every))

    def wanted(self, kind: Kind) -> cp_model.LinearExprT:
        """How many tables have pieces of `kind`."""
        return sum(self.tables[key] for key in self.demand[kind])

    def _tables(self) -> dict[tuple[int, int], cp_model.IntVar]:
        """How many tables of a class take an option; a product takes one table of each of its factors."""
        choices, model = self.choices, self.model
        most = self.most
        tables = {
            (k, number): model.new_int_var(0, most[k], f"tables_{k}_{number}")
            for k, options in enumerate(choices.options)
            for number in range(len(options))
        }
        for k, of in enumerate(choices.classes):
            if of.factors is None:
                joined = [
                    tables[other, number] * (product.factors or ()).count(k)
                    for other, product in enumerate(choices.classes)
                    if k in (product.factors or ())
                    for number in range(len(choices.options[other]))
                ]
                own = [tables[k, number] for number in range(len(choices.options[k]))]
                model.add(sum(own) + sum(joined) == most[k])
        return tables

    def _onchip(self) -> None:
        choices, model = self.choices, self.model
        demand: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for (of, number), _ in self.tables.items():
            option = choices.options[of][number]
            if option.kind is None:
                demand[option.beats].append((of, number))
        most = sum(len(of.features) for of in choices.classes)
        self.banks += [{beats: model.new_int_var(0, most, "") for beats in demand} for _ in range(MOST_BANKS)]
        opened = [model.new_bool_var(f"bank_{number}") for number in range(MOST_BANKS)]
        for number, (bank, used) in enumerate(zip(self.banks, opened, strict=True)):
            for count in bank.values():
                model.add(count == 0).only_enforce_if(~used)
            total = sum(beats * count for beats, count in bank.items())
            model.add(self.slowest >= ONCHIP_FIRST * used + ONCHIP_BEAT * total)
            if number:
                model.add_implication(used, opened[number - 1])
                model.add(total <= sum(beats * count for beats, count in self.banks[number - 1].items()))
        for beats, keys in demand.items():
            model.add(sum(bank[beats] for bank in self.banks) == sum(self.tables[key] for key in keys))
        words = sum(
            self.tables[of, number] * choices.options[of][number].words
            for keys in demand.values()
            for of, number in keys
        )
        # a bank's last column of URAM may be all but empty, and the first one is paid for only if there is a bank
        model.add(words + BANK_WORDS * sum(opened[1:]) <= onchip_words(choices.board))

    def run(self, objective: cp_model.IntVar, *, seconds: float, name: str, progress: Progress | None) -> "Run":
        """Minimise `objective` for so long."""
        self.model.minimize(objective)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = WORKERS
        solver.parameters.random_seed = SEED
        # Counted in the solver's own steps, about a second each, so that equal inputs give equal plans everywhere.
        solver.parameters.max_deterministic_time = seconds
        solver.parameters.max_time_in_seconds = PATIENCE * seconds
        status = solver.solve(self.model, _Watcher(name, progress) if progress else None)
        return Run(solver, status)


class Run:
    """A solver after it has run."""

    def __init__(self, solver: cp_model.CpSolver, status: cp_model.CpSolverStatus) -> None:
        self.found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        self.infeasible = status == cp_model.INFEASIBLE
        self.bound = 0 if self.infeasible else round(solver.best_objective_bound)
        self.seconds: float = solver.response_proto.deterministic_time
        """What the run took, in the solver's own steps."""
        self._solver = solver

    def values(self, variables: dict[Key, cp_model.IntVar]) -> Counter[Key]:
        """Values of variables, those that are not zero."""
        return Counter({key: value for key, variable in variables.items() if (value := self._solver.value(variable))})


class _Watcher(cp_model.CpSolverSolutionCallback):
    def __init__(self, name: str, progress: Progress) -> None:
        super().__init__()
        self._name, self._progress = name, progress

    def on_solution_callback(self) -> None:
        self._progress(self._name, round(self.objective_value), round(self.best_objective_bound))
