"""Cases of a test that run by night only."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest

Marks = pytest.MarkDecorator | Collection[pytest.MarkDecorator]

NIGHTLY = pytest.mark.nightly
COUNTED = (pytest.mark.nightly, pytest.mark.counted)
"""Of benches: by night, and wherever coverage and situations are counted."""


def by_night(cases: Iterable[Any], late: Sequence[object], *, marks: Marks = COUNTED) -> list[Any]:
    """The cases, those of `late` with the marks.

    Raises
    ------
    ValueError
        if one of `late` is no case: it would run by day, and nobody would know
    """
    cases = list(cases)
    if unknown := [one for one in late if one not in cases]:
        raise ValueError(f"not among the cases: {unknown}")
    # A tuple is the values of several parameters.
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marks) if case in late else case
        for case in cases
    ]
