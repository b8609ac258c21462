"""Latency over load: random reads on one channel of DRAM, with more and more of them in flight."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from microduet_sim.dram.parameters import DramParameters
from microduet_sim.dram.replay import Replayed, Trace, replay

OUTSTANDING = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
TRANSACTIONS = 20_000
"""Reads per point: hundreds of them meet a refresh, so p99 is no matter of luck."""
MAX_BYTES = 4096
"""An AXI burst crosses no multiple of this."""


@dataclass(frozen=True, kw_only=True)
class LoadPoint:
    """What a channel gives with so many reads in flight; latency as `Replayed` has it, in nanoseconds."""

    bytes: int
    outstanding: int
    gigabytes_per_s: float
    peak_share: float
    mean_ns: float
    p50_ns: float
    p99_ns: float


def random_reads(parameters: DramParameters, size: int, *, transactions: int = TRANSACTIONS, seed: int = 0) -> Trace:
    """Reads of `size` bytes anywhere in the channel, at multiples of their size.

    Raises
    ------
    ValueError
        If the size is not 1 to `MAX_BYTES`.
    """
    if not 1 <= size <= MAX_BYTES:
        raise ValueError(f"reads must be of 1 to {MAX_BYTES} bytes, not {size}")
    addresses = np.random.default_rng(seed).integers(0, parameters.bytes // size, transactions) * size
    return Trace(addresses=addresses.astype(np.uint64), bytes=np.full(transactions, size, np.uint32))


def load_points(
    parameters: DramParameters, sizes: Sequence[int], *, transactions: int = TRANSACTIONS, seed: int = 0
) -> Iterator[LoadPoint]:
    """A point per size and number of `OUTSTANDING`, in this order; raises ValueError as `random_reads` does."""
    for size in sizes:
        trace = random_reads(parameters, size, transactions=transactions, seed=seed)
        for outstanding in OUTSTANDING:
            yield _point(replay(trace, parameters, outstanding=outstanding), size, outstanding)


def _point(replayed: Replayed, size: int, outstanding: int) -> LoadPoint:
    figures = replayed.figures()
    return LoadPoint(
        bytes=size,
        outstanding=outstanding,
        gigabytes_per_s=figures["gigabytes_per_s"],
        peak_share=figures["peak_share"],
        mean_ns=figures["mean_ns"],
        p50_ns=figures["p50_ns"],
        p99_ns=round(figures["p99_cycles"] * replayed.parameters.tCK_ns, 3),
    )
