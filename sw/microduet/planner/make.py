"""One entrance to all modes."""

import dataclasses
import time
from collections.abc import Callable

from microduet import placement
from microduet.boards import Board
from microduet.errors import InputError
from microduet.placement import Plan
from microduet.planner import built, literal, spread
from microduet.planner.check import check
from microduet.shape import ModelShape
from microduet_hw.config import Precision

MODES = ("best", "paper-built", "paper-hbm", "paper-literal", "rule", "spread")
SECONDS = 25.0
"""Time after which mode `best` takes the best plan so far."""
Progress = Callable[[str, int, int], None]
"""Called with what is minimised, the best value so far and the bound."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """A plan, checked, and what is known of it.

    Members
    -------
    optimal, gap : whether the plan is proven best under the channel model, and how far from the best it may be; None
        for the modes that follow rules
    proof : the same in words
    """

    plan: Plan
    seconds: float
    optimal: bool | None = None
    gap: float | None = None
    proof: str = ""


def make(
    shape: ModelShape,
    *,
    precision: Precision,
    board: Board,
    mode: str = "best",
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Made:
    """The plan of `mode`.

    Parameters
    ----------
    seconds : that mode `best` may take, counted in the solver's own steps, so that equal inputs give equal plans
    progress : called by it with what is minimised, the best value so far and the bound

    Raises
    ------
    PlacementError
        If the tables do not fit: names one, its size and the largest channel.
    """
    started = time.monotonic()
    if mode not in MODES:
        raise InputError(f"mode must be {', '.join(MODES)}, not {mode!r}")
    if mode == "best":
        return _best(shape, precision, board, seconds, progress)
    rules = {
        built.MODE: built.plan,
        built.WITHOUT_PRODUCTS: built.plan_without_products,
        literal.MODE: literal.plan,
        "rule": placement.place,
        spread.MODE: spread.spread_plan,
    }
    plan = rules[mode](shape, precision=precision, board=board)
    check(plan, shape, board)
    return Made(plan=plan, seconds=time.monotonic() - started)


def _best(shape: ModelShape, precision: Precision, board: Board, seconds: float, progress: Progress | None) -> Made:
    from microduet.planner import best  # loads the solver

    started = time.monotonic()
    found = best.plan(shape, precision=precision, board=board, seconds=seconds, progress=progress)
    check(found.plan, shape, board)
    return Made(
        plan=found.plan,
        seconds=time.monotonic() - started,
        optimal=found.outcome.optimal,
        gap=found.outcome.gap,
        proof=found.proof,
    )
