"""`microduet bench users`: how many users an engine bears before the slowest of their answers take twice as long."""

import dataclasses
import json
import math
import typing

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from microduet.duet import zoo
from microduet.errors import InputError
from microduet.progress import Steps, steps
from microduet.queries.measure import System, check_precisions, question, wrong
from microduet.queries.session import HEADER_BYTES
from microduet.versions import versions
from microduet_sim.link import Link

Figures = dict[str, typing.Any]
Times = npt.NDArray[np.float64]

STREAM = 1 << 20
"""Queries of the queue's arithmetic: their 99th percentile is known to a percent."""

BISECTIONS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class UsersBenchOptions:
    """Arguments of `microduet bench users`."""

    model: str = "rm1"
    n: int = 1024
    k: int = 10
    per_s: float = 10.0
    precision: str = "int8"
    rtt_ms: tuple[float, ...] = (0.0, 10.0)
    queries: int = 100
    seed: int = 0
    json: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """An engine as a queue sees it, in us: measured in RTL.

    Members
    -------
    alone_us : from the context to the answer, of a query alone; the link's round trip not counted
    service_us : from answer to answer while queries wait
    """

    alone_us: float
    service_us: float

    def answers(self, arrivals_us: Times) -> Times:
        """When queries are answered, in us, of arrivals in their order: each in its time, but not before its turn."""
        turns = np.arange(len(arrivals_us)) * self.service_us
        found = np.maximum.accumulate(arrivals_us + self.alone_us - turns) + turns
        return found.astype(np.float64)

    def p99_us(self, load: float, rng: np.random.Generator, *, queries: int = STREAM) -> float:
        """99th percentile from context to answer of Poisson arrivals at a share of the most that the engine can do."""
        arrivals = poisson(load / self.service_us, queries, rng)
        return float(np.percentile(self.answers(arrivals) - arrivals, 99))

    def bearable(self, *, away_us: float, seed: int) -> float:
        """The largest load at which the 99th percentile, `away_us` included, is at most twice that of a query alone."""
        low, high = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            p99 = self.p99_us(middle, np.random.default_rng(seed)) + away_us
            low, high = (middle, high) if p99 <= 2 * (self.alone_us + away_us) else (low, middle)
        return low


def poisson(per_us: float, queries: int, rng: np.random.Generator) -> Times:
    """Arrivals of many users' queries, in us."""
    return np.cumsum(rng.exponential(1 / per_us, queries))


def main(options: UsersBenchOptions) -> int:
    """Measure the engine, find the load, run such a stream in RTL; 1 if an answer is not the golden model's."""
    if options.model not in zoo.RM:
        raise InputError(f"model must be {', '.join(zoo.RM)}, not {options.model!r}")
    if min(options.rtt_ms, default=-1) < 0 or not options.per_s > 0:
        raise InputError(f"rtt_ms must be at least 0 and per_s above 0, not {options.rtt_ms} and {options.per_s}")
    check_precisions([options.precision])
    console = Console(stderr=options.json, highlight=False)
    with steps(console) as progress:
        progress("compiling", 0, 1)
        system = System.of(options.model, precision=options.precision, link=Link(seed=options.seed), seed=options.seed)
        try:
            result = measure_users(system, options, progress)
        finally:
            system.close()
    if options.json:
        print(json.dumps(result | {"versions": versions()}))
    else:
        show(result, console)
    return 1 if result["mismatches"] else 0


