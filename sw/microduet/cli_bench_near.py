"""The command under `microduet bench` about memories that sum rows themselves."""

from microduet.cli_bench_query import bench
from microduet.cli_options import Natural


@bench.command(name="nmp")
def bench_nmp(
    *,
    models: tuple[str, ...] = (),
    modes: tuple[str, ...] = (),
    n: int = 1024,
    memory: str = "ddr4-2400-dimm",
    channels: int = 4,
    ranks: int = 2,
    compute: str = "estimate",
    seed: Natural = 0,
    json: bool = False,
) -> int:
    """Near-memory processing, as in Duet's Figure 13: a query's time with lookups summed at ranks or bank groups.

    Every lookup of the query is simulated on DRAM timing, for the whole model and for what Duet leaves to the
    datacentre, with tables spread over the channels by rows and by tables; the faster one counts. The MLPs' time is
    added. The paper's times and ratios stand beside.

    Example: microduet bench nmp --models rm3 --models rm4

    Parameters
    ----------
    models
        rm1 to rm5; those of the figure, rm2, rm3 and rm4, if not given
    modes
        plain (all rows cross the channel), recnmp (ranks sum), trim (bank groups sum); all of them if not given
    n
        candidates of the query
    memory
        a parameter set, built in (ddr4-2400-dimm, ddr5-4800-dimm) or a file
    channels
        of the server
    ranks
        of a channel, two to a DIMM
    compute
        estimate: products over a stated part of the paper's server's peak; measured: PyTorch on this processor
    seed
        of the ids
    json
        print one JSON object instead of tables
    """
    from microduet.near import bench as implementation

    options = implementation.NearBenchOptions(
        models=models or implementation.NearBenchOptions.models,
        modes=modes or implementation.NearBenchOptions.modes,
        n=n,
        memory=memory,
        channels=channels,
        ranks=ranks,
        compute=compute,
        seed=seed,
        json=json,
    )
    return implementation.main(options)


__all__ = ["bench"]
