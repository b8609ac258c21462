"""Mode `best`: the plan with the fastest slowest channel, of those one that stores least; with proof if possible."""

import dataclasses

from microduet import placement
from microduet.boards import Board
from microduet.errors import PlacementError
from microduet.placement import Plan
from microduet.planner import built
from microduet.planner.allocate import all_too_large, gigabytes, table_too_large
from microduet.planner.check import check
from microduet.planner.figures import figures
from microduet.planner.greedy import greedy
from microduet.planner.make import SECONDS, Progress
from microduet.planner.options import Choices, choices
from microduet.planner.realise import realise
from microduet.planner.solver import Outcome, solve
from microduet.shape import ModelShape
from microduet_hw.config import AXI_BYTES, Precision

MODE = "best"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best:
    """A plan and how good it is known to be."""

    plan: Plan
    outcome: Outcome
    choices: Choices

    @property
    def proof(self) -> str:
        """What is proven, in one sentence or two."""
        found, of = self.outcome, self.choices
        if found.time == found.time_bound:
            text = f"no plan has a slowest channel below {found.time / 1000:.1f} ns: proven"
            if found.words == found.words_bound:
                text += f"; at that, none stores less than {gigabytes(found.words * AXI_BYTES)}: proven"
            else:
                text += f"; at that, {gigabytes(found.words * AXI_BYTES)} may be {found.gap:.2%} more than needed"
        else:
            text = (
                f"the slowest channel takes {found.time / 1000:.1f} ns, no plan less than "
                f"{found.time_bound / 1000:.1f}: at most {found.gap:.2%} from the best"
            )
        return text + f". Pairs of table classes considered for products: {of.considered} of {of.pairs}"


def plan(
    shape: ModelShape,
    *,
    precision: Precision,
    board: Board,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Best:
    """The best plan found in `seconds`.

    Raises
    ------
    PlacementError
        If the tables do not fit the board: names the largest and its size.
    """
    for fine in (False, True):
        open_to = choices(shape, precision=precision, board=board, fine=fine)
        misfits = [min(of.features) for of, ways in zip(open_to.classes, open_to.options, strict=True) if not ways]
        if misfits:
            raise table_too_large(shape, misfits[0], precision=precision, board=board)
        outcome = solve(open_to, greedy(open_to, seconds=seconds / 10), seconds=seconds, progress=progress)
        if outcome is not None:
            found = realise(shape, open_to, outcome.solution, mode=MODE)
            if not outcome.optimal:
                found, outcome = _or_by_rule(shape, board, found, outcome)
            return Best(plan=found, outcome=outcome, choices=open_to)
    raise all_too_large(shape, precision=precision, board=board)


def _or_by_rule(shape: ModelShape, board: Board, found: Plan, outcome: Outcome) -> tuple[Plan, Outcome]:
    """What was found, or the plan of a rule where that is better: with hundreds of pooled tables it may be."""
    for rule in (built.plan, placement.place):
        try:
            other = rule(shape, precision=found.precision, board=board).replace(mode=MODE)
            check(other, shape, board)
        except PlacementError:
            continue
        its = figures(other, shape)
        slowest, words = round(its.slowest_channel_ns * 1000), its.stored_bytes // AXI_BYTES
        if (slowest, words) < (outcome.time, outcome.words):
            found = other
            outcome = dataclasses.replace(
                outcome,
                time=slowest,
                time_bound=min(slowest, outcome.time_bound),
                words=words,
                words_bound=min(words, outcome.words_bound) if slowest == outcome.time else 0,
            )
    return found, outcome
