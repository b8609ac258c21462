"""Systems (a) and (b) of a query on this processor: times, spread, throughput, every variant that was tried."""

import dataclasses
from collections.abc import Callable

import torch

from microduet.cpu.systems import Combined, ItemHalf, Whole, random_query
from microduet.cpu.timing import Times, calls_per_second
from microduet.cpu.tune import Tried, cores, tune
from microduet.duet import zoo
from microduet.duet.shape import DlrmShape
from microduet.models.split import SplitModel
from microduet.progress import Steps

THROUGHPUT_S = 2.0
"""Seconds over which queries per second are counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CpuSystem:
    """What was measured of one system.

    Members
    -------
    times : of a query at its best variant, in ms; of (b), of the items' half
    combine : of (b): of the combined layers and the top k, in ms; None of (a)
    per_s : queries per second of this processor alone
    variant, grid : the best way, and all that were tried
    threads : of the best way
    """

    times: Times
    combine: Times | None
    per_s: float
    variant: str
    grid: tuple[Tried, ...]
    threads: int


def system_a(
    shape: DlrmShape, split: SplitModel, *, n: int, k: int, seed: int, compiles: bool, progress: Steps
) -> CpuSystem:
    """The whole model for each of `n` candidates, and the top `k`."""
    query = random_query(shape, split, n=n, seed=seed)
    tuned = tune(
        lambda kind: Whole(shape, tables=kind, seed=seed),
        (query.sparse, query.dense),
        compiles=_compiles(compiles),
        finish=lambda logits: torch.topk(logits, min(k, n)),
        progress=progress,
    )
    per_s = _per_second(tuned.single, tuned.times)
    return CpuSystem(
        times=tuned.times,
        combine=None,
        per_s=per_s,
        variant=str(tuned.variant),
        grid=tuned.grid,
        threads=tuned.variant.threads,
    )


def system_b(
    shape: DlrmShape, split: SplitModel, *, n: int, k: int, seed: int, compiles: bool, progress: Steps
) -> CpuSystem:
    """The items' half of the split model for `n` candidates, then the combined layers and the top `k`."""
    query = random_query(shape, split, n=n, seed=seed)
    half = tune(
        lambda kind: ItemHalf(split, tables=kind, seed=seed),
        (query.items, None),
        compiles=_compiles(compiles),
        progress=progress,
    )
    items = half.run().clone()
    combined = tune(
        lambda kind: _WithUser(Combined(split), query.user),
        (items, None),
        kinds=("float32",),
        compiles=_compiles(compiles),
        finish=lambda logits: torch.topk(logits, min(k, n)),
        progress=progress,
    )

    def both() -> None:
        half.single()
        combined.single()

    milliseconds = half.times.median_ms + combined.times.median_ms
    per_s = _per_second(both, half.times.replace(median_ms=milliseconds))
    return CpuSystem(
        times=half.times,
        combine=combined.times,
        per_s=per_s,
        variant=f"items: {half.variant}; combined: {combined.variant}",
        grid=(*half.grid, *combined.grid),
        threads=half.variant.threads,
    )


class _WithUser(torch.nn.Module):
    """The combined layers for one user."""

    def __init__(self, model: Combined, user: torch.Tensor) -> None:
        super().__init__()
        self.model, self.user = model, user

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        return self.model(self.user, items)


def _compiles(wanted: bool) -> tuple[bool, ...]:
    return (False, True) if wanted else (False,)


def _per_second(run: Callable[[], object], times: Times) -> float:
    """Queries per second: one after the other with all threads, or one per core, whichever is more."""
    return max(1000 / times.median_ms, calls_per_second(run, workers=cores(), seconds=THROUGHPUT_S))


def models_of(name: str, *, seed: int) -> tuple[DlrmShape, SplitModel]:
    """The uncut model's shape and the split model of RM1 to RM5."""
    return zoo.shape_of(name), SplitModel(zoo.spec(name, split="duet", seed=seed))
