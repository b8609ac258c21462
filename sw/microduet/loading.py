"""Loads a unit with weights, and compares what it took with what was sent."""

import typing
import zlib

from microduet.errors import DeviceError
from microduet.register_access import Registers
from microduet_sim.batch import Words


class Loadable(typing.Protocol):
    """What takes load beats."""

    def load(self, beats: Words) -> None:
        """Send load beats, uint32 (n, 16), and wait until the last one is written."""
        ...


def load_checked(unit: Loadable, registers: Registers, beats: Words, *, name: str = "the engine") -> None:
    """Load a unit; its register `loaded` must then be what it was, continued over the beats.

    Parameters
    ----------
    unit : what takes them
    registers : of the unit
    beats : uint32 (n, 16)
    name : what an error calls the unit

    Raises
    ------
    DeviceError
        If it is not.
    """
    before = registers["loaded"]
    unit.load(beats)
    sent, taken = zlib.crc32(beats.tobytes(), before), registers["loaded"]
    if taken != sent:
        raise DeviceError(f"{name} took other weights than were sent: their CRC is {taken:08x}, not {sent:08x}")
