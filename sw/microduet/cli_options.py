"""Types of options that several commands have, and what a command refuses before it imports anything."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated

import cyclopts

from microduet.errors import InputError

Count = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=1))]
Natural = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=0))]
"""Seeds are such numbers: numpy has no others."""


def refuse_options(
    command: Callable[..., int], given: Mapping[str, object], *, target: str, takes: Collection[str]
) -> None:
    """Raise InputError if an option of `command` that `target` does not take has another value than its default.

    Parameters
    ----------
    given : the command's arguments by name
    target : what the command is about, by name
    takes : names of the options that it takes
    """
    options = [one for one in inspect.signature(command).parameters.values() if one.kind is one.KEYWORD_ONLY]
    for option in options:
        if option.name not in takes and given[option.name] != option.default:
            names = ", ".join(f"--{name}" for name in takes)
            raise InputError(f"{target} takes {names} only, not --{option.name.replace('_', '-')}")
