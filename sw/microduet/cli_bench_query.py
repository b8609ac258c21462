"""The commands under `microduet bench` that compare with a processor."""

from pathlib import Path
from typing import Literal

from microduet.cli_bench import bench
from microduet.cli_options import Count, Natural


@bench.command(name="cpu")
def bench_cpu(
    *,
    model: Literal["microrec-small", "microrec-large"] = "microrec-small",
    batches: tuple[int, ...] = (),
    table_gb: float | None = None,
    compiled: bool = True,
    seed: Natural = 0,
    json: bool = False,
) -> int:
    """MicroRec's models in PyTorch on this processor, as in the paper's Tables 2 and 4: its fastest variant per batch.

    Example: microduet bench cpu --model microrec-small --batches 2048 --json

    Parameters
    ----------
    model
        whose layers and tables are run
    batches
        sizes of batches; the paper's 1, 64, 256, 512, 1024, 2048 if not given
    table_gb
        for one copy of the tables; larger ones are cut. 40 % of the memory that is free, if not given
    compiled
        try torch.compile too, which takes a minute or two
    seed
        of the ids and the tables
    json
        print one JSON object, with every variant that was tried, instead of a table
    """
    from microduet.cpu import bench as implementation

    options = implementation.CpuBenchOptions(
        model=model,
        batches=batches or implementation.BATCHES,
        table_gb=table_gb,
        compiled=compiled,
        seed=seed,
        json=json,
    )
    return implementation.main(options)


@bench.command(name="query")
def bench_query(
    *,
    models: tuple[str, ...] = (),
    precisions: tuple[str, ...] = (),
    n: tuple[Count, ...] = (1024,),
    k: Count = 10,
    queries: Count = 3,
    users: Count = 4,
    rtt_ms: float = 0.0,
    cpu: bool = True,
    compiled: bool = True,
    seed: Natural = 0,
    trace: Path | None = None,
    trace_plot: Path | None = None,
    plot: Path | None = None,
    json: bool = False,
) -> int:
    """Three systems: the whole model on this processor, Duet's halves, and edge unit, link and engine in simulation.

    Times count from the context known to the top k known, the link included. Every answer is compared with the golden
    models. All variants that the processor's systems were tried in are printed.

    Example: microduet bench query --models rm1 --models rm5 --plot three-systems.svg

    Parameters
    ----------
    models
        rm1 to rm5; all of them if not given
    precisions
        of the engine, fixed16 or int8; both if not given, of which the faster one counts
    n
        candidates of a query, may be given several times
    k
        of the top k
    queries
        one after the other, whose median is shown
    users
        queries on their way at once, for the throughput
    rtt_ms
        of the link; 24 Mb/s up
    cpu
        measure the processor's systems too
    compiled
        try torch.compile too, which takes some minutes
    seed
        of models, histories, contexts and candidates
    trace
        write the timeline of one more query of the first model to this file, for Perfetto
    trace_plot
        draw that timeline to this .svg file
    plot
        write a picture of the three systems to this .svg file
    json
        print one JSON object instead of a table
    """
    from microduet.queries import bench as implementation

    options = implementation.QueryBenchOptions(
        models=models or implementation.QueryBenchOptions.models,
        precisions=precisions or implementation.QueryBenchOptions.precisions,
        n=n,
        k=k,
        queries=queries,
        users=users,
        rtt_ms=rtt_ms,
        cpu=cpu,
        compiled=compiled,
        seed=seed,
        trace=trace,
        trace_plot=trace_plot,
        plot=plot,
        json=json,
    )
    return implementation.main(options)


@bench.command(name="users")
def bench_users(
    *,
    model: str = "rm1",
    n: Count = 1024,
    k: Count = 10,
    per_s: float = 10.0,
    precision: str = "int8",
    rtt_ms: tuple[float, ...] = (0.0, 10.0),
    queries: Count = 100,
    seed: Natural = 0,
    json: bool = False,
) -> int:
    """How many users, each with Poisson queries, an engine bears before the 99th percentile of their times doubles.

    The engine's two times, a query alone and from answer to answer under load, are measured in RTL; a queue with these
    times gives the percentiles, and a stream at the first link's load runs in RTL beside it.

    Example: microduet bench users --model rm1 --rtt-ms 0 --rtt-ms 10

    Parameters
    ----------
    model
        rm1 to rm5
    n
        candidates of a query
    k
        of the top k
    per_s
        queries per second of each user
    precision
        of the engine, fixed16 or int8
    rtt_ms
        of the links, may be given several times; candidates set out half of it after the context
    queries
        of the stream in RTL
    seed
        of the model, arrivals, contexts and candidates
    json
        print one JSON object instead of a table
    """
    from microduet.queries import users as implementation

    options = implementation.UsersBenchOptions(
        model=model, n=n, k=k, per_s=per_s, precision=precision, rtt_ms=rtt_ms, queries=queries, seed=seed, json=json
    )
    return implementation.main(options)


__all__ = ["bench"]
