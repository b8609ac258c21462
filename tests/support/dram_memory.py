"""The DRAM model behind an AXI4 read port of a bench: the same one that stands behind a simulated engine."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from microduet_hw.config import AXI_BYTES
from microduet_sim.dram.channel import DramChannel
from microduet_sim.dram.parameters import DramParameters
from tests.support.axi_port import ReadPort, Response

PORT_MHZ = 450.0
"""What the model takes a cycle of ``mem_clk`` for, however long the bench's own is."""


class DramMemory(ReadPort):
    """A channel of DRAM behind port `name` of `dut`.

    Parameters
    ----------
    dut, name, stall, one_id : as `ReadPort`
    image : the beats that may be read, by their byte addresses
    parameters : of the DRAM
    wait : probability that a beat that has come is not offered in a cycle
    channel, channels, port_mhz : as `DramChannel`
    """

    def __init__(
        self,
        *,
        dut: Any,
        name: str,
        image: Mapping[int, int],
        parameters: DramParameters,
        stall: float = 0.0,
        wait: float = 0.0,
        channel: int = 0,
        channels: int = 1,
        port_mhz: float = PORT_MHZ,
        one_id: bool = False,
    ) -> None:
        super().__init__(dut=dut, name=name, stall=stall, one_id=one_id)
        self._port_mhz = port_mhz
        self.image, self.parameters, self.wait = image, parameters, wait
        self._channel = DramChannel(parameters, port_mhz=port_mhz, channel=channel, channels=channels)
        for address, beat in image.items():
            self._channel.put(address, np.frombuffer(beat.to_bytes(AXI_BYTES, "little"), np.uint8))

    @property
    def refresh_intervals(self) -> float:
        """Time so far in intervals between refreshes of all banks."""
        return self.cycle * 1000 / self._port_mhz / (self.parameters.tREFI * self.parameters.tCK_ns)

    def ready(self) -> bool:
        return self._channel.ready

    def accept(self, address: int, beats: int, id: int) -> None:
        missing = [at for at in range(address, address + beats * AXI_BYTES, AXI_BYTES) if at not in self.image]
        assert not missing, f"{self.name}: no row lies at {missing[0]:#x}"
        self._channel.read(address, beats=beats, id=id, cycle=self.cycle)

    def respond(self) -> Response | None:
        beat = self._channel.offer(self.cycle)
        if beat is None or self.random.random() < self.wait:
            return None
        return Response(id=beat.id, data=beat.data, last=beat.last)

    def taken(self) -> None:
        self._channel.take()
