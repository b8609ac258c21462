"""What a DRAM channel's model depends on, read from TOML."""

import enum
import math
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Self

import msgspec

from microduet_sim.dram.address_map import Segment, map_with_ranks, parse_map
from microduet_sim.errors import SimulatorError

BUILT_IN = ("hbm2-u280", "hbm2-u280-rows", "ddr4-2400", "lpddr4x-4266", "ddr4-2400-dimm", "ddr5-4800-dimm")
"""Names of the sets that come with the package."""
COMMANDS = ("ACT", "RD", "WR", "PRE", "PREA", "AP", "REFAB", "REFSB")
"""Commands to the chips, in the order of the runtime's numbers."""
MAX_BANKS, MAX_RANKS = 128, 16
SWITCHES = 7
"""Switches between the farthest port and channel of a U280."""


class ParameterError(SimulatorError):
    """A parameter set is not one. One line: the file, the key, what is allowed."""


class Refresh(enum.StrEnum):
    """Which refresh commands a controller uses."""

    OFF = "off"
    ALL_BANK = "all-bank"
    SINGLE_BANK = "single-bank"


class RefreshPhase(enum.StrEnum):
    """When the channels of one memory refresh: all at once, or in turn over an interval."""

    ALIGNED = "aligned"
    STAGGERED = "staggered"


class Page(enum.StrEnum):
    """Whether a row stays open when nothing that waits needs it."""

    OPEN = "open"
    CLOSED = "closed"


class Switch(enum.StrEnum):
    """Whether a port reaches other channels than its own."""

    OFF = "off"
    ON = "on"


class DramParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel of DRAM. Times are in cycles of its clock, unless a name ends in ``_ns``; names are JEDEC's.

    Every key must be there: a time that is not said is not known.

    Raises
    ------
    ValueError
        If a value is out of range, or two contradict each other.
    """

    tCK_ns: float
    bus_bits: int
    BL: int
    command_buses: int
    ca_bits: int
    ranks: int
    bank_groups: int
    banks_per_group: int
    rows: int
    page_bytes: int
    address_map: str

    CL: int
    CWL: int
    tRCDRD: int
    tRCDWR: int
    tRP: int
    tRAS: int
    tRC: int
    tRTP: int
    tWR: int
    tWTR_S: int
    tWTR_L: int
    tRTW: int
    tCCD_S: int
    tCCD_L: int
    tRRD_S: int
    tRRD_L: int
    tFAW: int
    tRTRS: int

    refresh: Refresh
    refresh_phase: RefreshPhase
    refresh_postpone: int
    tRFC: int
    tREFI: int
    tRFCSB: int
    tREFISB: int

    page: Page
    window: int
    age_limit: int

    pipeline_ns: float
    outstanding: int
    switch: Switch
    switch_ns: float
    switch_hop_ns: float
    distance: int
    narrow_bits: int
    narrow_mhz: float

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_contradictions()
        self.segments()

    def replace(self, **changes: object) -> Self:
        """A copy with some keys changed, checked again."""
        return msgspec.convert(msgspec.to_builtins(self) | changes, type(self))

    def with_ranks(self, ranks: int) -> Self:
        """The same chips in so many ranks, their bits of the address where the rank's are, or above all others."""
        return self.replace(ranks=ranks, address_map=map_with_ranks(self.address_map, ranks))

    @property
    def burst_bytes(self) -> int:
        """Bytes of one burst."""
        return self.bus_bits * self.BL // 8

    @property
    def burst_cycles(self) -> int:
        """Cycles that a burst takes of the data bus: two beats per cycle."""
        return self.BL // 2

    @property
    def banks(self) -> int:
        """Banks of a rank, of all groups."""
        return self.bank_groups * self.banks_per_group

    @property
    def bytes(self) -> int:
        """Size of the channel."""
        return self.ranks * self.banks * self.rows * self.page_bytes

    @property
    def peak_gigabytes_per_s(self) -> float:
        """Bytes of the data bus per nanosecond."""
        return self.burst_bytes / (self.burst_cycles * self.tCK_ns)

    @property
    def delay_ns(self) -> float:
        """Constant time between the port and the controller, the switch included."""
        switch = self.switch_ns + self.distance * self.switch_hop_ns if self.switch is Switch.ON else 0.0
        return self.pipeline_ns + switch

    def segments(self) -> list[Segment]:
        """The address map, taken apart."""
        sizes = {
            "RA": self.rows,
            "BG": self.bank_groups,
            "BA": self.banks_per_group,
            "CA": self.page_bytes // self.burst_bytes,
            "RK": self.ranks,
        }
        return parse_map(self.address_map, sizes)

    def _check_ranges(self) -> None:
        may_be_zero = {
            "tRTRS",
            "refresh_postpone",
            "tRFCSB",
            "tREFISB",
            "pipeline_ns",
            "switch_ns",
            "switch_hop_ns",
            "distance",
            "narrow_mhz",
        }
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str):
                continue
            least = 0 if name in may_be_zero else 1
            if not math.isfinite(value) or value < 0 or (isinstance(value, int) and value < least):
                raise ValueError(f"{name} must be at least {least}, not {value}")
            if value >= 1 << 31:
                raise ValueError(f"{name} must be below 2^31, not {value}")
        _require(self.tCK_ns > 0, f"tCK_ns must be above 0, not {self.tCK_ns}")
        _require(self.narrow_bits % 8 == 0, f"narrow_bits must be whole bytes, not {self.narrow_bits}")
        for name in ("bus_bits", "BL", "ranks", "bank_groups", "banks_per_group", "rows", "page_bytes"):
            value = getattr(self, name)
            _require(value & (value - 1) == 0, f"{name} must be a power of two, not {value}")
        _require(self.BL >= 2, f"BL must be at least 2, not {self.BL}")
        _require(self.bus_bits >= 8, f"bus_bits must be at least 8, not {self.bus_bits}")
        _require(self.command_buses <= 2, f"command_buses must be 1 or 2, not {self.command_buses}")
        _require(self.ranks <= MAX_RANKS, f"ranks must be at most {MAX_RANKS}, not {self.ranks}")
        banks = self.ranks * self.banks
        _require(banks <= MAX_BANKS, f"ranks x bank_groups x banks_per_group must be at most {MAX_BANKS}, not {banks}")
        _require(self.refresh_postpone <= 8, f"refresh_postpone must be at most 8, not {self.refresh_postpone}")
        _require(self.distance <= SWITCHES, f"distance must be 0 to {SWITCHES}, not {self.distance}")

    def _check_contradictions(self) -> None:
        for low, high in (
            ("tRAS", "tRC"),
            ("tRP", "tRC"),
            ("tRCDRD", "tRAS"),
            ("tRCDWR", "tRAS"),
            ("tCCD_S", "tCCD_L"),
            ("tRRD_S", "tRRD_L"),
            ("tWTR_S", "tWTR_L"),
            ("tRRD_S", "tFAW"),
            ("burst_bytes", "page_bytes"),
        ):
            one, other = getattr(self, low), getattr(self, high)
            _require(one <= other, f"{high} must be at least {low}, but {other} < {one}")
        if self.refresh is Refresh.ALL_BANK:
            _require(self.tRFC < self.tREFI, f"tRFC must be below tREFI, but {self.tRFC} >= {self.tREFI}")
        if self.refresh is Refresh.SINGLE_BANK:
            _require(
                self.tRFCSB > 0, f"refresh must be 'all-bank' or 'off' where tRFCSB is 0, not {str(self.refresh)!r}"
            )
            least = self.tRFCSB
            _require(self.tREFISB * self.banks > least, f"tREFISB x banks must be above tRFCSB, not {self.tREFISB}")


