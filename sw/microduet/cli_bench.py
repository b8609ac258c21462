"""The commands under `microduet bench`."""

from typing import Literal

import cyclopts

from microduet.cli_options import Count, Natural
from microduet_sim.dram import Memory, Profile, RefreshMode

bench = cyclopts.App(name="bench", help="Measure the engine, the edge unit, lookups and the simulation.")


@bench.command(name="engine")
def bench_engine(
    *,
    model: str = "microrec-small",
    precision: str = "fixed16",
    config: str | None = None,
    items: int = 1024,
    seed: Natural = 0,
    traffic: str = "uniform",
    memory: Memory = "dram",
    row_check: bool = False,
    dim: int = 32,
    json: bool = False,
) -> int:
    """Cycles per item, idle and loaded latency (10,000 items), lookup latency, multipliers and card resources.

    An engine of a split model's items is measured with random users, who are known from the start of four queries; it
    has no loaded latency.

    Example: microduet bench engine --model microrec-large --precision fixed32 --json

    Parameters
    ----------
    model
        as for run; or the items of a split model, like microrec-small-exact
    precision
        fixed16, fixed32 or int8
    config
        microrec-paper, the paper's arrangement of arrays; by default the search's choice
    items
        of the saturated batch, from which cycles per item come
    seed
        of the model, the ids and the arrivals
    traffic
        as for run
    memory
        as for run
    row_check
        as for run
    dim
        elements of a row of rmc2
    json
        print one JSON object instead of a table
    """
    from microduet import bench as implementation
    from microduet.job import RunOptions

    options = RunOptions(
        items=items,
        precision=precision,
        traffic=traffic,
        memory=memory,
        config=config,
        row_check=row_check,
        seed=seed,
        dim=dim,
        json=json,
    )
    return implementation.engine(model, options)


@bench.command(name="lookup")
def bench_lookup(
    *,
    model: tuple[str, ...] = (),
    dim: tuple[int, ...] = (),
    precision: str | None = None,
    profile: Profile = "default",
    plan: Literal["best", "rule", "paper-built", "paper-hbm", "paper-literal", "spread"] | None = None,
    refresh: RefreshMode | None = None,
    traffic: tuple[str, ...] = (),
    items: int = 1000,
    lookups: tuple[int, ...] = (1,),
    row_check: bool = False,
    seed: Natural = 0,
    json: bool = False,
) -> int:
    """How long lookups last, of items 2 us apart on real DRAM timing, and when they would limit the engine.

    Lookup latency counts from the first beat of an item's ids to the last element in its place. lookup_bound_share is
    the least time that the slowest channel needs per item, over the time that the engine takes per item.

    Example: microduet bench lookup --model microrec-large --refresh staggered --json

    Parameters
    ----------
    model
        may be given several times; all four of the zoo if not given. rows-64 and rows-128 are one table whose rows of
        so many bytes are all that takes time: lookup_bound_share is then the share of its bound that a channel reaches.
        rm1-items, rm2-items and rm3-items are the item's tables of RM1 to RM3 spread over all HBM channels; all items
        count for their throughput, of others the first 256
    dim
        elements of a row of rmc2, may be given several times; 4, 8, 16, 32 and 64 if not given
    precision
        if not given, fixed32 for rmc2 and under the profile microrec, as in the paper, and fixed16 else
    profile
        default: what the card's memory allows. microrec: the paper's reader, 32 bits wide with one read under way
    plan
        where the tables lie; best if not given, paper-built under the profile microrec
    refresh
        aligned, staggered, off, single-bank or postponed; single-bank for tables spread over all channels and aligned
        for others if not given. Each row says whether the card could do it
    traffic
        uniform, zipf, zipf:EXPONENT or a file of ids, may be given several times; uniform and zipf if not given
    items
        one at a time, 2 us apart
    lookups
        make every lookup in DRAM so many times and sum the rows (the paper's Figure 7); may be given several times
    row_check
        as for run: what checking takes is the difference, of rows that fill their beats a beat
    seed
        of the model and the ids
    json
        print one JSON object instead of a table
    """
    from microduet import lookup_bench as implementation

    options = implementation.LookupOptions(
        models=model or implementation.DEFAULT_MODELS,
        dims=dim or implementation.DIMS,
        precision=precision,
        profile=profile,
        plan=plan,
        refresh=refresh,
        traffic=traffic or implementation.TRAFFIC,
        items=items,
        lookups=lookups,
        row_check=row_check,
        seed=seed,
        json=json,
    )
    return implementation.main(options)


@bench.command(name="sim")
def bench_sim(
    *,
    model: str = "microrec-small",
    precision: str = "fixed16",
    items: int = 1024,
    seed: Natural = 0,
    memory: Memory = "dram",
    cold: bool = True,
    json: bool = False,
) -> int:
    """Simulated cycles per second against the SIMD floor, the driver against the bare loop, start-up times, memory.

    Example: microduet bench sim --no-cold --json

    Parameters
    ----------
    model
        as for run
    precision
        fixed16, fixed32 or int8
    items
        of each of the runs that are compared
    seed
        of the model and the ids
    memory
        dram or simple; memory_share is the part of the time that its model takes
    json
        print one JSON object instead of a table
    cold
        measure a first start with an empty cache too, which builds the simulator
    """
    from microduet import bench as implementation
    from microduet.job import RunOptions

    options = RunOptions(items=items, precision=precision, seed=seed, memory=memory, json=json)
    return implementation.sim(model, options, cold=cold)


@bench.command(name="edge")
def bench_edge(
    *,
    model: tuple[str, ...] = (),
    streamed: tuple[str, ...] | None = None,
    sessions: Natural = 4,
    actions: Count = 40,
    seed: Natural = 0,
    json: bool = False,
) -> int:
    """Cycles of a query and of a click in an idle edge unit, its sizes, and random sessions against the golden model.

    Example: microduet bench edge --model rm2 --sessions 10 --json

    Parameters
    ----------
    model
        rm1 to rm5, repeated for several; all of them if not given
    streamed
        models measured with the user top MLP's weights streamed from LPDDR, too; rm4 if no model is given
    sessions
        random sessions per model; none if only the cycles are of interest
    actions
        messages of each session, behind those that load the histories
    seed
        of weights and sessions
    json
        print one JSON object instead of a table
    """
    from microduet.edge import bench as implementation

    usual = () if model else ("rm4",)
    options = implementation.EdgeBenchOptions(
        models=model or implementation.MODELS,
        streamed=usual if streamed is None else streamed,
        sessions=sessions,
        actions=actions,
        seed=seed,
        json=json,
    )
    return implementation.main(options)
