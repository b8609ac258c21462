"""The command line. Every command imports what it runs when it is called, so that `--help` answers at once."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cyclopts

from microduet.cli_bench_cards import bench  # the commands of all four modules
from microduet.cli_memory import memory as memory_app
from microduet.cli_models import models
from microduet.cli_options import Natural, refuse_options
from microduet.cli_plan import plan
from microduet.cli_report import report
from microduet.cli_sweep import sweep
from microduet.cli_synth import synth
from microduet.cli_train import train
from microduet.errors import MicroduetError
from microduet_sim.dram import Memory
from microduet_sim.errors import SimulatorError

app = cyclopts.App(
    name="microduet",
    help="Rank recommendation models on simulated gateware.",
    help_on_error=False,
)


@app.command
def doctor(*, json: bool = False) -> int:
    """Name every tool that was found, its version, and the command that installs a missing one.

    Parameters
    ----------
    json
        print one JSON object instead of a table
    """
    from microduet import doctor as implementation

    return implementation.main(json=json)


@app.command
def check(
    model: str,
    /,
    *,
    data: Path | None = None,
    precision: str | None = None,
    items: int = 2048,
    seed: Natural = 0,
    dim: int = 32,
    json: bool = False,
) -> int:
    """Say what each precision does to a model: ranges, scales and errors per layer, change of AUC and of the top 10.

    Parameters
    ----------
    model
        microrec-small, microrec-large, rmc2-8, rmc2-12, rm1 to rm5, the items of a split (rm1-duet, rm1-exact), a
        description (.json), a checkpoint (.pt) or module.py:factory
    data
        .npz file with arrays sparse (int64), and dense (float32) and labels (0 or 1) if there are any; its first
        half shows the ranges, its second half is judged. Without it ids are uniform and labels drawn from the model
    precision
        fixed16, fixed32 or int8; all if not given, of the items of a split all but fixed32
    items
        how many items are judged, without `data`
    seed
        of the model, the ids and the labels
    dim
        elements of a row of rmc2
    json
        print one JSON object instead of tables
    """
    from microduet import check_command as implementation

    return implementation.main(model, data=data, precision=precision, items=items, seed=seed, dim=dim, json=json)


@app.command
def run(
    model: str,
    /,
    *,
    items: int = 1024,
    precision: str = "fixed16",
    traffic: str = "uniform",
    memory: Memory = "dram",
    config: str | None = None,
    board: str = "u280",
    plan: Path | None = None,
    row_check: bool = False,
    seed: Natural = 0,
    dim: int = 32,
    json: bool = False,
    wave: Path | None = None,
    window: str = "0:2000",
    trace: Path | None = None,
) -> int:
    """Rank items of a model on its simulated engine, compare every score with the golden model, show the figures.

    Example: microduet run microrec-small --items 4096 --traffic zipf

    Parameters
    ----------
    model
        microrec-small, microrec-large, rmc2-8, rmc2-12, rm1 to rm5, a description (.json), a checkpoint (.pt) of a
        whole model or module.py:factory, which returns a torch module; or an edge unit, rm1-edge to rm5-edge, which
        takes only --items, --seed and --json
    items
        how many items are ranked; of an edge unit, messages behind the history's
    precision
        fixed16, fixed32 or int8
    traffic
        uniform, zipf, zipf:EXPONENT, or a file of ids (.npy, or text with an item per line)
    memory
        what answers the memory channels: dram, with the timing of HBM2 and DDR4, or simple, after a fixed time
    config
        microrec-paper, the paper's arrangement of arrays; by default the search's choice
    board
        u280, u55c, or a .toml file that describes a board
    plan
        a file from `microduet plan` that says where the tables lie; by default the best plan
    row_check
        give every row a check word, so that an item whose row has changed, or is another's, comes back with ROW_CHECK
        and not with a wrong score: microduet run microrec-small --row-check
    seed
        of the model, the ids and the arrivals
    dim
        elements of a row of rmc2
    json
        print one JSON object instead of tables
    wave
        write waves to this file (.vcd or .fst); the simulator is built anew for it
    window
        engine cycles FIRST:END that the waves cover
    trace
        write a Perfetto trace of the loaded batch to this file
    """
    if model.endswith("-edge"):
        refuse_options(run, locals(), target=model, takes=("items", "seed", "json"))
        from microduet.edge import job as edge_job

        return edge_job.main(model, items=items, seed=seed, json_output=json)
    from microduet import job

    options = job.RunOptions(
        items=items,
        precision=precision,
        traffic=traffic,
        memory=memory,
        config=config,
        board=board,
        plan=plan,
        row_check=row_check,
        seed=seed,
        dim=dim,
        json=json,
        wave=wave,
        window=window,
        trace=trace,
    )
    return job.main(model, options)


@app.command
def verilog(
    target: str,
    /,
    *,
    output: Annotated[Path, cyclopts.Parameter(name=("--output", "-o"))],
    vectors: int = 0,
    precision: str | None = None,
    config: str | None = None,
    board: str | None = None,
    row_check: bool = False,
    seed: Natural = 0,
    dim: int = 32,
    kernel: bool = False,
) -> int:
    """Write a kernel for synthesis: Verilog, a JSON map, starting constraints; a testbench, files for Vitis if wanted.

    Example: microduet verilog microrec-small -o kernel --vectors 4

    Parameters
    ----------
    target
        a model as for run, or the path of a configuration (.json); or an edge unit, rm1-edge to rm5-edge: Verilog and
        a map of it
    output
        folder of the files; an earlier export there is replaced
    vectors
        items of a self-checking testbench, whose expected results are the golden model's; 0 for no testbench
    precision
        fixed16 (if not given), fixed32 or int8
    config
        microrec-paper, the paper's arrangement of arrays; by default the search's choice
    board
        u280, u55c, or a .toml file that describes a board; u280 if not given, with --kernel u55c
    row_check
        as for run; a configuration says it itself
    seed
        of the model and the vectors
    dim
        elements of a row of rmc2
    kernel
        with kernel.xml, the packaging script, the linker's memories of the plan, the register map and data movers
    """
    if target.endswith("-edge"):
        refuse_options(verilog, locals(), target=target, takes=("output",))
        from microduet.edge import verilog as edge_verilog

        return edge_verilog.main(target, output=output)
    from microduet import verilog as implementation

    options = implementation.VerilogOptions(
        output=output,
        vectors=vectors,
        precision=precision,
        config=config,
        board=board,
        row_check=row_check,
        seed=seed,
        dim=dim,
        kernel=kernel,
    )
    return implementation.main(target, options)


app.command(bench)
app.command(memory_app)
app.command(models)
app.command(report)
app.command(sweep)
app.command(synth)
app.command(train)
app.command(plan)


@app.command
def cache(*, clear: bool = False, json: bool = False) -> int:
    """Show what is kept between runs (simulators, compiled models, gateware), or remove it.

    Example: microduet cache --clear

    Parameters
    ----------
    clear
        remove all but trained models, whose folders may be removed by hand; it is built again when it is needed
    json
        print one JSON object instead of a table
    """
    from microduet import cache_command as implementation

    return implementation.main(clear=clear, json=json)


def _fail(message: object) -> int:
    """One line, whatever the message: scripts read standard error by lines."""
    print(f"microduet: {' '.join(str(message).split())}", file=sys.stderr)
    return 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 a check failed, 2 bad arguments or input.

    Parameters
    ----------
    arguments : what follows the program's name; those of the process if None
    """
    try:
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (cyclopts.CycloptsError, SimulatorError) as error:
        status = _fail(error)
    except OSError as error:
        status = _fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except MicroduetError as error:
        _fail(error)
        status = error.exit_status
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
