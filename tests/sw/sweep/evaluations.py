"""What workers run in the tests of sweeps instead of an engine; each call leaves a line, so that calls can be counted.

The folder of the lines is $SWEEP_CALLS, which workers inherit.
"""

import os
import signal
import time
from pathlib import Path

from microduet.sweep.point import Figures, Outcome, Point


def calls(folder: Path) -> list[str]:
    """Budgets of the points that were finished, in that order."""
    file = folder / "calls"
    return file.read_text().split() if file.exists() else []


def _note(name: str, point: Point) -> int:
    """Leave a line; how many `point` has now."""
    file = Path(os.environ["SWEEP_CALLS"]) / name
    with file.open("a") as lines:
        lines.write(f"{point.multipliers}\n")
    return file.read_text().split().count(str(point.multipliers))


def figures(point: Point) -> Figures:
    size = point.multipliers or 0
    return Figures(
        predicted=True, chosen="2x2[0]", cycles=1e6 / size, dsp=size, bram36=1, uram=0, used_multipliers=size
    )


def plain(point: Point) -> Outcome:
    _note("calls", point)
    return Outcome(figures=figures(point))


def slow(point: Point) -> Outcome:
    time.sleep(0.3)
    return plain(point)


def fails_once(point: Point) -> Outcome:
    if _note("attempts", point) == 1 and point.multipliers == 102:
        return Outcome(cause="no luck")
    return plain(point)


def fails(point: Point) -> Outcome:
    return Outcome(cause="never") if point.multipliers == 102 else plain(point)


def dies_once(point: Point) -> Outcome:
    if _note("attempts", point) == 1 and point.multipliers == 102:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(point)


def dies(point: Point) -> Outcome:
    if point.multipliers == 102:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(point)
