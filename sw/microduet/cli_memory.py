"""The commands `microduet memory params`, `microduet memory replay` and `microduet memory load`."""

from pathlib import Path
from typing import Literal

import cyclopts

memory = cyclopts.App(name="memory", help="Look at the DRAM model by itself.")


@memory.command
def params(name: str | None = None, /) -> int:
    """Print parameter sets of the DRAM model as TOML, with every key that it reads.

    Example: microduet memory params hbm2-u280 > my.toml

    Parameters
    ----------
    name
        hbm2-u280, hbm2-u280-rows, ddr4-2400 or lpddr4x-4266; if not given, all, each in a table of its name
    """
    from microduet import memory_command as implementation

    return implementation.params(name)


@memory.command
def replay(
    *,
    config: str = "hbm2-u280",
    trace: Path,
    outstanding: int,
    refresh: bool = True,
    page: Literal["open", "closed"] | None = None,
    window: int | None = None,
    out: Path | None = None,
    commands: Path | None = None,
    json: bool = False,
) -> int:
    """Replay a trace of reads on one channel of DRAM, without a front end; all banks are closed at the start.

    Closed loop: a slot's next transaction arrives one cycle after its last one was complete.

    Example: microduet memory replay --config hbm2-u280 --trace reads.csv --outstanding 16 --json

    Parameters
    ----------
    config
        TOML file of a parameter set (microduet memory params prints one), or the name of a built-in set
    trace
        CSV file with the header order,address_hex,bytes; byte addresses within the channel
    outstanding
        slots: transactions under way at a time
    refresh
        as the parameter set says; --no-refresh for none
    page
        open or closed, instead of what the parameter set says
    window
        bursts that the controller looks at, instead of what the parameter set says: 12, or 64 with the reorder buffer
    out
        write each transaction's order, arrival, completion and latency to this CSV file, in memory cycles
    commands
        write the commands to the DRAM to this CSV file: cycle, command, bank, row
    json
        print one JSON object instead of a table
    """
    from microduet import memory_command as implementation

    options = implementation.ReplayOptions(
        config=config,
        trace=trace,
        outstanding=outstanding,
        refresh=refresh,
        page=page,
        window=window,
        out=out,
        commands=commands,
        json=json,
    )
    return implementation.replay(options)


@memory.command
def load(
    *,
    config: list[str] | None = None,
    bytes: str = "32,64,128,256",
    plot: Path | None = None,
    json: bool = False,
) -> int:
    """Latency of random reads on one channel over load, from 1 read in flight to 64, without a front end.

    Example: microduet memory load --config hbm2-u280 --config ddr4-2400 --plot load.svg

    Parameters
    ----------
    config
        as for replay; several may be given, hbm2-u280 if none is
    bytes
        sizes of the reads, with commas between them
    plot
        draw p50 and p99 over gigabytes per second into this .svg file
    json
        print one JSON object instead of tables
    """
    from microduet import load_command as implementation

    options = implementation.LoadOptions(config=config or ["hbm2-u280"], bytes=bytes, plot=plot, json=json)
    return implementation.load(options)
