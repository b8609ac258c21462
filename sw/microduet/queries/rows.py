"""Rows of `microduet bench query`: what each of the three systems takes, and how they compare."""

import math
import typing
from collections.abc import Sequence

import numpy as np

from microduet.cpu.bench import grid
from microduet.cpu.query import CpuModel
from microduet.cpu.tune import cores
from microduet.energy.account import Energy, energy, worst_ratio
from microduet.queries.counts import Counts, joined, loaded
from microduet.queries.measure import Measured, System

Figures = dict[str, typing.Any]

RATIOS = (
    "a_over_b",
    "a_over_c",
    "b_over_c",
    "throughput_a_over_c",
    "energy_a_over_c",
    "energy_a_over_c_worst",
    "energy_loaded_a_over_c",
    "energy_loaded_a_over_c_worst",
)
"""Columns whose geometric means are shown."""

OF_A_VARIANT = ("c_precision", "c_ms", "c_per_s", "c_mj", "multipliers", "dsp", "engine_cycles", "mismatches")
"""Columns of system (c) that are shown of every precision."""


def c_row(system: System, name: str, n: int, found: Measured, *, seed: int) -> Figures:
    """System (c) with an engine of one precision."""
    from microduet.measure import costs

    timings = [one.timing for one in found.rankings if one.timing is not None]
    totals = [one.total_us / 1000 for one in timings]
    taken = costs(system.engine_bundle)
    return {
        "model": name,
        "n": n,
        "seed": seed,
        "c_precision": system.engine_bundle.config.precision.value,
        "c_ms": float(np.median(totals)),
        "c_p99_ms": float(np.percentile(totals, 99)),
        "c_per_s": found.per_s,
        "c_users": math.ceil(found.per_s * float(np.median(totals)) / 1000),
        "users": found.users,
        "multipliers": taken["multipliers"] + taken["output_multipliers"] + taken["user_multipliers"],
        "dsp": taken["dsp"] + taken["user_multipliers"],
        "engine_cycles": found.engine_cycles,
        "edge_cycles": found.edge_cycles,
        "link_us": float(np.median([one.link_us for one in timings])),
        "edge_us": float(np.median([one.edge_us for one in timings])),
        "wait_us": float(np.median([one.wait_us for one in timings])),
        "down_us": float(np.median([one.down_us or math.nan for one in timings])),
        "lookup_bound_share": found.lookup_share,
        **_millijoules("c", energy(found.counts)),
        **_millijoules("c_loaded", energy(loaded(found.counts, found.per_s))),
        "c_counts": found.counts,
        "mismatches": found.mismatches,
    }


def fastest(rows: Sequence[Figures]) -> Figures:
    """The row of the precision that answers first, with all of them as its variants; a mismatch in any is one."""
    best = min(rows, key=lambda row: row["c_ms"])
    variants = [{name: row[name] for name in OF_A_VARIANT} for row in rows]
    return best | {"c_variants": variants, "mismatches": sum(row["mismatches"] for row in rows)}


def cpu_figures(model: CpuModel, row: Figures, k: int) -> Figures:
    """Systems (a) and (b) of the same query size, and how all three compare."""
    n = row["n"]
    a, b = model.system_a(n=n, k=min(k, n)), model.system_b(n=n, k=min(k, n))
    away_ms = (row["edge_us"] + row["link_us"]) / 1000
    combine = typing.cast(typing.Any, b.combine)
    b_ms = max(away_ms, b.times.median_ms) + combine.median_ms
    busy_s = (b.times.median_ms + combine.median_ms) / 1000
    shared: Counts = {name: count for name, count in row["c_counts"].items() if name.split(".")[0] in ("edge", "link")}
    energies = {
        "a": energy({"cpu.core": a.times.median_ms / 1000 * a.threads}),
        "b": energy(joined(shared, {"cpu.core": busy_s * b.threads})),
        "a_loaded": energy({"cpu.core": cores() / a.per_s}),
        "b_loaded": energy(joined(shared, {"cpu.core": cores() / b.per_s})),
    }
    c, c_loaded = energy(row["c_counts"]), energy(loaded(row["c_counts"], row["c_per_s"]))
    return {
        "a_ms": a.times.median_ms,
        "a_p25_ms": a.times.p25_ms,
        "a_p75_ms": a.times.p75_ms,
        "a_p99_ms": a.times.p99_ms,
        "a_per_s": a.per_s,
        "a_variant": a.variant,
        "a_parts_ms": a.parts_ms,
        "b_ms": b_ms,
        "b_items_ms": b.times.median_ms,
        "b_combined_ms": combine.median_ms,
        "b_p99_ms": max(away_ms, b.times.p99_ms) + combine.p99_ms,
        "b_per_s": b.per_s,
        "b_variant": b.variant,
        "table_bytes": model.table_bytes,
        **{key: value for name, found in energies.items() for key, value in _millijoules(name, found).items()},
        "a_over_b": a.times.median_ms / b_ms,
        "a_over_c": a.times.median_ms / row["c_ms"],
        "b_over_c": b_ms / row["c_ms"],
        "throughput_a_over_c": row["c_per_s"] / a.per_s,
        "energy_a_over_c": energies["a"].typical / c.typical,
        "energy_a_over_c_worst": worst_ratio(energies["a"], c),
        "energy_loaded_a_over_c": energies["a_loaded"].typical / c_loaded.typical,
        "energy_loaded_a_over_c_worst": worst_ratio(energies["a_loaded"], c_loaded),
        "a_grid": grid(a.grid),
        "b_grid": grid(b.grid),
    }


def means(rows: Sequence[Figures]) -> Figures:
    """Geometric means over the models of every ratio that was measured, by query size."""
    found: Figures = {}
    for n in sorted({row["n"] for row in rows}):
        own = [row for row in rows if row["n"] == n and "a_ms" in row]
        found[str(n)] = {name: float(np.exp(np.mean([math.log(row[name]) for row in own]))) for name in RATIOS if own}
    return found


def _millijoules(prefix: str, found: Energy) -> Figures:
    return {
        f"{prefix}_mj": found.typical * 1000,
        f"{prefix}_mj_low": found.low * 1000,
        f"{prefix}_mj_high": found.high * 1000,
        f"{prefix}_mj_places": {place: joules * 1000 for place, joules in found.places.items()},
    }
