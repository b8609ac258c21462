"""Messages to an edge unit's buffer, beat by beat, right or wrong."""

import random
from collections.abc import Iterable
from typing import Any

from microduet_hw.edge.config import BEAT_BITS, EdgeConfig
from microduet_hw.edge.message import HEADER, EdgeStatus
from microduet_hw.edge.reference import message_status
from tests.support.flow import cycle

IDLE = {"s_axis_items__tvalid": 0, "s_axis_items__tlast": 0, "i_run": 0, "i_release": 0, "i_row": 0, "i_version": 0}
"""Inputs of a buffer to which nothing is sent."""


class Packet:
    """A message as its beats; its header may ask for something else than what follows."""

    def __init__(self, *, kind: int, group: int, elements: int, beats: int, version: int) -> None:
        self.fields = {"tag": random.getrandbits(32), "version": version, "kind": kind, "group": group}
        self.fields["elements"] = elements
        rest = random.getrandbits(BEAT_BITS - HEADER.size) << HEADER.size
        self.data = [random.getrandbits(BEAT_BITS) for _ in range(beats)]
        self.beats = [HEADER.const(self.fields).as_bits() | rest, *self.data]

    def status(self, config: EdgeConfig, *, own_version: int, came: int | None = None) -> EdgeStatus:
        """What is said of it. `came` : beats of data before the host stopped; None if it did not."""
        fields = {name: self.fields[name] for name in ("version", "kind", "group", "elements")}
        beats, gone = (len(self.data), False) if came is None else (came, True)
        return message_status(config, **fields, beats=beats, own_version=own_version, gone=gone)


async def give(dut: Any, beats: Iterable[tuple[int, bool]], **inputs: int) -> None:
    """Offer beats, each of which is taken in its cycle: pairs of what it holds and whether it is the last."""
    for beat, last in beats:
        await cycle(dut, s_axis_items__tvalid=1, s_axis_items__tdata=beat, s_axis_items__tlast=int(last), **inputs)
        assert (dut.s_axis_items__tready.value, dut.o_valid.value) == (1, 0)


def stands(dut: Any, packet: Packet, status: int) -> None:
    """Check that the buffer shows the message, and this status."""
    assert dut.o_valid.value == 1
    assert dut.s_axis_items__tready.value == 0
    assert int(dut.o_header.value) == HEADER.const(packet.fields).as_bits()
    assert int(dut.o_status.value) == status, packet.fields
