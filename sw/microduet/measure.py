"""Measures an engine: throughput, idle and loaded latency, lookups, and every score against the golden model."""

import dataclasses
import typing
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from microduet import budget, search
from microduet.bundle import Bundle
from microduet.device import Batch, Device
from microduet.locate import locate
from microduet.traffic import make_ids
from microduet.versions import versions
from microduet_hw.config import EngineConfig
from microduet_hw.layout import plan_layer
from microduet_sim.dram import Memory

IDLE_ITEMS = 32
"""Items sent one at a time: enough for the clocks' phases to differ."""
LOAD = 0.8
"""Arrivals of the loaded latency, as a part of the measured throughput."""

Progress = Callable[[str, int, int], None]
"""``progress(what, done, of)``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What to run and how."""

    bundle: Bundle
    items: int = 1024
    loaded_items: int | None = None
    """Items of the batch with Poisson arrivals; as many as `items` if None."""
    traffic: str = "uniform"
    memory: Memory = "dram"
    seed: int = 0

    def ids(self, items: int, *, salt: int) -> npt.NDArray[np.int64]:
        """Ids of a batch of its own."""
        return make_ids(self.bundle.shape, items=items, traffic=self.traffic, seed=self.seed + salt)

    def dense(self, items: int, *, salt: int) -> npt.NDArray[np.float32] | None:
        """Dense features of a batch, standard normal."""
        width = self.bundle.config.dense
        if not width:
            return None
        return np.random.default_rng([self.seed, salt]).standard_normal((items, width), np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A logit or a score that is not the golden model's."""

    item: int
    what: str
    expected: int
    actual: int
    status: int
    where: str = ""
    """Where it began, of the first one: layer, input, lane and cycle."""

    def __str__(self) -> str:
        width = 0xFFFFFFFF
        return (
            f"item {self.item}: {self.what} expected {self.expected} ({self.expected & width:#x}), "
            f"actual {self.actual} ({self.actual & width:#x}), status {self.status:#x}"
        ) + (f"; began at {self.where}" if self.where else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A job's outcome: the figures by name, and the first mismatches."""

    figures: dict[str, object]
    mismatches: list[Mismatch]


def measure(job: Job, device: Device, *, progress: Progress | None = None) -> Measured:
    """Run `job` on `device`: a saturated batch, an idle one, one with Poisson arrivals; compare every score."""

    def run(what: str, items: int, mode: object, salt: int) -> tuple[Batch, list[Mismatch], int]:
        sparse, dense = job.ids(items, salt=salt), job.dense(items, salt=salt)

        def report(done: int, cycles: int) -> None:
            if progress is not None:
                progress(what, done, items)

        batch = device.run(sparse, dense, mode=typing.cast(typing.Any, mode), progress=report)
        report(items, batch.cycles)
        found, count = compare(job.bundle, batch, sparse, dense)
        if found and found[0].status == 0:
            one = slice(found[0].item, found[0].item + 1)
            fault = locate(device, sparse[one], None if dense is None else dense[one])
            found[0] = dataclasses.replace(found[0], where=str(fault or "after the last hidden layer's input"))
        return batch, found, count

    saturated, wrong, count = run("saturated", job.items, "saturated", 0)
    idle, wrong_idle, count_idle = run("idle", min(IDLE_ITEMS, job.items), "idle", 1)
    items = job.loaded_items or job.items
    gaps = np.random.default_rng([job.seed, 2]).exponential(saturated.cycles_per_item / LOAD, items)
    loaded, wrong_loaded, count_loaded = run("loaded", items, np.cumsum(gaps).astype(np.int64), 2)
    p50, p99 = np.percentile(loaded.latency, [50, 99])
    lookup_p50, lookup_p99 = np.percentile(idle.lookup_ns, [50, 99])
    figures: dict[str, object] = {
        **described(job),
        "mismatches": count + count_idle + count_loaded,
        "cycles_per_item": round(saturated.cycles_per_item, 3),
        "idle_latency_cycles": round(float(idle.latency.mean()), 1),
        "p50_latency_cycles": round(float(p50), 1),
        "p99_latency_cycles": round(float(p99), 1),
        "lookup_latency_ns": round(float(idle.lookup_ns.mean()), 1),
        "p50_lookup_latency_ns": round(float(lookup_p50), 1),
        "p99_lookup_latency_ns": round(float(lookup_p99), 1),
        "multiplier_use": array_use(job.bundle, saturated.cycles_per_item),
        "loaded_items": items,
        **simulated(cycles=saturated.cycles, seconds=saturated.seconds),
    }
    return Measured(figures=figures, mismatches=[*wrong, *wrong_idle, *wrong_loaded])


def described(job: Job) -> dict[str, object]:
    """What is run, and what its engine costs."""
    config = job.bundle.config
    return {
        "model": job.bundle.manifest.model,
        "precision": str(config.precision),
        "config": config.name,
        "row_check": config.row_check,
        "memory": job.memory,
        "traffic": job.traffic,
        "seed": job.seed,
        "items": job.items,
        **costs(job.bundle),
        "macs_per_item": job.bundle.shape.macs,
        "clock_mhz": config.engine_mhz,
        "memory_clock_mhz": config.memory_mhz,
        "config_digest": config.digest,
        "versions": versions(),
    }


def array_use(bundle: Bundle, cycles: float) -> float:
    """Part of the arrays' multipliers that compute a product of the model, at `cycles` per item."""
    multipliers = bundle.config.multipliers
    return round(bundle.shape.macs / cycles / multipliers, 4) if multipliers else 0.0


def simulated(*, cycles: int, seconds: float) -> dict[str, object]:
    """How long the saturated batch took, and how fast it was simulated."""
    return {
        "simulated_cycles": cycles,
        "simulated_cycles_per_second": round(cycles / seconds) if seconds else 0,
    }


def compare(
    bundle: Bundle,
    batch: Batch,
    sparse: npt.NDArray[np.int64],
    dense: npt.NDArray[np.float32] | None,
    *,
    keep: int = 8,
) -> tuple[list[Mismatch], int]:
    """Every logit and score of a batch against the golden model: the first `keep` mismatches, and how many."""
    golden = bundle.golden().run(sparse, dense)
    expected_score = golden.scores
    bad = (golden.logits != batch.logits) | (batch.status != 0) | (expected_score != batch.scores)
    found: list[Mismatch] = []
    for item in np.flatnonzero(bad)[:keep].tolist():
        logit = golden.logits[item] != batch.logits[item]
        pair = (golden.logits[item], batch.logits[item])
        if not logit and batch.status[item] == 0:
            pair = (golden.scores16[item], round(float(batch.scores[item]) * 65536))
        found.append(
            Mismatch(
                item=item,
                what="logit" if logit or batch.status[item] else "score",
                expected=int(pair[0]),
                actual=int(pair[1]),
                status=int(batch.status[item]),
            )
        )
    return found, int(bad.sum())


def costs(bundle: Bundle) -> dict[str, int]:
    """Multipliers and card resources of a bundle's engine."""
    config = bundle.config
    rows = tuple(array_rows(config, k) for k in range(len(config.arrays)))
    used = budget.resources(config.arrays, rows, precision=config.precision, board=bundle.manifest.board)
    return {
        "multipliers": used.multipliers,
        "output_multipliers": used.output_multipliers,
        "user_multipliers": config.user.multipliers if config.user else 0,
        "dsp": used.dsp,
        "bram36": used.bram36,
        "uram": used.uram,
    }


def array_rows(config: EngineConfig, number: int) -> int:
    """Rows of weights in each PE of array `number`."""
    plans = [plan_layer(config, layer) for layer in config.arrays[number].layers]
    return sum(plan.rounds * plan.steps for plan in plans)


def search_result(bundle: Bundle) -> search.SearchResult:
    """What the search chose from for this bundle's model."""
    from microduet.shape import ModelShape

    config = bundle.config
    shape = ModelShape.of(config, name=bundle.manifest.model)
    return search.search(shape, precision=config.precision, board=bundle.manifest.board)
