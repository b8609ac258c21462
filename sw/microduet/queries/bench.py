"""``microduet bench query``: (a) the whole model on this processor, (b) Duet's halves on it, (c) the simulation."""

import dataclasses
import json
import math
import typing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from microduet.cpu.bench import cpu_name, grid
from microduet.cpu.query import CpuModel
from microduet.cpu.tune import cores
from microduet.duet import zoo
from microduet.energy.account import Energy, energy, worst_ratio
from microduet.errors import InputError
from microduet.folders import write_file
from microduet.perfetto import check_writable
from microduet.progress import Steps, steps
from microduet.queries.counts import Counts, joined, loaded
from microduet.queries.measure import Measured, System, measure
from microduet.queries.session import HEADER_BYTES
from microduet.versions import versions
from microduet_sim.link import Link

Figures = dict[str, typing.Any]

PAPER_RATIO = {"a_b": 6.4, "energy": 4.6}
"""Duet, section 7: latency and energy of its baseline over its own system, mean of five models, 1024 candidates."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryBenchOptions:
    """Arguments of `microduet bench query`."""

    models: tuple[str, ...] = zoo.RM
    n: tuple[int, ...] = (1024,)
    k: int = 10
    queries: int = 3
    users: int = 4
    rtt_ms: float = 0.0
    compiled: bool = True
    cpu: bool = True
    seed: int = 0
    trace: Path | None = None
    trace_plot: Path | None = None
    plot: Path | None = None
    json: bool = False


def main(options: QueryBenchOptions) -> int:
    """Measure and print; 1 if an answer is not the golden model's."""
    for name in options.models:
        if name not in zoo.RM:
            raise InputError(f"models must be {', '.join(zoo.RM)}, not {name!r}")
    if min((*options.n, options.queries, options.users, options.k)) < 1:
        raise InputError("n, queries, users and k must be at least 1")
    _check_files(options)
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        rows = [row for name in options.models for row in _model(name, options, progress)]
    result = {
        "rows": rows,
        "geometric_means": means(rows),
        "cpu": cpu_name(),
        "cores": cores(),
        "link": {"up_mbps": Link().up_mbps, "rtt_ms": options.rtt_ms, "header_bytes": HEADER_BYTES},
        "paper": PAPER_RATIO,
        "seed": options.seed,
        "versions": versions(),
    }
    if options.plot is not None:
        from microduet.queries.plot import systems_svg

        write_file(options.plot, systems_svg(rows, cpu=cpu_name()))
    if options.trace_plot is not None and options.trace is not None:
        from microduet.queries.trace_plot import timeline_svg

        write_file(options.trace_plot, timeline_svg(options.trace))
    if options.json:
        print(json.dumps(result))
    else:
        show(result, console)
    return 1 if any(row["mismatches"] for row in rows) else 0


def _check_files(options: QueryBenchOptions) -> None:
    """Raise InputError before anything is measured if a file cannot be written."""
    if options.plot is not None:
        if not options.cpu or len(options.n) != 1:
            raise InputError("--plot shows all three systems at one size of query: leave out --no-cpu and other --n")
        if options.plot.suffix != ".svg" or not options.plot.parent.is_dir():
            raise InputError(f"--plot must be an .svg file in a folder that exists, not {str(options.plot)!r}")
    if options.trace_plot is not None:
        if options.trace is None:
            raise InputError("--trace-plot draws the timeline that --trace writes: give both")
        if options.trace_plot.suffix != ".svg":
            raise InputError(f"--trace-plot must end in .svg, not {str(options.trace_plot)!r}")
    for path in (options.trace, options.trace_plot):
        if path is not None:
            check_writable(path)


def _model(name: str, options: QueryBenchOptions, progress: Steps) -> list[Figures]:
    link = Link(rtt_ms=options.rtt_ms, seed=options.seed)
    system = System.of(name, link=link, seed=options.seed)
    try:
        found: list[Measured] = []
        for place, n in enumerate(options.n):
            progress(f"{name}: queries of {n}", place, len(options.n))
            trace = options.trace if (name, place) == (options.models[0], 0) else None
            found.append(measure(system, n=n, k=options.k, queries=options.queries, users=options.users, trace=trace))
        config = system.engine_bundle.config
        user = typing.cast(typing.Any, config.user)
        multipliers = config.multipliers + config.output_lanes + user.multipliers
    finally:
        system.close()
    rows = [_c(name, n, one, options, multipliers) for n, one in zip(options.n, found, strict=True)]
    if options.cpu:

        def report(what: str, done: int, of: int, /) -> None:
            progress(f"{name}: {what}", done, of)

        model = CpuModel.of(name, seed=options.seed, compiles=options.compiled, progress=report)
        rows = [row | _cpu(model, row, options.k) for row in rows]
    return rows


