"""How long a query's lookups take: over the channels' buses, summed at ranks, summed at bank groups."""

import concurrent.futures
import threading
import typing
from collections.abc import Callable

import numpy as np

from microduet.cpu.tune import cores
from microduet.duet.shape import DlrmShape
from microduet.near.lookups import SPREADS, Server, Spread, gathers, row_bytes
from microduet_hw.config import Frozen
from microduet_sim.dram.near_memory import (
    RECNMP,
    TRIM,
    Gather,
    NearMemory,
    activation_share,
    reduce,
    refresh_share,
)
from microduet_sim.dram.parameters import DramParameters
from microduet_sim.dram.replay import Trace, replay

Mode = typing.Literal["plain", "recnmp", "trim"]
MODES: tuple[Mode, ...] = typing.get_args(Mode)
NEAR: dict[str, NearMemory] = {"recnmp": RECNMP, "trim": TRIM}

OUTSTANDING = RECNMP.queue
"""Rows that the host has asked a plain channel for."""

Progress = Callable[[int, int], None]
"""``progress(rows, of)``."""


class Channel(Frozen, frozen=True, kw_only=True):
    """What one channel did.

    Members
    -------
    rows, cycles : read, and how long that took
    shares : of the time, by what is in use
    """

    rows: int
    cycles: int
    shares: dict[str, float]


class LookupTime(Frozen, frozen=True, kw_only=True):
    """A query's lookups in one mode.

    Members
    -------
    spread : of the tables, the faster one
    ms, slower_ms : of the slowest channel; with the other spread
    rows : that were read, all of them in simulation
    gigabytes_per_s : that reached adders or the host, of all channels
    bound, bound_share : what the slowest channel has most in use, and for which part of the time that refresh leaves it
    shares : of the slowest channel's time
    """

    spread: Spread
    ms: float
    slower_ms: float
    rows: int
    gigabytes_per_s: float
    bound: str
    bound_share: float
    shares: dict[str, float]


def lookup_time(
    shape: DlrmShape,
    features: tuple[int, ...],
    server: Server,
    mode: Mode,
    *,
    n: int,
    seed: int,
    progress: Progress,
) -> LookupTime:
    """Every lookup of `features` of `n` candidates, cycle by cycle, with either spread of the tables."""
    found = {
        spread: _channels(list(gathers(shape, features, server, n=n, spread=spread, seed=seed)), server, mode, progress)
        for spread in SPREADS
    }
    tCK_ms = server.channel.tCK_ns * 1e-6
    slowest = {spread: max(channels, key=lambda one: one.cycles) for spread, channels in found.items()}
    best, other = sorted(SPREADS, key=lambda spread: slowest[spread].cycles)
    shares = slowest[best].shares
    awake = 1 - shares["refresh"]
    used = {name: share / (1 if name == "channel" else awake) for name, share in shares.items() if name != "refresh"}
    bound = max(used, key=lambda name: used[name])
    ms = slowest[best].cycles * tCK_ms
    rows = sum(channel.rows for channel in found[best])
    return LookupTime(
        spread=best,
        ms=ms,
        slower_ms=slowest[other].cycles * tCK_ms,
        rows=rows,
        gigabytes_per_s=rows * row_bytes(shape) / ms * 1e-6,
        bound=bound,
        bound_share=used[bound],
        shares=shares,
    )


def _channels(wanted: list[Gather | None], server: Server, mode: Mode, progress: Progress) -> list[Channel]:
    """All channels, as many at once as there are cores; when one ends in an error, so do the others."""
    own = [gather for gather in wanted if gather is not None]
    done, of = [0] * len(own), sum(len(gather) for gather in own)
    stopped = threading.Event()

    def one(number: int) -> Channel:
        def report(rows: int, _of: int) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            done[number] = rows
            progress(sum(done), of)

        return channel(own[number], server.channel, mode, report)

    with concurrent.futures.ThreadPoolExecutor(cores()) as pool:
        try:
            return list(pool.map(one, range(len(own))))
        except BaseException:
            stopped.set()
            raise


def channel(gather: Gather, parameters: DramParameters, mode: Mode, progress: Progress | None = None) -> Channel:
    """One channel's rows, read and summed by `mode`."""
    if mode != "plain":
        found = reduce(gather, parameters, NEAR[mode], progress=progress)
        return Channel(rows=len(gather), cycles=found.cycles, shares=found.shares())
    trace = Trace(addresses=gather.addresses, bytes=np.full(len(gather), gather.bytes, np.uint32))
    replayed = replay(trace, parameters, outstanding=OUTSTANDING, progress=progress)
    cycles, counts = int(replayed.completion.max()), replayed.counts
    commands = counts["ACT"] + counts["RD"] + counts["PRE"]
    shares = {
        "bus": counts["RD"] * parameters.burst_cycles / cycles,
        "activations": activation_share(parameters, counts["ACT"], cycles),
        "commands": commands / (parameters.command_buses * cycles),
        "refresh": refresh_share(parameters, counts["REFAB"], cycles),
    }
    return Channel(rows=len(gather), cycles=cycles, shares=shares)
