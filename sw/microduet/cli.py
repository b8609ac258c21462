"""The command line. Every command imports what it runs when it is called, so that `--help` answers at once."""

import sys
from collections.abc import Sequence

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
