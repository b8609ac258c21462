"""The table of energies: constants.toml, read and checked."""

import functools
import tomllib
from importlib.resources import files
from typing import Literal

import msgspec

from microduet_hw.config import Frozen

Level = Literal["low", "typical", "high"]
LEVELS: tuple[Level, ...] = ("low", "typical", "high")

UNITS = {"pJ": 1e-12, "nJ": 1e-9, "mW": 1e-3, "W": 1.0}
"""To joules or watts."""


class Constant(Frozen, frozen=True, kw_only=True):
    """What one event costs, or how much power something takes.

    Members
    -------
    unit : of the three values
    low, typical, high : the range of published values
    source : where they are published, and what was scaled or estimated
    """

    unit: str
    low: float
    typical: float
    high: float
    source: str

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unit must be {', '.join(UNITS)}, not {self.unit!r}")
        if not 0 <= self.low <= self.typical <= self.high:
            raise ValueError(f"low, typical, high must ascend from 0, not {self.low}, {self.typical}, {self.high}")
        if not self.source:
            raise ValueError("a constant has a source")

    def si(self, level: Level) -> float:
        """In joules or watts."""
        return getattr(self, level) * UNITS[self.unit]


@functools.cache
def constants() -> dict[str, Constant]:
    """All constants by name: "edge.mac_int8" and so on."""
    text = files("microduet.energy").joinpath("constants.toml").read_text()
    return parse(text)


def parse(text: str) -> dict[str, Constant]:
    """Constants of a TOML text of tables [place.name]; raises ValueError, naming the constant, if one is wrong."""
    found: dict[str, Constant] = {}
    for place, table in tomllib.loads(text).items():
        for name, values in table.items():
            try:
                found[f"{place}.{name}"] = msgspec.convert(values, Constant)
            except (msgspec.ValidationError, ValueError) as error:
                raise ValueError(f"constant {place}.{name}: {error}") from error
    return found
