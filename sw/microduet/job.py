"""The main job: compile a model, open its engine, rank items, compare every score, show the figures."""

import dataclasses
import json
import re
import sys
import typing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from microduet import compiler, model_names, opening, paper
from microduet.bundle import Bundle
from microduet.device import Batch, Device
from microduet.errors import InputError
from microduet.folders import write_file
from microduet.measure import Job, Measured, measure, search_result
from microduet.perfetto import check_writable
from microduet.placement import Plan
from microduet.presets import Tuning
from microduet.progress import Steps, steps
from microduet_sim.dram import Memory

WINDOW = re.compile(r"(\d+):(\d+)$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Arguments of `microduet run` that say what to measure and what to keep."""

    items: int = 1024
    precision: str = "fixed16"
    traffic: str = "uniform"
    memory: Memory = "dram"
    config: str | None = None
    board: str = "u280"
    plan: Path | None = None
    row_check: bool = False
    seed: int = 0
    dim: int = 32
    json: bool = False
    wave: Path | None = None
    window: str = "0:2000"
    trace: Path | None = None


def main(model: str, options: RunOptions) -> int:
    """Run the job and print its figures; 1 if a score is not the golden model's."""
    console = Console(stderr=options.json, highlight=False)
    window, wave = _window(options.window), _wave_kind(options.wave)
    for path in (options.wave, options.trace):
        if path is not None:
            check_writable(path)
    bundle = compile_named(model, options)
    if bundle.config.user is not None:
        raise InputError(f"{model} ranks items for users: microduet bench query runs it with its edge unit")
    job = Job(bundle=bundle, items=options.items, traffic=options.traffic, memory=options.memory, seed=options.seed)
    job.ids(options.items, salt=0)  # what is wrong with the traffic is said before a simulator is built
    if not options.json:
        _show_choices(bundle, options, console)
    with steps(console) as progress:
        device = open_device(bundle, progress, wave=wave, memory=options.memory)
        with device:
            if options.wave is not None:
                device.simulator.wave(options.wave, first=window[0], end=window[1])
            measured = measure(job, device, progress=progress)
            if options.trace is not None and device.batch is not None:
                write_trace(options.trace, device.batch, bundle)
    return report(measured, options, console)


def report(measured: Measured, options: RunOptions, console: Console) -> int:
    """Print figures and mismatches; 1 if there are any."""
    if options.json:
        print(json.dumps(measured.figures))
    else:
        show(measured, console)
    for mismatch in measured.mismatches:
        print(f"mismatch, seed {options.seed}: {mismatch}", file=sys.stderr)
    return 1 if measured.figures["mismatches"] else 0


def compile_named(model: str, options: RunOptions) -> Bundle:
    """The bundle of a model given by name, as a description, as a checkpoint or as ``module.py:factory``."""
    given = ".py" in model or model.endswith(model_names.CHECKPOINT)
    named = model if given else model_names.find(model, seed=options.seed, dim=options.dim)
    plan = None if options.plan is None else Plan.read(options.plan)
    tuning = Tuning(row_check=options.row_check)
    return compiler.compile(
        named, board=options.board, precision=options.precision, config=options.config, tuning=tuning, plan=plan
    )


def open_device(
    bundle: Bundle,
    progress: Steps,
    *,
    wave: typing.Literal["vcd", "fst"] | None = None,
    memory: Memory = "dram",
) -> Device:
    """The device of a bundle, a `QueryDevice` if it ranks for users; the steps of a build are shown."""
    return opening.open(
        bundle, memory=memory, wave=wave, progress=lambda done, of, what: progress(f"build: {what}", done, of)
    )


def _show_choices(bundle: Bundle, options: RunOptions, console: Console) -> None:
    from microduet.plan_report import show_plan, show_search

    show_plan(bundle.plan, console)
    if options.config in (None, "default"):
        show_search(search_result(bundle), console)


def show(measured: Measured, console: Console) -> None:
    """Print the figures of a job beside the paper's."""
    figures = measured.figures
    known = paper.figures(str(figures["model"]), str(figures["precision"]))
    table = Table(title=f"{figures['config']}, memory {figures['memory']}, seed {figures['seed']}", box=None)
    table.title_justify = "left"
    for name in ("", "measured", "paper"):
        table.add_column(name, justify="right" if name else "left")
    rows: list[tuple[str, str, float | int | None]] = [
        ("cycles per item", "cycles_per_item", known and known.cycles_per_item),
        ("idle latency, cycles", "idle_latency_cycles", known and known.latency_cycles),
        ("latency at 80 % load, p50", "p50_latency_cycles", None),
        ("latency at 80 % load, p99", "p99_latency_cycles", None),
        ("lookup latency, ns", "lookup_latency_ns", known and known.lookup_ns),
        ("multiplications per item", "macs_per_item", None),
        ("multipliers", "multipliers", known and known.multipliers),
        ("multiplier use", "multiplier_use", None),
        ("DSP slices", "dsp", known and known.dsp),
        ("BRAM36 for weights", "bram36", None),
        ("URAM for weights", "uram", None),
        ("engine clock, MHz", "clock_mhz", known and known.clock_mhz),
        ("items compared", "items", None),
        ("mismatches", "mismatches", None),
    ]
    for label, name, other in rows:
        if name not in figures:  # an engine for users has no loaded latency
            continue
        table.add_row(label, f"{figures[name]:,}", "" if other is None else f"{other:,.1f}".removesuffix(".0"))
    console.print(table)
    console.print(f"simulated at {figures['simulated_cycles_per_second']:,} engine cycles per second")


def write_trace(path: Path, batch: Batch, bundle: Bundle) -> None:
    """A Perfetto trace (Chrome JSON) of a batch: each item's lookup and arithmetic, at the engine's clock."""
    period = 1 / bundle.config.engine_mhz
    finished = batch.finished_us
    begun = finished - batch.latency * period
    looked_up = begun + batch.lookup_ns / 1000
    events: list[dict[str, object]] = [
        {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": bundle.config.name}},
        {"name": "thread_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": "lookup"}},
        {"name": "thread_name", "ph": "M", "pid": 1, "tid": 2, "args": {"name": "arrays, output, result"}},
    ]
    for item, (start, middle, end) in enumerate(zip(begun, looked_up, finished, strict=True)):
        for track, kind, first, last in ((1, "lookup", start, middle), (2, "compute", middle, end)):
            span: dict[str, object] = {"name": f"item {item}", "cat": kind, "id": item, "pid": 1, "tid": track}
            events += [span | {"ph": "b", "ts": first}, span | {"ph": "e", "ts": last}]
    write_file(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}))


def _window(text: str) -> tuple[int, int]:
    match = WINDOW.match(text)
    if not match or int(match[1]) >= int(match[2]):
        raise InputError(f"window must be FIRST:END in engine cycles, FIRST below END, not {text!r}")
    return int(match[1]), int(match[2])


def _wave_kind(path: Path | None) -> typing.Literal["vcd", "fst"] | None:
    if path is None:
        return None
    if path.suffix not in (".vcd", ".fst"):
        raise InputError(f"wave must end in .vcd or .fst, not {path.name!r}")
    return "fst" if path.suffix == ".fst" else "vcd"
