"""What an engine is loaded with: sent and compared, and asked for again later."""

import zlib
from collections.abc import Callable

from microduet.backend import Backend
from microduet.bundle import Bundle
from microduet.errors import DeviceError, InputError
from microduet.register_access import Registers
from microduet_hw.check_image import weight_checks
from microduet_hw.image import load_beats
from microduet_sim.batch import Words


def load(bundle: Bundle, backend: Backend, registers: Registers) -> None:
    """Load weights, parameters and on-chip tables; DeviceError if the engine took others."""
    beats = load_beats(bundle.config, bundle.engine_model, bundle.rows, bundle.user)
    _send(beats, backend.load, registers, "weights")


def _send(beats: Words, send: Callable[[Words], None], registers: Registers, what: str) -> None:
    before = registers["loaded"]
    send(beats)
    sent, taken = zlib.crc32(beats.tobytes(), before), registers["loaded"]
    if taken != sent:
        raise DeviceError(f"the engine took other {what} than were sent: their CRC is {taken:08x}, not {sent:08x}")


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
    for check in weight_checks(config, bundle.engine_model):
        wanted = zlib.crc32(check.words.tobytes(), found)
        _send(check.beats, backend.ask, registers, "check beats")
        found = registers["checked"]
        if found != wanted:
            changed.append(check.name)
    return changed
