"""Small models on small boards and what the planner makes of them: ``python -m tests.sw.small_plans`` writes it anew.

Rules count and sort, they do not search: an entry of tests/data/small_plans.json that changes is a rule that has
changed. Of mode `best`, whose plan is one of many that are equally good, only what the solver proves is kept.
"""

import hashlib
import json
import random
import time
from dataclasses import dataclass
from typing import Any

from microduet.boards import Board, Channel
from microduet.errors import PlacementError
from microduet.placement import Plan
from microduet.planner.check import check
from microduet.planner.figures import figures
from microduet.planner.greedy import greedy
from microduet.planner.make import MODES, make
from microduet.planner.options import Choices, choices
from microduet.planner.realise import realise
from microduet.planner.relaxed import relax
from microduet.planner.solution import Solution
from microduet.planner.solver import solve
from microduet.shape import ModelShape
from microduet_hw.config import Precision, SourceKind
from tests.support.environment import REPOSITORY
from tests.sw.plans import Tables, shape

KEPT = REPOSITORY / "tests" / "data" / "small_plans.json"
MOST_LINES = 30
RULES = [mode for mode in MODES if mode != "best"]


@dataclass(frozen=True)
class Case:
    """Tables (rows, dim, lookups), channels (kind, count, KiB), the URAM that tables may take, and the precision."""

    tables: Tables
    channels: tuple[tuple[str, int, int], ...]
    uram: int = 0
    precision: str = "fixed16"

    @property
    def shape(self) -> ModelShape:
        return shape(self.tables)

    @property
    def board(self) -> Board:
        channels = [
            Channel(name=f"{kind}{number}", kind=SourceKind(kind), size=size << 10)
            for kind, count, size in self.channels
            for number in range(count)
        ]
        return Board(name="mine", channels=tuple(channels), uram=self.uram, onchip_share=1.0)


HBM2, HBM4, BOTH = (("hbm", 2, 1024),), (("hbm", 4, 1024),), (("hbm", 4, 1024), ("ddr", 2, 8192))
CASES = {
    "one table": Case([(1000, 16, 1)], HBM2),
    "few channels join tables": Case([(100, 8, 1)] * 6, HBM2),
    "wide rows are split by columns": Case([(1000, 64, 1), (1000, 8, 1)], HBM4),
    "copies of pooled tables": Case([(1000, 16, 4), (1000, 16, 4)], HBM4),
    "a table larger than a channel": Case([(60_000, 16, 1), (100, 16, 1)], HBM4),
    "two kinds of channels": Case([(60_000, 16, 1), (3000, 8, 1), (3000, 8, 1), (5000, 40, 1), (200, 16, 3)], BOTH),
    "tables on chip": Case([(60, 16, 1), (300, 8, 2), (30_000, 8, 1), (5000, 40, 1)], HBM2, uram=16),
    "channels that are half full": Case([(15_000, 16, 1)] * 4 + [(10, 4, 1)] * 3, HBM4),
    "a table for DDR": Case([(200_000, 16, 1), (10_000, 16, 2)], BOTH),
    "narrow tables as candidates": Case([(20 + k, 2 + k % 4, 1) for k in range(14)] + [(9000, 32, 1)], HBM4, uram=32),
    "more rounds than one": Case([(50 * k, 4 + k % 3, 1) for k in range(1, 26)], HBM2, uram=16),
    "32 bits": Case([(4000, 12, 2), (500, 30, 2), (500, 3, 2)], BOTH, precision="fixed32"),
    "8 bits": Case([(40_000, 12, 1), (500, 100, 1), (500, 3, 5)], BOTH, precision="int8"),
}  # fmt: skip


PROVEN = [name for name in CASES if name not in ("more rounds than one", "narrow tables as candidates")]
"""Cases whose proof takes no longer than a test should."""


def drawn(number: int) -> Case:
    """A case by chance, the same for a number."""
    chance = random.Random(number)
    lookups = chance.choice([(1,), (1,), (2,), (1, 2, 3, 7)])
    tables = [
        (int(10 ** chance.uniform(0.5, 3.9)), chance.choice([1, 3, 4, 8, 15, 16, 20, 33, 64]), chance.choice(lookups))
        for _ in range(chance.randint(2, 9))
    ]
    channels = [("hbm", chance.choice([2, 3, 6, 8]), chance.choice([4096, 16_384]))]
    if chance.random() < 0.5:
        channels.append(("ddr", chance.randint(1, 2), 16_384))
    precision = chance.choice(["fixed16", "fixed16", "fixed32", "int8"])
    return Case(tables, tuple(channels), uram=chance.choice([0, 8, 40]), precision=precision)


