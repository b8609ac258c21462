"""``microduet bench nmp``: a query's time with lookups summed in memory, before and after Duet (its Figure 13)."""

import dataclasses
import json
import typing

from msgspec import to_builtins
from rich.console import Console

from microduet.cpu.bench import cpu_name
from microduet.cpu.tune import cores
from microduet.duet import zoo
from microduet.duet.figures import figures
from microduet.duet.split import Split
from microduet.errors import InputError
from microduet.near import paper
from microduet.near.compute import COMPUTES, SERVER, Compute, ComputeTime, compute_time, implied_efficiency
from microduet.near.lookups import Server
from microduet.near.measure import MODES, NEAR, LookupTime, lookup_time
from microduet.near.report import PARTS, Figures, ratios, show
from microduet.progress import Steps, steps
from microduet.versions import versions
from microduet_sim.dram.parameters import Refresh, read_parameters


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearBenchOptions:
    """Arguments of `microduet bench nmp`."""

    models: tuple[str, ...] = paper.MODELS
    modes: tuple[str, ...] = MODES
    n: int = paper.CANDIDATES
    memory: str = "ddr4-2400-dimm"
    channels: int = 4
    ranks: int = 2
    compute: str = "estimate"
    seed: int = 0
    json: bool = False


def main(options: NearBenchOptions) -> int:
    """Measure and print."""
    server = _checked(options)
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        rows = [row for name in options.models for row in _model(name, server, options, progress)]
    measured = options.compute == "measured"
    result: Figures = {
        "rows": rows,
        "ratios": ratios(rows),
        "n": options.n,
        "memory": {
            "set": options.memory,
            "channels": server.channels,
            "ranks": server.channel.ranks,
            "peak_gigabytes_per_s": server.peak_gigabytes_per_s,
            "refresh": server.channel.refresh.value,
            "near": {mode: to_builtins(near) for mode, near in NEAR.items() if mode in options.modes},
        },
        "compute": options.compute,
        "processor": {"name": cpu_name(), "cores": cores()} if measured else to_builtins(SERVER),
        "seed": options.seed,
        "versions": versions(),
    }
    if options.json:
        print(json.dumps(result))
    else:
        show(result, console)
    return 0


def _checked(options: NearBenchOptions) -> Server:
    """The memory; raises InputError, or ParameterError for the set, before anything is measured."""
    for name, given, allowed in (
        ("--models", options.models, zoo.RM),
        ("--modes", options.modes, MODES),
        ("--compute", (options.compute,), COMPUTES),
    ):
        for one in given:
            if one not in allowed:
                raise InputError(f"{name} must be {', '.join(allowed)}, not {one!r}")
        if len(set(given)) < len(given):
            raise InputError(f"{name} must name each once, not {', '.join(given)}")
    for name, number in (("--n", options.n), ("--channels", options.channels), ("--ranks", options.ranks)):
        if number < 1:
            raise InputError(f"{name} must be at least 1, not {number}")
    try:
        channel = read_parameters(options.memory).with_ranks(options.ranks)
        if channel.refresh is Refresh.SINGLE_BANK:
            raise ValueError("refresh must be 'all-bank' or 'off' where ranks sum, not 'single-bank'")
    except ValueError as error:
        raise InputError(f"--memory {options.memory} with --ranks {options.ranks}: {error}") from error
    return Server(channel=channel, channels=options.channels)


def _model(name: str, server: Server, options: NearBenchOptions, progress: Steps) -> list[Figures]:
    shape = zoo.shape_of(name)
    split = typing.cast(Split, zoo.split_of(shape, "duet"))
    costs = figures(shape, split)
    computed = compute_time(shape, costs.parts, n=options.n, how=typing.cast(Compute, options.compute))
    features = {"whole": tuple(range(len(shape.features))), "duet": shape.item_features}
    macs = {"whole": costs.macs_before, "duet": costs.macs_after}
    rows: list[Figures] = []
    for part in PARTS:
        for mode in MODES:
            if mode not in options.modes:
                continue
            what = f"{name} {part} {mode}"
            found = lookup_time(
                shape, features[part], server, mode, n=options.n, seed=options.seed,
                progress=lambda done, of, what=what: progress(f"{what}: rows", done, of),
            )  # fmt: skip
            row = {"model": name, "part": part, "mode": mode, "macs_per_candidate": macs[part], **to_builtins(found)}
            rows.append(row | _times(part, found, computed, away_ms=costs.payload_us / 1000) | _paper(row, options.n))
    return rows


def _times(part: str, found: LookupTime, computed: ComputeTime, *, away_ms: float) -> Figures:
    """The query's time: what the datacentre does one after the other, for Duet beside the user's half."""
    if part == "whole":
        return {"compute_ms": computed.whole, "away_ms": 0.0, "query_ms": found.ms + computed.whole}
    query_ms = max(found.ms + computed.item, away_ms) + computed.combined
    return {"compute_ms": computed.item + computed.combined, "away_ms": away_ms, "query_ms": query_ms}


def _paper(row: Figures, n: int) -> Figures:
    """The paper's time, how fast its lookups are at least, and what it leaves for the products."""
    ms = paper.milliseconds(row["model"], row["part"], row["mode"], n)
    if ms is None:
        return {"paper_ms": None, "paper_gigabytes_per_s": None, "paper_efficiency": None}
    left = ms - row["ms"]
    return {
        "paper_ms": ms,
        "paper_gigabytes_per_s": row["gigabytes_per_s"] * row["ms"] / ms,
        "paper_efficiency": implied_efficiency(n * row["macs_per_candidate"], left) if left > 0 else None,
    }