def _c(name: str, n: int, found: Measured, options: QueryBenchOptions, multipliers: int) -> Figures:
    timings = [one.timing for one in found.rankings if one.timing is not None]
    totals = [one.total_us / 1000 for one in timings]
    return {
        "model": name,
        "n": n,
        "seed": options.seed,
        "c_ms": float(np.median(totals)),
        "c_p99_ms": float(np.percentile(totals, 99)),
        "c_per_s": found.per_s,
        "c_users": math.ceil(found.per_s * float(np.median(totals)) / 1000),
        "users": found.users,
        "multipliers": multipliers,
        "engine_cycles": found.engine_cycles,
        "edge_cycles": found.edge_cycles,
        "link_us": float(np.median([one.link_us for one in timings])),
        "edge_us": float(np.median([one.edge_us for one in timings])),
        "wait_us": float(np.median([one.wait_us for one in timings])),
        "down_us": float(np.median([one.down_us or math.nan for one in timings])),
        "lookup_bound_share": found.lookup_share,
        **_energy("c", energy(found.counts)),
        **_energy("c_loaded", energy(loaded(found.counts, found.per_s))),
        "c_counts": found.counts,
        "mismatches": found.mismatches,
    }


def _cpu(model: CpuModel, row: Figures, k: int) -> Figures:
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
        "b_ms": b_ms,
        "b_items_ms": b.times.median_ms,
        "b_combined_ms": combine.median_ms,
        "b_p99_ms": max(away_ms, b.times.p99_ms) + combine.p99_ms,
        "b_per_s": b.per_s,
        "b_variant": b.variant,
        "table_bytes": model.table_bytes,
        **{key: value for name, found in energies.items() for key, value in _energy(name, found).items()},
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


def _energy(prefix: str, found: Energy) -> Figures:
    return {
        f"{prefix}_mj": found.typical * 1000,
        f"{prefix}_mj_low": found.low * 1000,
        f"{prefix}_mj_high": found.high * 1000,
        f"{prefix}_mj_places": {place: joules * 1000 for place, joules in found.places.items()},
    }


def means(rows: Sequence[Figures]) -> Figures:
    """Geometric means over the models of every ratio that was measured, by query size."""
    names = (
        "a_over_b",
        "a_over_c",
        "b_over_c",
        "throughput_a_over_c",
        "energy_a_over_c",
        "energy_a_over_c_worst",
        "energy_loaded_a_over_c",
        "energy_loaded_a_over_c_worst",
    )
    found: Figures = {}
    for n in sorted({row["n"] for row in rows}):
        own = [row for row in rows if row["n"] == n and "a_ms" in row]
        found[str(n)] = {name: float(np.exp(np.mean([math.log(row[name]) for row in own]))) for name in names if own}
    return found


def show(result: Figures, console: Console) -> None:
    """The three systems side by side, then the variants that were tried."""
    names = ("model", "n", "(a) ms", "(b) ms", "(c) ms", "edge us", "link us", "engine cycles", "(a)/(c)", "(b)/(c)")
    table = Table(*names, "per s (c)/(a)", "mJ (a)", "mJ (c)", "wrong", box=None)
    for row in result["rows"]:
        ratios = [f"{row[name]:.1f}" if name in row else "" for name in ("a_over_c", "b_over_c", "throughput_a_over_c")]
        times = [f"{row[name]:.3f}" if name in row else "" for name in ("a_ms", "b_ms", "c_ms")]
        table.add_row(
            row["model"], str(row["n"]), *times, f"{row['edge_us']:.2f}", f"{row['link_us']:.1f}",
            f"{row['engine_cycles']:,}", *ratios, f"{row['a_mj']:.1f}" if "a_mj" in row else "", f"{row['c_mj']:.2f}",
            str(row["mismatches"]),
        )  # fmt: skip
    console.print(table)
    for n, found in result["geometric_means"].items():
        if found:
            console.print(
                f"n = {n}, geometric means: (a)/(b) {found['a_over_b']:.1f} (Duet: {PAPER_RATIO['a_b']}), (a)/(c) "
                f"{found['a_over_c']:.1f}, (b)/(c) {found['b_over_c']:.1f}, energy (a)/(c) "
                f"{found['energy_a_over_c']:.1f}, all ranges against (c) {found['energy_a_over_c_worst']:.1f} (Duet: "
                f"{PAPER_RATIO['energy']}), under load {found['energy_loaded_a_over_c']:.1f} and "
                f"{found['energy_loaded_a_over_c_worst']:.1f}",
                soft_wrap=True,
            )
    console.print(f"processor: {result['cpu']}, {result['cores']} cores", soft_wrap=True)
    for row in result["rows"]:
        for system in ("a", "b"):
            for one in row.get(f"{system}_grid", []):
                time = one["failed"] if one["ms"] is None else f"{one['ms']:.3f} ms"
                console.print(f"({system}) {row['model']} n={row['n']}: {one['variant']}: {time}", soft_wrap=True)
