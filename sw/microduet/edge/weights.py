"""Weights and constants of an edge unit: into it and its memory, and asked for again later."""

import numpy as np

from microduet.edge.bundle import EdgeBundle
from microduet.errors import InputError
from microduet.loading import send_checked
from microduet.register_access import Registers
from microduet_hw.check_image import Check
from microduet_hw.edge.check_image import weight_checks
from microduet_hw.edge.image import again_beats, load_beats, stream_tables
from microduet_sim.messages import MessageSimulator

UNIT = "the edge unit"


def load_unit(bundle: EdgeBundle, simulator: MessageSimulator, registers: Registers) -> None:
    """Load what the unit keeps; DeviceError if it took something else."""
    send_checked(simulator.load, registers, load_beats(bundle.config, bundle.model), name=UNIT)


def write_streams(bundle: EdgeBundle, simulator: MessageSimulator) -> None:
    """Write streamed weights into their memory."""
    tables = stream_tables(bundle.config, bundle.model)
    for channel, table in zip(bundle.config.channels, tables, strict=True):
        simulator.write_memory(channel, 0, table.view(np.uint8).reshape(-1))


def unit_checks(bundle: EdgeBundle) -> list[Check]:
    """What the unit is asked to read; InputError if it cannot."""
    config = bundle.config
    if not config.weight_check:
        raise InputError(f"{config.name} must be compiled with EdgeOptions(weight_check=True) to check its weights")
    return weight_checks(config, bundle.model)


def read_streams_again(bundle: EdgeBundle, simulator: MessageSimulator, registers: Registers) -> None:
    """Have the unit read streamed weights anew; DeviceError if it took other check beats than were sent."""
    send_checked(simulator.ask, registers, again_beats(bundle.config), name=UNIT, what="check beats")
