"""Measures a point: predicted by the search, or by simulating what it describes."""

import statistics
import time
import typing

import msgspec

from microduet import boards, compiler, model_names, opening, presets, zoo
from microduet.bundle import Bundle
from microduet.errors import DeviceError, ModelError
from microduet.measure import Job, Mismatch, array_use, costs, measure
from microduet.queries.device import QueryDevice
from microduet.queries.engine_bench import measure_users
from microduet.search import label
from microduet.sweep.arrays import parse
from microduet.sweep.point import Figures, Point

QUERIES, USERS, BEST = 2, 4, 10
"""Queries of a point one after the other and at once, and how many items each asks for."""


def measured(point: Point) -> Figures:
    """The figures of `point`.

    Raises
    ------
    MicroduetError
        If there is no such engine, or a result is not the golden model's.
    """
    begun = time.perf_counter()
    figures = {"search": _predicted, "engine": _engine, "query": _query}[point.measure](point)
    return msgspec.structs.replace(figures, seconds=round(time.perf_counter() - begun, 3))


def _predicted(point: Point) -> Figures:
    board = _board(point)
    shape = compiler.shape_of(point.model, seed=point.seed)
    chosen = presets.choose(
        shape, precision=point.precision, board=board, name=None, tuning=_tuning(point, board)
    ).chosen
    return Figures(
        predicted=True,
        chosen=chosen.label,
        cycles=chosen.cycles,
        dsp=chosen.resources.dsp,
        bram36=chosen.resources.bram36,
        uram=chosen.resources.uram,
        used_multipliers=chosen.resources.multipliers,
        multiplier_use=round(chosen.use, 4),
        idle_latency_cycles=chosen.latency,
    )


def _engine(point: Point) -> Figures:
    bundle = _bundle(point)
    job = Job(bundle=bundle, items=point.items, traffic=point.traffic, memory=point.memory, seed=point.seed)
    job.ids(point.items, salt=0)  # what is wrong with the traffic is said before a simulator is built
    with opening.open(bundle, memory=point.memory) as device:
        run = measure_users if isinstance(device, QueryDevice) else measure
        found = run(job, typing.cast(typing.Any, device))
        counters = device.counters()
    figures = typing.cast(dict[str, typing.Any], found.figures)
    _expect_equal(figures["mismatches"], found.mismatches)
    return Figures(
        cycles=figures["cycles_per_item"],
        multiplier_use=figures["multiplier_use"],
        idle_latency_cycles=figures["idle_latency_cycles"],
        p50_latency_cycles=figures.get("p50_latency_cycles"),
        p99_latency_cycles=figures.get("p99_latency_cycles"),
        lookup_ns=figures["lookup_latency_ns"],
        lookup_p50_ns=figures["p50_lookup_latency_ns"],
        lookup_p99_ns=figures["p99_lookup_latency_ns"],
        counters=counters,
        **_of(bundle),
    )


def _query(point: Point) -> Figures:
    from microduet.edge.compile import compile_edge
    from microduet.queries.measure import System
    from microduet.queries.measure import measure as measure_queries
    from microduet_sim.link import Link

    spec = model_names.find(point.model, seed=point.seed)
    if isinstance(spec, zoo.ZooModel) or spec.split is None:
        raise ModelError(f"measure query needs a split model, like rm1-duet, not {point.model}")
    bundle = _bundle(point)
    system = System(compile_edge(spec), bundle, link=Link(seed=point.seed), seed=point.seed)
    try:
        found = measure_queries(system, n=point.n, k=BEST, queries=QUERIES, users=USERS)
        counters = system.session.engine.counters()
    finally:
        system.close()
    _expect_equal(found.mismatches, [])
    totals = [ranking.timing.total_us for ranking in found.rankings if ranking.timing is not None]
    return Figures(
        cycles=found.engine_cycles,
        multiplier_use=array_use(bundle, found.engine_cycles / point.n),
        query_us=round(statistics.median(totals), 3) if totals else None,
        queries_per_s=round(found.per_s, 1),
        counters=counters,
        **_of(bundle),
    )


def _bundle(point: Point) -> Bundle:
    board = _board(point)
    given = ".py" in point.model or point.model.endswith(model_names.CHECKPOINT)
    model = point.model if given else model_names.find(point.model, seed=point.seed)
    return compiler.compile(model, board=board, precision=point.precision, tuning=_tuning(point, board))


def _board(point: Point) -> boards.Board:
    board = boards.find(point.board)
    return board if point.channels is None else board.first_channels(point.channels)


def _tuning(point: Point, board: boards.Board) -> presets.Tuning:
    arrays = None
    if point.arrays is not None:
        shape = compiler.shape_of(point.model, seed=point.seed)
        arrays = parse(point.arrays, shape=shape, precision=point.precision, board=board)
    return presets.Tuning(
        arrays=arrays, multipliers=point.multipliers, engine_mhz=point.engine_mhz, memory_mhz=point.memory_mhz
    )


def _of(bundle: Bundle) -> dict[str, typing.Any]:
    """What a simulated engine is and takes."""
    taken = costs(bundle)
    return {
        "predicted": False,
        "chosen": label(bundle.config.arrays),
        "config_digest": bundle.config.digest,
        "dsp": taken["dsp"],
        "bram36": taken["bram36"],
        "uram": taken["uram"],
        "used_multipliers": taken["multipliers"],
    }


def _expect_equal(count: int, mismatches: list[Mismatch]) -> None:
    if count:
        first = f": {mismatches[0]}" if mismatches else ""
        raise DeviceError(f"{count} results are not the golden model's{first}")