def measure_users(system: System, options: UsersBenchOptions, progress: Steps) -> Figures:
    """The queue's two times, the users that it bears on each link, and the same stream in RTL."""
    k = min(options.k, options.n, system.session.engine.user.top_k)
    sent_us = _sent_us(system)
    progress("a query alone, and a full engine", 0, 2)
    alone, _, alone_wrong = _ask(system, np.zeros(1), sent_us, n=options.n, k=k)
    slots = system.session.engine.user.slots
    full, _, full_wrong = _ask(system, np.zeros(3 * slots), sent_us, n=options.n, k=k)
    server = Server(alone_us=float(alone[0]), service_us=float(full[-1] - full[slots]) / (2 * slots - 1))
    rows = [_row(server, rtt_ms, options) for rtt_ms in options.rtt_ms]
    load = rows[0]["load"]
    rng = np.random.default_rng([options.seed, 1])
    arrivals = poisson(load / server.service_us, options.queries, rng)
    found, queued, busy_wrong = _ask(system, arrivals, sent_us, n=options.n, k=k, progress=progress)
    expected = server.answers(arrivals)
    return {
        "model": options.model,
        "precision": options.precision,
        "n": options.n,
        "per_s": options.per_s,
        "alone_us": server.alone_us,
        "service_us": server.service_us,
        "bound_users": 1e6 / server.service_us / options.per_s,
        "rows": rows,
        "rtl_queries": options.queries,
        "rtl_load": load,
        "rtl_p99_us": float(np.percentile(found - queued, 99)),
        "queue_p99_us": float(np.percentile(expected - arrivals, 99)),
        "largest_difference_us": float(np.abs(found - expected).max()),
        "mismatches": alone_wrong + full_wrong + busy_wrong,
        "seed": options.seed,
    }


def _row(server: Server, rtt_ms: float, options: UsersBenchOptions) -> Figures:
    away_us = rtt_ms * 1000 / 2
    load = server.bearable(away_us=away_us, seed=options.seed)
    return {
        "rtt_ms": rtt_ms,
        "alone_p99_us": server.alone_us + away_us,
        "load": load,
        "users": math.floor(load * 1e6 / server.service_us / options.per_s),
        "p99_us": server.p99_us(load, np.random.default_rng(options.seed)) + away_us,
    }


def _sent_us(system: System) -> float:
    """From a context to the arrival of the user vector on a link without delay, in us."""
    payload = system.session.edge.infer(system.context())
    edge_us = payload.cycles / system.edge_bundle.config.clock_mhz
    return edge_us + Link().picoseconds(payload.sent_bytes + HEADER_BYTES) / 1e6


def _ask(
    system: System, arrivals_us: Times, sent_us: float, *, n: int, k: int, progress: Steps | None = None
) -> tuple[Times, Times, int]:
    """Answers in us, arrivals rounded up to engine cycles, and wrong answers, of a stream in RTL."""
    engine = system.session.engine
    mhz = engine.bundle.config.engine_mhz
    cycles = np.ceil(arrivals_us * mhz).astype(np.int64)
    late = math.ceil(sent_us * mhz)
    asked = [question(system, n, at=int(at), user_at=int(at) + late) for at in cycles]
    items = n * len(asked)

    def report(done: int, _: int) -> None:
        if progress is not None:
            progress("a stream of queries in RTL", done, items)

    replies = engine.ask(asked, progress=report)
    bad = sum(wrong(system, q, r, k) for q, r in zip(asked, replies, strict=True))
    return np.array([r.finished_ps for r in replies]) / 1e6, cycles / mhz, bad


def show(result: Figures, console: Console) -> None:
    """A row per link."""
    table = Table("RTT ms", "users", "of the bound", "p99 us", "alone us", box=None)
    for row in result["rows"]:
        table.add_row(
            f"{row['rtt_ms']:g}",
            f"{row['users']:,}",
            f"{row['load']:.1%}",
            f"{row['p99_us']:.1f}",
            f"{row['alone_p99_us']:.1f}",
        )
    console.print(table)
    console.print(
        f"{result['model']}, {result['n']} candidates, {result['per_s']:g} queries/s per user; bound: "
        f"{result['bound_users']:,.0f} users, an answer every {result['service_us']:.1f} us. A queue with the two "
        f"measured times gives the users; {result['rtl_queries']} queries at {result['rtl_load']:.1%} in RTL: p99 "
        f"{result['rtl_p99_us']:.1f} us, queue {result['queue_p99_us']:.1f} us, largest difference of an answer "
        f"{result['largest_difference_us']:.2f} us; {result['mismatches']} answers differ from the golden models",
        soft_wrap=True,
    )
