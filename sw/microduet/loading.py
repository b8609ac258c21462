"""Loads a unit with weights, compares what it took with what was sent, and asks it for them again later."""

import zlib
from collections.abc import Callable, Iterable

from microduet.backend import Backend
from microduet.bundle import Bundle
from microduet.errors import DeviceError, InputError
from microduet.register_access import Registers
from microduet_hw.check_image import Check, weight_checks
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


def engine_checks(bundle: Bundle) -> list[Check]:
    """What an engine is asked to read of its weights; InputError if it cannot."""
    config = bundle.config
    if not config.weight_check:
        raise InputError(f"{config.name} must be compiled with Tuning(weight_check=True) to check its weights")
    return weight_checks(config, bundle.engine_model, bundle.user)


def expect_unchanged(checks: Iterable[Check], ask: Callable[[Words], None], registers: Registers, *, name: str) -> None:
    """Have a unit read what was loaded.

    Parameters
    ----------
    checks : parts, and what should be found
    ask : sends check beats
    registers : of the unit
    name : what an error calls it

    Raises
    ------
    DeviceError
        If parts are not what they should be: names them. If it took other check beats than were sent.
    """
    changed: list[str] = []
    found = registers["checked"]
    for check in checks:
        wanted = zlib.crc32(check.words.tobytes(), found)
        send_checked(ask, registers, check.beats, name=name, what="check beats")
        found = registers["checked"]
        if found != wanted:
            changed.append(check.name)
    if changed:
        raise DeviceError(f"what was loaded has changed: {', '.join(changed)}; reload writes it again")
