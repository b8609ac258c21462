"""`microduet bench`: figures of the engine and of the simulation, from one run each."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from microduet.errors import DeviceError
from microduet.job import RunOptions, compile_named, open_device, report
from microduet.measure import Job, measure
from microduet.progress import steps
from microduet.queries.device import QueryDevice
from microduet.queries.engine_bench import measure_users
from microduet.versions import versions

LOADED_ITEMS = 10_000
"""Poisson arrivals behind p50 and p99."""
ROUNDS = 5
"""Pairs of runs whose median ratio is quoted."""


def engine(model: str, options: RunOptions) -> int:
    """Throughput, idle latency, without users loaded latency, lookups; every score compared."""
    console = Console(stderr=options.json, highlight=False)
    bundle = compile_named(model, options)
    job = Job(
        bundle=bundle,
        items=options.items,
        loaded_items=LOADED_ITEMS,
        traffic=options.traffic,
        memory=options.memory,
        seed=options.seed,
    )
    job.ids(options.items, salt=0)  # what is wrong with the traffic is said before a simulator is built
    with steps(console) as progress, open_device(bundle, progress, memory=options.memory) as device:
        if isinstance(device, QueryDevice):
            measured = measure_users(job, device, progress=progress)
        else:
            measured = measure(job, device, progress=progress)
    return report(measured, options, console)


def sim(model: str, options: RunOptions, *, cold: bool) -> int:
    """Speed of the simulation against its floor, of the driver against the bare loop, start-up times, memory.

    Times of one machine at one moment: only the ratios within the run mean anything elsewhere.
    """
    console = Console(stderr=options.json, highlight=False)
    figures: dict[str, object] = {"model": model, "precision": options.precision, "items": options.items}
    # Another process compiles: this one, whose memory is measured, only reads the bundle and never loads torch.
    _first_score(model, options, cache=None)
    job = Job(bundle=compile_named(model, options), items=options.items, traffic=options.traffic, seed=options.seed)
    job.ids(options.items, salt=0)
    if cold:
        with tempfile.TemporaryDirectory() as empty:
            figures["cold_build_s"] = _first_score(model, options, cache=Path(empty))
    figures["warm_start_s"] = _first_score(model, options, cache=None)
    bundle = job.bundle
    with steps(console) as progress, open_device(bundle, progress, memory=options.memory) as device:
        ids, dense = job.ids(options.items, salt=0), job.dense(options.items, salt=0)
        packets = bundle.packets(ids, dense)
        rows: list[tuple[float, float, float]] = []
        for number in range(ROUNDS):
            progress("rounds", number, ROUNDS)
            floor = device.simulator.floor()
            begun = time.perf_counter()
            batch = device.run(ids, dense)
            driven = batch.cycles / (time.perf_counter() - begun)
            device.registers["items"] = len(packets)
            device.registers["control"] = 1
            bare = device.simulator.run(packets, bare=True)
            rows.append((driven, bare.engine_cycles / bare.seconds, floor))
        device.registers["items"] = len(packets)
        device.registers["control"] = 1
        share = device.simulator.memory_share(packets)
        progress("rounds", ROUNDS, ROUNDS)
    driven, bare, floor = np.array(rows).T
    figures |= {
        "config": bundle.config.name,
        "cycles_per_second": round(float(np.median(driven))),
        "simd_floor_cycles_per_second": round(float(np.median(floor))),
        "floor_ratio": round(float(np.median(driven / floor)), 5),
        "memory": options.memory,
        "memory_share": round(share, 4),
        "driver_ratio": round(float(np.median(driven / bare)), 4),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "seed": options.seed,
        "rounds": ROUNDS,
        "versions": versions(),
    }
    _print(figures, options, console)
    return 0


FIRST_SCORE = """
import sys, numpy as np, microduet as md
from microduet.job import RunOptions, compile_named
from microduet.traffic import make_ids
bundle = compile_named(sys.argv[1], RunOptions(precision=sys.argv[2]))
with md.open(bundle) as device:
    ids = make_ids(bundle.shape, items=1, traffic="uniform", seed=0)
    dense = np.zeros((1, bundle.config.dense), np.float32) if bundle.config.dense else None
    device.infer(ids, dense)
"""


def _first_score(model: str, options: RunOptions, *, cache: Path | None) -> float:
    """Seconds from the start of a new process to its first score."""
    environment = dict(os.environ)
    if cache is not None:
        environment |= {"MICRODUET_CACHE": str(cache), "CCACHE_DISABLE": "1"}
    begun = time.perf_counter()
    command = [sys.executable, "-c", FIRST_SCORE, model, options.precision]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        reason = (answer.stderr.splitlines() or ["no message"])[-1]
        raise DeviceError(f"{model} gives no first score in a process of its own: {reason}")
    return round(time.perf_counter() - begun, 2)


def _print(figures: dict[str, object], options: RunOptions, console: Console) -> None:
    if options.json:
        print(json.dumps(figures))
        return
    table = Table(box=None, show_header=False)
    for name, value in figures.items():
        if not isinstance(value, dict):
            table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    console.print(table)
