"""Points that no bench can reach, each with its argument: ``tests/data/waivers.toml``."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.environment import REPOSITORY

PATH = REPOSITORY / "tests" / "data" / "waivers.toml"
SHORTEST = 30
"""Characters of an argument: less is no argument."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """Points of a component that need not be reached.

    Members
    -------
    component : module and class, as in the ledger
    points : regular expression that the whole of a point's key matches
    argument : why nothing can reach them
    """

    component: str
    points: str
    argument: str

    def covers(self, component: str, key: str) -> bool:
        """Whether a point is waived by it."""
        return component == self.component and re.fullmatch(self.points, key) is not None


def read_waivers(path: Path = PATH) -> list[Waiver]:
    """All waivers of a file.

    Raises
    ------
    ValueError
        if an entry has other keys than a waiver's, or an argument that is none
    """
    waivers: list[Waiver] = []
    for number, entry in enumerate(tomllib.loads(path.read_text()).get("waiver", []), 1):
        if set(entry) != {"component", "points", "argument"}:
            raise ValueError(f"{path.name}: waiver {number} must have component, points and argument, not {set(entry)}")
        if len(entry["argument"]) < SHORTEST:
            raise ValueError(f"{path.name}: the argument of waiver {number} must have {SHORTEST} characters or more")
        waivers.append(Waiver(**entry))
    return waivers


def waived(waivers: Iterable[Waiver], component: str, keys: Iterable[str]) -> set[str]:
    """Those of a component's points that are waived."""
    own = [waiver for waiver in waivers if waiver.component == component]
    return {key for key in keys if any(waiver.covers(component, key) for waiver in own)}
