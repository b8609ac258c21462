"""When parts of a simulated unit were busy."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microduet_sim.abi import MdInterval, address
from microduet_sim.errors import SimulatorError

COUNTER, ITEMS, USERS, RESULTS, READ = range(5)
"""Kinds of activity, as in runtime/arguments.h."""


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Intervals of one kind, in the order of their starts.

    Members
    -------
    start_ps, end_ps : int64 (n,): since the simulator was opened
    count : int64 (n,): cycles of an interval, or beats of a read
    """

    start_ps: npt.NDArray[np.int64]
    end_ps: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start_ps)

    @classmethod
    def of(cls, rows: npt.NDArray[Any]) -> Self:
        """From rows of `MdInterval`."""
        rows = np.sort(rows, order=["start_ps", "end_ps"])
        return cls(**{name: rows[name].astype(np.int64) for name in ("start_ps", "end_ps", "count")})


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a unit did while it was watched.

    An interval of cycles runs from the clock edge before its first event to the edge of its last one. A read runs from
    the edge at which its address was taken to the one at which its last beat was.

    Members
    -------
    counters : by the names of the configuration's counters, the cycles in which each went up
    items, users, results : beats taken of the unit's streams
    reads : by source number, every read of a memory channel
    """

    counters: Mapping[str, Intervals]
    items: Intervals
    users: Intervals
    results: Intervals
    reads: Mapping[int, Intervals]


def read_activity(
    library: ctypes.CDLL, handle: ctypes.c_void_p, *, counters: Sequence[str], channels: Sequence[int]
) -> Activity:
    """What the runtime has kept so far.

    Raises
    ------
    SimulatorError
        If the simulator was built so that its counters cannot be seen.
    """
    if not library.md_watched_counters(handle):
        raise SimulatorError("this build of the simulator does not show its counters: it cannot be traced")
    rows: npt.NDArray[Any] = np.zeros(library.md_watched(handle, None, 0), np.dtype(MdInterval))
    library.md_watched(handle, address(rows), len(rows))

    def chosen(kind: int, number: int = 0) -> Intervals:
        return Intervals.of(rows[(rows["kind"] == kind) & (rows["number"] == number)])

    return Activity(
        counters={name: chosen(COUNTER, k) for k, name in enumerate(counters)},
        items=chosen(ITEMS),
        users=chosen(USERS),
        results=chosen(RESULTS),
        reads={source: chosen(READ, k) for k, source in enumerate(channels)},
    )
