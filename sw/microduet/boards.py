"""The cards that a model can be compiled for."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from microduet.errors import MicroduetError
from microduet.unreadable import UNREADABLE
from microduet_hw.config import SourceKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channel:
    """One memory channel with an AXI port of 256 bits."""

    name: str
    kind: SourceKind
    size: int
    """Bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """Memory channels and on-chip resources of a card; those of the U280 and U55C, which have chips of one size, if not
    given (Alveo U280 and U55C data sheets, DS963 and DS978)."""

    name: str
    channels: tuple[Channel, ...]
    lut: int = 1_304_000
    ff: int = 2_607_000
    dsp: int = 9024
    bram36: int = 2016
    uram: int = 960
    onchip_share: float = 0.25
    """Part of the URAM that tables may take."""

    def __post_init__(self) -> None:
        for channel in self.channels:
            if channel.kind not in (SourceKind.HBM, SourceKind.DDR):
                raise MicroduetError(f"{self.name}: a board's channels must be hbm or ddr, not {channel.kind}")

    @property
    def onchip_uram(self) -> int:
        """URAMs that tables may take."""
        return int(self.uram * self.onchip_share)

    def first_channels(self, count: int) -> "Board":
        """The board with its first `count` memory channels only: of a card with both, HBM before DDR.

        Raises MicroduetError if it has not so many.
        """
        if not 1 <= count <= len(self.channels):
            raise MicroduetError(f"channels of {self.name} must be 1 to {len(self.channels)}, not {count!r}")
        return dataclasses.replace(self, channels=self.channels[:count])

    @property
    def largest_channel(self) -> Channel:
        """The channel with the most bytes."""
        return max(self.channels, key=lambda channel: channel.size)


def _name(kind: SourceKind, number: int) -> str:
    return f"{kind}{number:02}" if kind is SourceKind.HBM else f"{kind}{number}"


def _hbm(size: int) -> tuple[Channel, ...]:
    return tuple(Channel(name=_name(SourceKind.HBM, k), kind=SourceKind.HBM, size=size) for k in range(32))


def _ddr(count: int) -> tuple[Channel, ...]:
    return tuple(Channel(name=_name(SourceKind.DDR, k), kind=SourceKind.DDR, size=16 << 30) for k in range(count))


# Memory: DS963 and DS978; 32 HBM channels of 256 and of 512 MiB (UG1393, "HBM Configuration and Use").
BOARDS = {
    "u280": Board(name="u280", channels=_hbm(256 << 20) + _ddr(2)),
    "u55c": Board(name="u55c", channels=_hbm(512 << 20)),
}


def find(name: str) -> Board:
    """The board called `name`, or described by the file `name` if it ends in .toml.

    Raises
    ------
    MicroduetError
        If there is no such board, or the file is not one: says what is missing, unknown or out of range.
    """
    if name.endswith(".toml"):
        return read(Path(name))
    if name not in BOARDS:
        raise MicroduetError(f"board must be {', '.join(BOARDS)} or a .toml file, not {name!r}")
    return BOARDS[name]


Count = Annotated[int, msgspec.Meta(ge=0)]


class _Channels(msgspec.Struct, forbid_unknown_fields=True):
    """Equal channels in a board file."""

    kind: Literal["hbm", "ddr"]
    count: Annotated[int, msgspec.Meta(ge=1, le=64)]
    mebibytes: Annotated[int, msgspec.Meta(ge=1, le=16 << 10)]


class _BoardFile(msgspec.Struct, forbid_unknown_fields=True):
    """A board file (docs/planner.md)."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    dsp: Count
    bram36: Count
    uram: Count
    channels: Annotated[list[_Channels], msgspec.Meta(min_length=1)]
    lut: Count = Board.lut
    ff: Count = Board.ff
    onchip_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.25


def read(path: Path) -> Board:
    """The board that a TOML file describes; raises MicroduetError, in one line, if it describes none."""
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_BoardFile)
    except OSError as error:
        raise MicroduetError(f"{path}: cannot be read: {error.strerror}") from error
    except UNREADABLE as error:
        raise MicroduetError(f"{path}: is not a board: {error}") from error
    if file.name in BOARDS:
        raise MicroduetError(f"{path}: name must be another than the built-in boards', not {file.name!r}")
    channels: list[Channel] = []
    for group in file.channels:
        kind = SourceKind(group.kind)
        first = sum(channel.kind is kind for channel in channels)
        channels += [
            Channel(name=_name(kind, first + number), kind=kind, size=group.mebibytes << 20)
            for number in range(group.count)
        ]
    return Board(
        name=file.name,
        channels=tuple(channels),
        lut=file.lut,
        ff=file.ff,
        dsp=file.dsp,
        bram36=file.bram36,
        uram=file.uram,
        onchip_share=file.onchip_share,
    )
