"""The commands `microduet bench engine` and `microduet bench sim`."""

import cyclopts

from microduet_sim.dram import Memory

bench = cyclopts.App(name="bench", help="Measure the engine and the simulation.")


@bench.command(name="engine")
def bench_engine(
    *,
    model: str = "microrec-small",
    precision: str = "fixed16",
    config: str | None = None,
    items: int = 1024,
    seed: int = 0,
    traffic: str = "uniform",
    memory: Memory = "dram",
    dim: int = 32,
    json: bool = False,
) -> int:
    """Cycles per item, idle and loaded latency (10,000 items), lookup latency, multipliers and card resources.

    Example: microduet bench engine --model microrec-large --precision fixed32 --json

    Parameters
    ----------
    model
        as for run, which knows the other options too
    items
        of the saturated batch, from which cycles per item come
    seed
        of the model, the ids and the arrivals
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
        seed=seed,
        dim=dim,
        json=json,
    )
    return implementation.engine(model, options)


@bench.command(name="sim")
def bench_sim(
    *,
    model: str = "microrec-small",
    precision: str = "fixed16",
    items: int = 1024,
    seed: int = 0,
    cold: bool = True,
    json: bool = False,
) -> int:
    """Simulated cycles per second against the SIMD floor, the driver against the bare loop, start-up times, memory.

    Example: microduet bench sim --no-cold --json

    Parameters
    ----------
    model
        as for run, which knows the other options too
    items
        of each of the runs that are compared
    json
        print one JSON object instead of a table
    cold
        measure a first start with an empty cache too, which builds the simulator
    """
    from microduet import bench as implementation
    from microduet.job import RunOptions

    options = RunOptions(items=items, precision=precision, seed=seed, json=json)
    return implementation.sim(model, options, cold=cold)
