"""Systems (a) and (b) of a query on this processor: times, spread, throughput, every variant that was tried."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Self

import torch

from microduet.cpu.systems import Combined, ItemHalf, Query, Whole, random_query
from microduet.cpu.tables import table_bytes
from microduet.cpu.timing import Times, calls_per_second, timed
from microduet.cpu.tune import Tried, Variant, cores, tune
from microduet.duet import zoo
from microduet.duet.shape import DlrmShape
from microduet.models.split import SplitModel
from microduet.progress import Steps

THROUGHPUT_S = 2.0
"""Seconds over which queries per second are counted."""

PART_S = 0.5
"""Seconds over which a part of a system is timed by itself."""


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
    parts_ms : of (a): embeddings, bottom and top MLP, each by itself and eager, in the best way's numbers and threads
    """

    times: Times
    combine: Times | None
    per_s: float
    variant: str
    grid: tuple[Tried, ...]
    threads: int
    parts_ms: dict[str, float] = dataclasses.field(default_factory=dict[str, float])


class CpuModel:
    """A model on this processor, uncut and split, at any size of query; tables are made once for all of them.

    Parameters
    ----------
    shape : of the uncut model
    split : the split model
    seed : of tables and queries
    compiles : whether torch.compile is tried too
    progress : told of every variant
    """

    def __init__(self, shape: DlrmShape, split: SplitModel, *, seed: int, compiles: bool, progress: Steps) -> None:
        self._shape, self._split, self._seed, self._progress = shape, split, seed, progress
        self._compiles = compiles
        self._whole = functools.cache(lambda kind: Whole(shape, tables=kind, seed=seed).eval())
        self._half = functools.cache(lambda kind: ItemHalf(split, tables=kind, seed=seed).eval())

    @classmethod
    def of(cls, name: str, *, seed: int, compiles: bool, progress: Steps) -> Self:
        """Of RM1 to RM5."""
        split = SplitModel(zoo.spec(name, split="duet", seed=seed))
        return cls(zoo.shape_of(name), split, seed=seed, compiles=compiles, progress=progress)

    @property
    def table_bytes(self) -> int:
        """Of the uncut model's tables in float32."""
        return table_bytes(self._shape, range(len(self._shape.features)))

    def system_a(self, *, n: int, k: int) -> CpuSystem:
        """The whole model for each of `n` candidates, and the top `k`."""
        query = random_query(self._shape, self._split, n=n, seed=self._seed)
        tuned = tune(
            self._whole,
            (query.sparse, query.dense),
            compiles=self._compiles,
            finish=lambda logits: torch.topk(logits, min(k, n)),
            progress=self._progress,
        )
        return CpuSystem(
            times=tuned.times,
            combine=None,
            per_s=_per_second(tuned.single, tuned.times),
            variant=str(tuned.variant),
            grid=tuned.grid,
            threads=tuned.variant.threads,
            parts_ms=self._parts(tuned.variant, query),
        )

    def _parts(self, variant: Variant, query: Query) -> dict[str, float]:
        model = self._whole(variant.tables)
        torch.set_num_threads(variant.threads)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=variant.layers == "bfloat16"):
            parts = model.parts(query.sparse, query.dense)
            return {name: timed(part, seconds=PART_S).median_ms for name, part in parts.items()}

    def system_b(self, *, n: int, k: int) -> CpuSystem:
        """The items' half of the split model for `n` candidates, then the combined layers and the top `k`."""
        query = random_query(self._shape, self._split, n=n, seed=self._seed)
        half = tune(self._half, (query.items, None), compiles=self._compiles, progress=self._progress)
        items = half.run().clone()
        combined = tune(
            lambda kind: _WithUser(Combined(self._split), query.user),
            (items, None),
            kinds=("float32",),
            compiles=self._compiles,
            finish=lambda logits: torch.topk(logits, min(k, n)),
            progress=self._progress,
        )

        def both() -> None:
            half.single()
            combined.single()

        milliseconds = half.times.median_ms + combined.times.median_ms
        return CpuSystem(
            times=half.times,
            combine=combined.times,
            per_s=_per_second(both, half.times.replace(median_ms=milliseconds)),
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


def _per_second(run: Callable[[], object], times: Times) -> float:
    """Queries per second: one after the other with all threads, or one per core, whichever is more."""
    return max(1000 / times.median_ms, calls_per_second(run, workers=cores(), seconds=THROUGHPUT_S))
