"""Workers: processes of this machine, or of a Ray cluster."""

import concurrent.futures
import multiprocessing
import typing
from collections.abc import Callable

from pebble import ProcessExpired, ProcessPool

from microduet.sweep.point import Outcome, Point
from microduet.sweep.worker import evaluate, prepare

Evaluate = Callable[[Point], Outcome]


class Pool(typing.Protocol):
    """Workers that evaluate points. A worker that dies is replaced and gives its point a cause.

    Members
    -------
    workers : points that are evaluated at once
    """

    workers: int

    def submit(self, point: Point) -> None:
        """Have `point` evaluated."""
        ...

    def next(self) -> tuple[Point, Outcome]:
        """Wait for a submitted point."""
        ...

    def close(self) -> None:
        """End all workers, whatever they do."""
        ...


class LocalPool:
    """A `Pool` of processes of this machine."""

    def __init__(self, *, workers: int, evaluate: Evaluate = evaluate) -> None:
        self.workers = workers
        self._evaluate = evaluate
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(max_workers=workers, context=context, initializer=prepare)
        self._running: dict[concurrent.futures.Future[Outcome], Point] = {}

    def submit(self, point: Point) -> None:
        self._running[self._pool.schedule(self._evaluate, args=(point,))] = point

    def next(self) -> tuple[Point, Outcome]:
        done, _ = concurrent.futures.wait(self._running, return_when=concurrent.futures.FIRST_COMPLETED)
        future = done.pop()
        point = self._running.pop(future)
        try:
            return point, future.result()
        except ProcessExpired as error:
            code = error.exitcode or 0
            how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
            return point, Outcome(cause=f"the worker died: {how}")

    def close(self) -> None:
        self._pool.stop()
        self._pool.join()
