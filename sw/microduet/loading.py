"""Loads a unit with weights, compares what it took with what was sent, and asks an engine for them again later."""

import zlib
from collections.abc import Callable

from microduet.backend import Backend
from microduet.bundle import Bundle
from microduet.errors import DeviceError, InputError
from microduet.register_access import Registers
from microduet_hw.check_image import weight_checks
from microduet_hw.image import load_beats
from microduet_sim.batch import Words


def send_checked(
    send: Callable[[Words], None], registers: Registers, beats: Words, *, name: str, what: str = "weights"
) -> None:
    """Send load beats to a unit, whose register `loaded` must then be what it was, continued over them.

    Parameters
    ----------
    send : waits until the last one is taken
    registers : of the unit
    beats : uint32 (n, 16)
    name, what : what an error calls the unit and the beats

    Raises
    ------
    DeviceError
        If it is not.
    """
    before = registers["loaded"]
    send(beats)
    sent, taken = zlib.crc32(beats.tobytes(), before), registers["loaded"]
    if taken != sent:
        raise DeviceError(f"{name} took other {what} than were sent: their CRC is {taken:08x}, not {sent:08x}")


def load_engine(bundle: Bundle, backend: Backend, registers: Registers) -> None:
    """Load weights, parameters and on-chip tables; DeviceError if the engine took others."""
    beats = load_beats(bundle.config, bundle.engine_model, bundle.rows, bundle.user)
    send_checked(backend.load, registers, beats, name="the engine")


def changed_parts(bundle: Bundle, backend: Backend, registers: Registers) -> list[str]:
    """Names of the parts of what was loaded that are not what `bundle` says any more.

    Raises
    ------
    InputError
        If the engine cannot read its weights.
    DeviceError
        If it took other check beats than were sent.
    """
    config = bundle.config
    if not config.weight_check:
        raise InputError(f"{config.name} must be compiled with Tuning(weight_check=True) to check its weights")
    changed: list[str] = []
    found = registers["checked"]
    for check in weight_checks(config, bundle.engine_model, bundle.user):
        wanted = zlib.crc32(check.words.tobytes(), found)
        send_checked(backend.ask, registers, check.beats, name="the engine", what="check beats")
        found = registers["checked"]
        if found != wanted:
            changed.append(check.name)
    return changed
