"""The command line. Every command imports what it runs when it is called, so that `--help` answers at once."""

import sys
from collections.abc import Sequence
from pathlib import Path

import cyclopts

from microduet.errors import MicroduetError
from microduet_sim.tools import MissingToolError

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
    json : print one JSON object instead of a table
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
    seed: int = 0,
    dim: int = 32,
    json: bool = False,
) -> int:
    """Say what each precision does to a model: ranges, scales and errors per layer, change of AUC and of the top 10.

    Parameters
    ----------
    model : microrec-small, microrec-large, rmc2-8, rmc2-12, or module.py:factory
    data : .npz file with arrays sparse (int64), and dense (float32) and labels (0 or 1) if there are any; its first
        half shows the ranges, its second half is judged. Without it ids are uniform and labels drawn from the model
    precision : fixed16, fixed32 or int8; all three if not given
    items : how many items are judged, without `data`
    seed : of the model, the ids and the labels
    dim : elements of a row of rmc2
    json : print one JSON object instead of tables
    """
    from microduet import check as implementation

    return implementation.main(model, data=data, precision=precision, items=items, seed=seed, dim=dim, json=json)


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
    except (cyclopts.CycloptsError, MissingToolError) as error:
        status = _fail(error)
    except MicroduetError as error:
        _fail(error)
        status = error.exit_status
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
