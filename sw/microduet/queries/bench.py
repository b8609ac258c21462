"""``microduet bench query``: (a) the whole model on this processor, (b) Duet's halves on it, (c) the simulation."""

import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from microduet.cpu.bench import cpu_name
from microduet.cpu.query import CpuModel
from microduet.cpu.tune import cores
from microduet.duet import zoo
from microduet.errors import InputError
from microduet.folders import write_file
from microduet.perfetto import check_writable
from microduet.progress import Steps, steps
from microduet.queries.measure import PRECISIONS, System, check_precisions, measure
from microduet.queries.rows import Figures, c_row, cpu_figures, fastest, means
from microduet.queries.session import HEADER_BYTES
from microduet.versions import versions
from microduet_sim.link import Link

PAPER_RATIO = {"a_b": 6.4, "energy": 4.6}
"""Duet, section 7: latency and energy of its baseline over its own system, mean of five models, 1024 candidates."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryBenchOptions:
    """Arguments of `microduet bench query`."""

    models: tuple[str, ...] = zoo.RM
    precisions: tuple[str, ...] = PRECISIONS
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
    check_precisions(options.precisions)
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
    by_precision = [_engine(name, precision, options, progress) for precision in options.precisions]
    rows = [fastest(of_a_size) for of_a_size in zip(*by_precision, strict=True)]
    if options.cpu:

        def report(what: str, done: int, of: int, /) -> None:
            progress(f"{name}: {what}", done, of)

        model = CpuModel.of(name, seed=options.seed, compiles=options.compiled, progress=report)
        rows = [row | cpu_figures(model, row, options.k) for row in rows]
    return rows


def _engine(name: str, precision: str, options: QueryBenchOptions, progress: Steps) -> list[Figures]:
    """System (c) with one precision, at all sizes of query."""
    system = System.of(
        name, precision=precision, link=Link(rtt_ms=options.rtt_ms, seed=options.seed), seed=options.seed
    )
    found: list[Figures] = []
    try:
        for place, n in enumerate(options.n):
            progress(f"{name}, {precision}: queries of {n}", place, len(options.n))
            first = (name, precision, place) == (options.models[0], options.precisions[0], 0)
            trace = options.trace if first else None
            one = measure(system, n=n, k=options.k, queries=options.queries, users=options.users, trace=trace)
            found.append(c_row(system, name, n, one, seed=options.seed))
    finally:
        system.close()
    return found


def show(result: Figures, console: Console) -> None:
    """The three systems side by side, then the variants that were tried."""
    names = ("model", "n", "(a) ms", "(b) ms", "(c) ms", "(c) is", "edge us", "link us", "cycles", "(a)/(c)", "(b)/(c)")
    table = Table(*names, "per s (c)/(a)", "mJ (a)", "mJ (c)", "wrong", box=None)
    for row in result["rows"]:
        ratios = [f"{row[name]:.1f}" if name in row else "" for name in ("a_over_c", "b_over_c", "throughput_a_over_c")]
        times = [f"{row[name]:.3f}" if name in row else "" for name in ("a_ms", "b_ms", "c_ms")]
        table.add_row(
            row["model"], str(row["n"]), *times, row["c_precision"], f"{row['edge_us']:.2f}", f"{row['link_us']:.1f}",
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
        for one in row["c_variants"]:
            console.print(
                f"(c) {row['model']} n={row['n']}: {one['c_precision']}, {one['multipliers']:,} multipliers in "
                f"{one['dsp']:,} DSP slices: {one['c_ms']:.4f} ms, {one['c_per_s']:,.0f} per s, {one['c_mj']:.2f} mJ",
                soft_wrap=True,
            )
        for system in ("a", "b"):
            for one in row.get(f"{system}_grid", []):
                time = one["failed"] if one["ms"] is None else f"{one['ms']:.3f} ms"
                console.print(f"({system}) {row['model']} n={row['n']}: {one['variant']}: {time}", soft_wrap=True)
