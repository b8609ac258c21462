"""Times of a function on a shared machine: medians with their spread."""

import concurrent.futures
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from microduet_hw.config import Frozen

WARM_UP = 3
"""Calls before the first that counts."""


class Times(Frozen, frozen=True, kw_only=True):
    """Milliseconds of calls.

    Members
    -------
    median_ms, p25_ms, p75_ms, p99_ms : over `calls` calls
    """

    median_ms: float
    p25_ms: float
    p75_ms: float
    p99_ms: float
    calls: int


def timed(function: Callable[[], object], *, seconds: float, least: int = 5, most: int = 1000) -> Times:
    """Call `function` again and again for about `seconds`, at least `least` times after a warm-up."""
    for _ in range(WARM_UP):
        function()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < least or (time.perf_counter() < end and len(taken) < most):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return summary(np.array(taken) * 1000)


def summary(milliseconds: npt.NDArray[np.float64]) -> Times:
    """Median, quartiles and 99th percentile."""
    p25, median, p75, p99 = (float(value) for value in np.percentile(milliseconds, [25, 50, 75, 99]))
    return Times(median_ms=median, p25_ms=p25, p75_ms=p75, p99_ms=p99, calls=len(milliseconds))


def calls_per_second(function: Callable[[], object], *, workers: int, seconds: float) -> float:
    """Calls that `workers` at once finish per second, each of one thread."""

    def work(end: float) -> int:
        torch.set_num_threads(1)
        done = 0
        while time.perf_counter() < end:
            function()
            done += 1
        return done

    threads = torch.get_num_threads()
    try:
        function()
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            done = sum(pool.map(work, [start + seconds] * workers))
        return done / (time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
