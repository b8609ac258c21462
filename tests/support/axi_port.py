"""What every memory behind an AXI4 read port has in common: the handshakes, and what is never allowed on them."""

import random
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from microduet_hw.config import AXI_BYTES

OKAY, SLVERR, DECERR = 0, 2, 3
PAGE = 4096


@dataclass(frozen=True, kw_only=True)
class Response:
    """One beat of an answer; a `stray` one answers nothing."""

    id: int
    data: int
    last: bool
    code: int = OKAY
    stray: bool = False


class ReadPort:
    """Serves the port ``name__arvalid`` and so on of `dut` in every cycle of its clock; a subclass says with what.

    Parameters
    ----------
    dut, name : the port
    stall : probability that ARREADY is low in a cycle
    one_id : whether reads may have an ID that is in flight; they are then answered in their order

    The clock is ``mem_clk``, or ``clk`` of a component that has no other.
    """

    def __init__(self, *, dut: Any, name: str, stall: float = 0.0, one_id: bool = False) -> None:
        self.dut, self.name, self.stall, self.one_id = dut, name, stall, one_id
        self.clock = dut.mem_clk if hasattr(dut, "mem_clk") else dut.clk
        self.cycle = 0
        self.requests: list[tuple[int, int]] = []
        """Address and beats of every read so far."""
        self.request_cycles: list[int] = []
        self.response_cycles: list[int] = []
        """Cycle in which each last beat was taken."""
        self.answered: list[int] = []
        """Numbers of the reads whose last beat was taken, counted as in `requests`."""
        self.open = True
        """Whether ARREADY may be high at all."""
        self.random = random.Random(random.getrandbits(64))
        self._in_flight: dict[int, list[int]] = {}
        self._signal("arready").value = 0
        self._signal("rvalid").value = 0
        self._task = cocotb.start_soon(self._run())

    @property
    def pending(self) -> bool:
        """Whether any read is still to be answered."""
        return bool(self._in_flight)

    def ready(self) -> bool:
        """Whether the memory takes one more read."""
        return True

    def accept(self, address: int, beats: int, id: int) -> None:
        """The port took a read, the last of `requests`, in this cycle."""
        raise NotImplementedError

    def respond(self) -> Response | None:
        """What is offered from this cycle on until it is taken; None to be asked again in the next."""
        raise NotImplementedError

    def taken(self) -> None:
        """The port took what was offered, in this cycle."""
        raise NotImplementedError

    def _signal(self, name: str) -> Any:
        return getattr(self.dut, f"{self.name}__{name}")

    def _offer(self, response: Response | None) -> None:
        self._signal("rvalid").value = int(response is not None)
        if response is None:
            return
        for name, value in zip(
            ("rid", "rdata", "rlast", "rresp"),
            (response.id, response.data, int(response.last), response.code),
            strict=True,
        ):
            self._signal(name).value = value

    def _accept(self, address: int, beats: int, id: int) -> None:
        assert self._signal("arsize").value == 5
        assert self._signal("arburst").value == 1
        assert address // PAGE == (address + beats * AXI_BYTES - 1) // PAGE, f"burst at {address:#x} crosses 4 KiB"
        assert self.one_id or id not in self._in_flight, f"{self.name}: ID {id} is used while it is in flight"
        self._in_flight.setdefault(id, []).append(len(self.requests))
        self.requests.append((address, beats))
        self.request_cycles.append(self.cycle)
        self.accept(address, beats, id)

    def _take(self, response: Response) -> None:
        if response.last and not response.stray:
            self.response_cycles.append(self.cycle)
            self.answered.append(self._in_flight[response.id].pop(0))
            if not self._in_flight[response.id]:
                del self._in_flight[response.id]
        self.taken()

    async def _run(self) -> None:
        offered: Response | None = None
        held: list[int] | None = None
        while True:
            await RisingEdge(self.clock)
            if offered is None:
                offered = self.respond()
                self._offer(offered)
            self._signal("arready").value = int(self.open and self.ready() and self.random.random() >= self.stall)
            await ReadOnly()
            valid = self._signal("arvalid").value == 1
            request = [self._signal(n).value.to_unsigned() for n in ("araddr", "arlen", "arid")] if valid else None
            assert held is None or request == held, f"{self.name}: a read changed before it was accepted"
            held = request
            if request and self._signal("arready").value == 1:
                held = None
                self._accept(request[0], request[1] + 1, request[2])
            if offered is not None and self._signal("rready").value == 1:
                self._take(offered)
                offered = None
            self.cycle += 1
