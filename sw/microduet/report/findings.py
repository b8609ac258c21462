"""What a table or figure of a paper came to here: numbers side by side, pictures, a verdict and why."""

import dataclasses
import functools
import math
import tomllib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Literal

from microduet_hw.config import Frozen

Verdict = Literal["reproduced", "beaten", "contradicted", "short", "impossible", "unmeasured"]

MEANINGS: dict[Verdict, str] = {
    "reproduced": "what the paper prints came out here too",
    "beaten": "better here than in the paper",
    "contradicted": "something else came out here, for the reason given",
    "short": "worse here than in the paper",
    "impossible": "cannot be measured here, for the reason given",
    "unmeasured": "not measured yet",
}

CLOSE = 0.1
"""Relative difference within which a number counts as the paper's."""

Cell = str | float | int | None
Json = dict[str, typing.Any]
Command = tuple[str, ...]
"""Arguments of `microduet`, without ``--json``."""


class Table(Frozen, frozen=True, kw_only=True):
    """Numbers side by side: `header`, and as many cells in every row; None is a number that there is not."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"every row of {self.title!r} must have {len(self.header)} cells")


class Plot(Frozen, frozen=True, kw_only=True):
    """Bars or lines over `x`: per series a value, or None, for each.

    Members
    -------
    title : what is shown; also the picture's name for who cannot see it
    unit : of the values
    log : on a logarithmic scale
    """

    title: str
    unit: str
    kind: Literal["bars", "lines"]
    x: tuple[str, ...]
    series: dict[str, tuple[float | None, ...]]
    log: bool = False

    def __post_init__(self) -> None:
        if any(len(values) != len(self.x) for values in self.series.values()):
            raise ValueError(f"every series of {self.title!r} must have {len(self.x)} values")


class Finding(Frozen, frozen=True, kw_only=True):
    """What came of one item."""

    verdict: Verdict
    why: str
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()


Finder = Callable[[Json, Mapping[Command, Json]], Finding]
"""From the paper's numbers and the results of the item's commands."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """A table or figure of a paper.

    Members
    -------
    name : on the command line, like microrec-table-2
    commands : whose results it needs
    find : makes the finding of them
    """

    name: str
    commands: tuple[Command, ...]
    find: Finder

    @property
    def title(self) -> str:
        """What it is about."""
        return paper()[self.name]["title"]


@functools.cache
def paper() -> dict[str, Json]:
    """What the papers print, by item: paper.toml."""
    return tomllib.loads(files("microduet.report").joinpath("paper.toml").read_text())


@functools.cache
def _reasons() -> dict[str, str]:
    return tomllib.loads(files("microduet.report").joinpath("reasons.toml").read_text())


def reason(name: str, **numbers: object) -> str:
    """The sentence of reasons.toml, with a finding's numbers in it."""
    return _reasons()[name].format(**numbers)


def beside(theirs: Iterable[Cell], ours: Iterable[Cell]) -> Iterator[Cell]:
    """The paper's and our numbers in turn."""
    for pair in zip(theirs, ours, strict=True):
        yield from pair


def judged(factors: Iterable[float], *, what: str) -> tuple[Verdict, str]:
    """A verdict from how many times better each number is than the paper's, and the sentence that says so."""
    values = list(factors)
    least, most, mean = min(values), max(values), math.exp(sum(map(math.log, values)) / len(values))
    said = f"{what}: {least:.2f} to {most:.2f} times the paper's, {mean:.2f} in the geometric mean."
    if len(values) == 1:
        said = f"{what}: {mean:.2f} times the paper's."
    if all(abs(value - 1) <= CLOSE for value in values):
        return "reproduced", said
    return ("beaten" if least >= 1 - CLOSE else "short"), said
