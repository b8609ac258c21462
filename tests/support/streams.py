"""cocotb drivers and monitors for Amaranth streams, and the clocks of a bench.

A stream `name` has the signals ``name__valid``, ``name__ready`` and ``name__payload``. A transfer happens when valid
and ready are high at a clock edge; valid and payload hold until then.
"""

import random
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, ReadOnly, RisingEdge, with_timeout

from tests.support.cover_plan import hit_stream
from tests.support.cycle_log import watch

PERIODS_NS = {"clk": 8.0, "mem_clk": 2.5}
"""Periods of the clocks of a bench, near those of the hardware and in no simple ratio."""


async def start_clocks(dut: Any, *, reset_cycles: int = 3, **periods_ns: float) -> None:
    """Start every clock that `dut` has, and hold every reset that it has for some cycles of the slowest clock.

    Parameters
    ----------
    dut : the top level
    reset_cycles : how long resets are held, at least
    periods_ns : period of a clock by its name, if not that of `PERIODS_NS`
    """
    periods = {name: ns for name, ns in {**PERIODS_NS, **periods_ns}.items() if hasattr(dut, name)}
    resets = [getattr(dut, name.replace("clk", "rst")) for name in periods if hasattr(dut, name.replace("clk", "rst"))]
    for reset in resets:
        reset.value = 1
    for name, period in periods.items():
        # An even number of picoseconds, or the clock could not have two equal halves.
        Clock(getattr(dut, name), 2 * round(period * 500), unit="ps").start()
    watch(dut, list(periods))
    slowest = getattr(dut, max(periods, key=lambda name: periods[name]))
    await ClockCycles(slowest, reset_cycles)
    for reset in resets:
        reset.value = 0


def chance(probability: float, *, name: str) -> float:
    """`probability`, checked: a wait that is certain would last forever."""
    if not 0 <= probability < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, not {probability!r}")
    return probability


class _End:
    """One end of a stream: its signals, and the edges of its clock since it was made."""

    def __init__(self, dut: Any, name: str, *, clock: Any) -> None:
        self.name = name
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        # A stream of empty payloads has no such signal.
        self.payload = getattr(dut, f"{name}__payload", None)
        self.clock = clock
        self.cycle = 0
        self.cycles: list[int] = []
        """The cycle of each transfer, counted from the first edge after the start of this end."""
        # Its own generator: the waits of one stream do not depend on what another draws.
        self.random = random.Random(random.getrandbits(64))

    def _transfers(self, end: str) -> bool:
        """Whether a transfer happens, seen from one `end` of the stream."""
        valid, ready = self.valid.value == 1, self.ready.value == 1
        if ready and not valid and self.cycles:
            hit_stream(end, "starved")
        if valid and not ready:
            hit_stream(end, "stalled")
        if valid and ready and self.cycles[-1:] == [self.cycle - 1]:
            hit_stream(end, "back to back")
        return valid and ready


class StreamSource(_End):
    """Drives a stream with queued payloads, and waits at random before each.

    Parameters
    ----------
    dut : the top level
    name : name of the stream
    clock : the clock of its domain
    wait : probability that a cycle passes without a payload being offered
    """

    def __init__(self, dut: Any, name: str, *, clock: Any, wait: float = 0.0) -> None:
        super().__init__(dut, name, clock=clock)
        self.wait = chance(wait, name="wait")
        self._queue: deque[int] = deque()
        self._empty = Event()
        self._empty.set()
        self.valid.value = 0
        if self.payload is not None:
            self.payload.value = 0
        self._task = cocotb.start_soon(self._run())

    def send(self, payloads: Iterable[int]) -> None:
        """Queue payloads, as unsigned integers, to be sent in order."""
        self._queue.extend(payloads)
        if self._queue:
            self._empty.clear()

    async def drain(self, *, timeout_us: float = 1000) -> None:
        """Wait until everything that was queued has been accepted."""
        await with_timeout(self._empty.wait(), timeout_us, "us")

    async def _run(self) -> None:
        offered = False
        while True:
            await RisingEdge(self.clock)
            if not offered:
                offered = bool(self._queue) and self.random.random() >= self.wait
                self.valid.value = int(offered)
                if offered and self.payload is not None:
                    self.payload.value = self._queue[0]
            await ReadOnly()
            # What holds now is what the next edge sees.
            if self._transfers("source"):
                self.cycles.append(self.cycle)
                self._queue.popleft()
                offered = False
                if not self._queue:
                    self._empty.set()
            self.cycle += 1


class StreamSink(_End):
    """Accepts a stream's payloads, stalls at random, and checks that valid and payload hold until they are accepted.

    Parameters
    ----------
    dut : the top level
    name : name of the stream
    clock : the clock of its domain
    stall : probability that a cycle passes without being ready
    """

    def __init__(self, dut: Any, name: str, *, clock: Any, stall: float = 0.0) -> None:
        super().__init__(dut, name, clock=clock)
        self.stall = chance(stall, name="stall")
        self.received: list[int] = []
        """Every payload so far, as unsigned integers."""
        self._taken = 0
        self._arrived = Event()
        self.ready.value = 0
        self._task = cocotb.start_soon(self._run())

    async def receive(self, count: int, *, timeout_us: float = 1000) -> list[int]:
        """Wait for `count` more payloads, and return them."""
        while len(self.received) < self._taken + count:
            self._arrived.clear()
            await with_timeout(self._arrived.wait(), timeout_us, "us")
        first, self._taken = self._taken, self._taken + count
        return self.received[first : self._taken]

    async def _run(self) -> None:
        pending: int | None = None
        while True:
            await RisingEdge(self.clock)
            self.ready.value = int(self.random.random() >= self.stall)
            await ReadOnly()
            valid = self.valid.value == 1
            payload = self.payload.value.to_unsigned() if valid and self.payload is not None else 0
            if pending is not None:
                assert valid, f"stream {self.name}: valid fell before its payload was accepted"
                assert payload == pending, f"stream {self.name}: payload changed from {pending:#x} to {payload:#x}"
            pending = payload if valid else None
            if self._transfers("sink"):
                pending = None
                self.received.append(payload)
                self.cycles.append(self.cycle)
                self._arrived.set()
            self.cycle += 1


class AxiStream:
    """Sends packets on an AXI4-Stream port, with pauses."""

    def __init__(self, dut: Any, name: str, *, clock: Any, wait: float = 0.0) -> None:
        self._signals = [getattr(dut, f"{name}__{part}") for part in ("tvalid", "tready", "tdata", "tlast")]
        self.clock, self.wait = clock, wait
        self._random = random.Random(random.getrandbits(64))
        self._signals[0].value = 0

    async def send(self, beats: Sequence[int], *, ends: bool = True) -> None:
        """Send one packet, or beats that do not end it; return in the cycle after its last beat was taken."""
        valid, ready, data, last = self._signals
        for number, beat in enumerate(beats):
            while self._random.random() < self.wait:
                valid.value = 0
                await RisingEdge(self.clock)
            valid.value, data.value, last.value = 1, beat, int(ends and number == len(beats) - 1)
            await ReadOnly()
            while ready.value == 0:
                await RisingEdge(self.clock)
                await ReadOnly()
            await RisingEdge(self.clock)
        valid.value = 0