def built_in_text(name: str) -> str:
    """The TOML of a built-in set."""
    return (files("microduet_sim.dram") / "sets" / f"{name}.toml").read_text()


def built_in(name: str) -> DramParameters:
    """The set called `name`, one of `BUILT_IN`."""
    return _convert(tomllib.loads(built_in_text(name)), name)


def read_parameters(source: str | Path) -> DramParameters:
    """The set in a TOML file, or a built-in one by its name.

    Raises
    ------
    ParameterError
        If there is no such file, it is not TOML, or a key is missing, unknown, out of range or contradicts another.
    """
    if str(source) in BUILT_IN:
        return built_in(str(source))
    try:
        table = tomllib.loads(Path(source).read_text())
    except FileNotFoundError as error:
        raise ParameterError(f"{source}: no such file; built-in sets are {', '.join(BUILT_IN)}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ParameterError(f"{source}: not a TOML file: {' '.join(str(error).split())}") from error
    sets = {name: value for name, value in table.items() if isinstance(value, dict)}
    if sets and len(sets) == len(table):
        if len(sets) > 1:
            raise ParameterError(f"{source}: must hold one set, not {len(sets)}: {', '.join(sets)}")
        table = next(iter(sets.values()))
    return _convert(table, str(source))


def _convert(table: dict[str, object], where: str) -> DramParameters:
    """A set of all keys, or of those in which it differs from the built-in set `base`."""
    base = table.pop("base", None)
    if base is not None:
        if base not in BUILT_IN:
            raise ParameterError(f"{where}: base must be {', '.join(BUILT_IN)}, not {base!r}")
        table = msgspec.to_builtins(built_in(str(base))) | table
    try:
        return msgspec.convert(table, DramParameters)
    except (msgspec.ValidationError, ValueError) as error:
        raise ParameterError(f"{where}: {error}") from error


def _require(rule: bool, message: str) -> None:
    if not rule:
        raise ValueError(message)