CASES |= {f"drawn {number}": drawn(number) for number in range(10)}


def lines(plan: Plan) -> list[str]:
    """A plan as text: its products, then a line per source."""
    said = [f"products {plan.products}"]
    for planned in plan.planned:
        parts = [
            f"{part.feature} rows {part.row_first}+{part.rows}<<{part.row_step_log2} columns {part.column_first}+"
            f"{part.columns} lookups {part.lookup_first}+{part.lookups} at {part.base}<<{part.stride_log2}"
            + (f" hole {part.hole_log2}+{part.hole_bits}" if part.hole_bits else "")
            for part in planned.source.parts
        ]
        said.append(f"{planned.channel} {planned.beats:.4f} {planned.size}: {'; '.join(parts)}")
    return said


def by_rule(case: Case, mode: str) -> list[str]:
    """The plan of a rule, or why there is none."""
    try:
        plan = make(case.shape, precision=Precision(case.precision), board=case.board, mode=mode).plan
    except PlacementError as error:
        return [str(error)]
    found = figures(plan, case.shape)
    return [*lines(plan), f"{found.rounds} rounds {found.overhead_percent:.4f} % {found.slowest_channel_ns} ns"]


def choices_of(case: Case, *, fine: bool = False) -> Choices:
    return choices(case.shape, precision=Precision(case.precision), board=case.board, fine=fine)


def options(given: Choices) -> list[str]:
    """Classes, each with what it may be stored as."""
    said = [f"{given.considered} of {given.pairs} pairs"]
    for of, ways in zip(given.classes, given.options, strict=True):
        said.append(f"{of.rows} x {of.dim}, {of.lookups} lookups, features {of.features}, factors {of.factors}")
        for way in ways:
            kind = way.kind and tuple(way.kind)
            said.append(f"  {kind} columns {way.columns} step {way.step_log2} beats {way.beats} words {way.words}")
    return said


def short(said: list[str]) -> list[str]:
    """The text, or of a long one only what tells it apart from others: hundreds of lines would not be read."""
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
    return said if len(said) <= MOST_LINES else [*said[:3], f"and {len(said) - 3} more: {digest}"]


def quick(case: Case, given: Choices, found: Solution | None) -> list[str]:
    """What the greedy solution comes to, and the plan that it is."""
    if found is None:
        return ["none"]
    plan = realise(case.shape, given, found, mode="greedy")
    check(plan, case.shape, case.board)
    return [f"{found.slowest_ps(given)} ps {found.words(given)} words", *lines(plan)]


def proven(given: Choices, found: Solution | None) -> list[str]:
    """Bounds of the relaxation, and what the solver finds and proves."""
    bounds = relax(given, found and found.slowest_ps(given), seconds=6, progress=None)
    said = [f"bounds {bounds.slowest} ps {bounds.words} words"]
    for hint in (found, None):
        best = solve(given, hint, seconds=10)
        said.append(f"{best.time} of {best.time_bound} ps {best.words} of {best.words_bound} words" if best else "none")
    return said


def record(name: str) -> dict[str, Any]:
    """Everything that is kept of a case."""
    case = CASES[name]
    given = choices_of(case)
    kept: dict[str, Any] = {mode: by_rule(case, mode) for mode in RULES}
    kept |= {"options": short(options(given)), "fine": short(options(choices_of(case, fine=True)))}
    if not all(given.options):
        return kept
    found = greedy(given, seconds=1)
    kept["greedy"] = quick(case, given, found)
    return kept | ({"best": proven(given, found)} if name in PROVEN else {})


def main() -> int:
    """Write the file."""
    made: dict[str, Any] = {}
    for name in CASES:
        began = time.process_time()
        made[name] = record(name)
        print(f"{time.process_time() - began:6.2f} s  {name}")
    text = json.dumps(made, indent=1)
    KEPT.with_suffix(".new").write_text(text + "\n")
    KEPT.with_suffix(".new").replace(KEPT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
