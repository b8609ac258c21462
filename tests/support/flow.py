"""Driving components cycle by cycle, and drivers for streams that are always ready."""

import random
from collections import deque
from collections.abc import Iterable
from typing import Any

import cocotb
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from cocotb.triggers import Event, ReadOnly, RisingEdge, with_timeout

from tests.support.streams import chance, start_clocks


def signed_of(bits: int, width: int) -> int:
    """The signed number that the `width` low bits of an unsigned one stand for."""
    bits &= (1 << width) - 1
    return bits - (1 << width) if bits >> width - 1 else bits


async def begin(dut: Any, **inputs: int) -> None:
    """Start the clocks and reset `dut`, with these inputs from the first cycle on."""
    for name, value in inputs.items():
        getattr(dut, name).value = value
    await start_clocks(dut)


async def cycle(dut: Any, *, clock: str = "clk", **inputs: int) -> None:
    """Give `dut` inputs for one cycle of a clock; on return all has settled, and outputs are those of this cycle."""
    await RisingEdge(getattr(dut, clock))
    for name, value in inputs.items():
        getattr(dut, name).value = value
    await ReadOnly()


class Bare(wiring.Component):
    """A component whose always-ready streams have no ready: a top level can't have a constant as a port.

    Parameters
    ----------
    component : what to show with ports ``valid`` and ``payload`` in place of such streams; other names stay
    """

    def __init__(self, component: wiring.Component) -> None:
        self._component = component
        self._inner: dict[str, Value] = {}
        members: dict[str, wiring.Member] = {}
        for path, member, value in component.signature.flatten(component):
            if isinstance(Value.cast(value), Signal):
                name = "__".join(map(str, path))
                members[name], self._inner[name] = member, Value.cast(value)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bare = self._component
        for name, inner in self._inner.items():
            outer = Value.cast(getattr(self, name))
            m.d.comb += inner.eq(outer) if self.signature.members[name].flow is In else outer.eq(inner)
        return m


class FlowSource:
    """Drives a stream that is always ready, and waits at random before each payload.

    Parameters
    ----------
    dut : the top level
    name : name of the stream
    wait : probability that a cycle passes without a payload
    """

    def __init__(self, dut: Any, name: str, *, wait: float = 0.0) -> None:
        self._clock = dut.clk
        self._valid, self._payload = getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__payload")
        self.wait = chance(wait, name="wait")
        self.cycle = 0
        self.cycles: list[int] = []
        """The cycle of each transfer, counted from the start of this end."""
        self._random = random.Random(random.getrandbits(64))
        self._queue: deque[int] = deque()
        self._empty = Event()
        self._empty.set()
        self._valid.value = 0
        self._task = cocotb.start_soon(self._run())

    def send(self, payloads: Iterable[int]) -> None:
        """Queue payloads, as unsigned integers, to be sent in order."""
        self._queue.extend(payloads)
        if self._queue:
            self._empty.clear()

    async def drain(self, *, timeout_us: float = 1000) -> None:
        """Wait until everything that was queued has been sent."""
        await with_timeout(self._empty.wait(), timeout_us, "us")

    async def _run(self) -> None:
        while True:
            await RisingEdge(self._clock)
            offered = bool(self._queue) and self._random.random() >= self.wait
            self._valid.value = int(offered)
            if offered:
                self._payload.value = self._queue.popleft()
                self.cycles.append(self.cycle)
            elif not self._queue:
                self._empty.set()
            self.cycle += 1


class FlowMonitor:
    """Records the payloads of a stream that is always ready.

    Parameters
    ----------
    dut : the top level
    name : name of the stream
    """

    def __init__(self, dut: Any, name: str) -> None:
        self._clock = dut.clk
        self._valid, self._payload = getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__payload")
        self.received: list[int] = []
        """Every payload so far, as unsigned integers."""
        self.cycle = 0
        self.cycles: list[int] = []
        """The cycle of each transfer, counted as `FlowSource` counts if both start together."""
        self._arrived = Event()
        self._task = cocotb.start_soon(self._run())

    async def receive(self, count: int, *, timeout_us: float = 1000) -> list[int]:
        """Wait until `count` payloads have come in all, and return them."""
        while len(self.received) < count:
            self._arrived.clear()
            await with_timeout(self._arrived.wait(), timeout_us, "us")
        return self.received[:count]

    async def _run(self) -> None:
        while True:
            await RisingEdge(self._clock)
            await ReadOnly()
            if self._valid.value == 1:
                self.received.append(int(self._payload.value))
                self.cycles.append(self.cycle)
                self._arrived.set()
            self.cycle += 1
