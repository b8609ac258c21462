"""The command `microduet sweep`."""

from pathlib import Path
from typing import Literal

from microduet.cli_options import Count


def sweep(
    config: Path,
    /,
    *,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    workers: Count | None = None,
    plot: Path | None = None,
    json: bool = False,
) -> int:
    """Measure every point that a file describes; a second run goes on where one was stopped.

    Example: microduet sweep docs/sweep.toml --workers 2 --plot front.svg

    Parameters
    ----------
    config
        .toml file: axes such as model, precision, multipliers, channels, clocks, and what is measured (docs/sweep.md)
    engine
        local: processes of this machine; ray: a Ray cluster, with the extra microduet\\[ray]
    address
        HOST:PORT of a running cluster, from one of its machines; by default Ray starts one here for the sweep
    workers
        points at once; by default 2 processes, or all processors of a cluster
    plot
        draw the Pareto front to this file (.svg): cycles over DSP slices, BRAM36 as size
    json
        print one JSON object instead of tables
    """
    from microduet.sweep import command

    options = command.SweepOptions(engine=engine, address=address, workers=workers, plot=plot, json=json)
    return command.main(config, options)
