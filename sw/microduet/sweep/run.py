"""Evaluates the points of a sweep that have no result yet, and keeps each result at once."""

import dataclasses
from collections import Counter, deque
from collections.abc import Sequence

from microduet.progress import Steps
from microduet.sweep.point import Point, code_digest
from microduet.sweep.pools import Pool
from microduet.sweep.results import Results, Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run did: points finished, failed for good, and skipped because an earlier run had finished them."""

    done: int
    failed: int
    skipped: int


def pending(points: Sequence[Point], results: Results) -> list[Point]:
    """Points without figures of this code."""
    rows = ((point, results.rows.get(point.key)) for point in points)
    return [point for point, row in rows if row is None or not row.done or row.code != code_digest()]


def run(points: Sequence[Point], results: Results, *, pool: Pool, retries: int, progress: Steps | None = None) -> Ran:
    """Have `pool` evaluate what is pending; a point that fails comes up to `retries` times more, behind the others.

    Raises
    ------
    InputError
        If the result file cannot be written; what was kept before stays.
    """
    waiting, running = deque(pending(points, results)), 0
    total, failures, done, failed = len(waiting), Counter[Point](), 0, 0
    while waiting or running:
        while waiting and running < pool.workers:
            pool.submit(waiting.popleft())
            running += 1
        if progress is not None:
            progress("points", done + failed, total)
        point, outcome = pool.next()
        running -= 1
        before = results.rows.get(point.key)
        attempts = before.attempts if before is not None and before.code == code_digest() else 0
        results.put(Row(point=point, outcome=outcome, code=code_digest(), attempts=attempts + 1))
        if outcome.figures is not None:
            done += 1
        elif failures[point] < retries:
            failures[point] += 1
            waiting.append(point)
        else:
            failed += 1
    if progress is not None:
        progress("points", done + failed, total)
    return Ran(done=done, failed=failed, skipped=len(points) - total)
