"""The cards that a model can be compiled for."""

import dataclasses

from microduet.errors import MicroduetError
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
    """Memory channels and on-chip resources of a card."""

    name: str
    channels: tuple[Channel, ...]
    dsp: int = 9024
    bram36: int = 2016
    uram: int = 960

    @property
    def largest_channel(self) -> Channel:
        """The channel with the most bytes."""
        return max(self.channels, key=lambda channel: channel.size)


def _hbm(size: int) -> tuple[Channel, ...]:
    return tuple(Channel(name=f"hbm{k:02}", kind=SourceKind.HBM, size=size) for k in range(32))


def _ddr(count: int) -> tuple[Channel, ...]:
    return tuple(Channel(name=f"ddr{k}", kind=SourceKind.DDR, size=16 << 30) for k in range(count))


BOARDS = {
    "u280": Board(name="u280", channels=_hbm(256 << 20) + _ddr(2)),
    "u55c": Board(name="u55c", channels=_hbm(512 << 20)),
}


def find(name: str) -> Board:
    """The board called `name`; raises MicroduetError, listing the names, if there is none."""
    if name not in BOARDS:
        raise MicroduetError(f"board must be {' or '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
