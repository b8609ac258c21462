"""`microduet plan`: make a plan, or check one from a file; show it, and write it."""

import dataclasses
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from microduet import boards, compiler
from microduet.errors import InputError, ModelError, PlacementError
from microduet.placement import Plan
from microduet.planner.check import check
from microduet.planner.figures import Figures, figures
from microduet.planner.make import Made, Progress, make
from microduet.planner.report import show
from microduet.shape import ModelShape
from microduet_hw.config import Precision


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Arguments of `microduet plan`."""

    board: str = "u280"
    mode: str = "best"
    precision: str | None = None
    out: Path | None = None
    check: Path | None = None
    seconds: float = 25.0
    seed: int = 0
    dim: int = 32
    json: bool = False


def main(model: str, options: PlanOptions) -> int:
    """Make or check a plan and print its figures."""
    if options.seconds <= 0:
        raise InputError(f"seconds must be above 0, not {options.seconds}")
    board = boards.find(options.board)
    precision = _precision(options.precision)
    shape = compiler.shape_of(model, seed=options.seed, dim=options.dim)
    console = Console(stderr=options.json, highlight=False)
    if options.check is not None:
        made = checked(options.check, shape, board, precision)
    else:
        with _watching(console) as progress:
            made = make(
                shape,
                precision=precision or Precision.FIXED16,
                board=board,
                mode=options.mode,
                seconds=options.seconds,
                progress=progress,
            )
    if options.out is not None:
        made.plan.save(options.out)
    found = figures(made.plan, shape)
    if options.json:
        print(json.dumps(_record(made, found, options)))
    else:
        show(made, found, shape, console)
        if options.check is not None:
            console.print(f"{options.check}: every row is reached once, nothing overlaps", soft_wrap=True)
    return 0


def checked(path: Path, shape: ModelShape, board: boards.Board, precision: Precision | None) -> Made:
    """The plan at `path`, which must serve `shape`; raises PlacementError, with the file's name, if it does not."""
    started = time.monotonic()
    plan = Plan.read(path)
    if precision not in (None, plan.precision):
        raise InputError(f"{path} is for precision {plan.precision}, not {precision}")
    try:
        check(plan, shape, board)
    except PlacementError as error:
        raise PlacementError(f"{path}: {error}") from error
    return Made(plan=plan, seconds=time.monotonic() - started)


def _precision(name: str | None) -> Precision | None:
    try:
        return None if name is None else Precision(name)
    except ValueError as error:
        raise ModelError(f"precision must be {', '.join(Precision)}, not {name!r}") from error


@contextmanager
def _watching(console: Console) -> Generator[Progress | None]:
    """The solver's best value and bound so far, on a terminal."""
    if not console.is_terminal:
        yield None
        return
    with console.status("planning") as status:
        yield lambda what, best, bound: status.update(f"{what}: {best:,}, bound {bound:,}")


def _record(made: Made, found: Figures, options: PlanOptions) -> dict[str, object]:
    from microduet.versions import versions

    plan = made.plan
    return {
        "model": plan.model,
        "board": plan.board,
        "precision": plan.precision,
        "mode": plan.mode,
        "physical_tables": found.physical_tables,
        "products": len(plan.products),
        "dram_tables": found.dram_tables,
        "onchip_tables": found.onchip_tables,
        "rounds": found.rounds,
        "overhead_percent": found.overhead_percent,
        "slowest_channel_ns": found.slowest_channel_ns,
        "stored_bytes": found.stored_bytes,
        "optimal": made.optimal,
        "gap": made.gap,
        "seconds": round(made.seconds, 3),
        "seed": options.seed,
        "versions": versions() | _solver_version(made),
    }


def _solver_version(made: Made) -> dict[str, str]:
    import importlib.metadata

    return {} if made.optimal is None else {"ortools": importlib.metadata.version("ortools")}
