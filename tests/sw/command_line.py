"""The command line in this process."""

import pytest

from microduet import cli
from tests.support.environment import REPOSITORY

TINY = f"{REPOSITORY}/tests/sw/tiny_model.py:Tiny"


def run(*arguments: object) -> int:
    """Exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    code = ended.value.code
    return code if isinstance(code, int) else 0
