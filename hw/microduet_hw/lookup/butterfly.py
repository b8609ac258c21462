"""Leads indices from a few lanes to the memory channels that hold their rows."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.layouts import routed_layout
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.switch import Switch


class Butterfly(wiring.Component):
    """Leads rows from any lane to the channel that the lowest bits of their index name, and a token, once every lane
    has one, to every channel: behind all rows that came before it in their lanes, before all that came after.

    Rows of one lane and channel keep their order; those of different lanes come as they come.

    Latency: `latency` cycles when empty.
    Throughput: a row per lane and cycle if no two meet; two that meet go in turn.
    Back-pressure: a channel that takes nothing stops, in time, all lanes.
    Reset: empty.

    Parameters
    ----------
    lanes, channels : powers of two, not more lanes than channels
    depth : rows and tokens that wait in front of every switch, as in `Queue`; as many as a memory of look-up
        tables has

    Members
    -------
    i : per lane, a stream of rows and tokens
    o : per channel, the same

    A stage for each bit, from the lowest: switches of two lanes as long as there are such, then of one each.

    Raises
    ------
    ValueError
        If lanes or channels are no such powers of two.

    Attributes
    ----------
    latency : cycles
    """

    i: list[stream.Interface]
    o: list[stream.Interface]

    def __init__(self, *, lanes: int, channels: int, depth: int = 32) -> None:
        for name, count in (("lanes", lanes), ("channels", channels)):
            if count < 2 or count & (count - 1):
                raise ValueError(f"{name} must be a power of two of at least 2, not {count!r}")
        if lanes > channels:
            raise ValueError(f"there must not be more lanes than channels, not {lanes!r} and {channels!r}")
        self._lanes, self._bits, self._depth = lanes, channels.bit_length() - 1, depth
        self.latency = self._bits * Queue.LATENCY
        routed = stream.Signature(routed_layout())
        super().__init__({"i": In(routed).array(lanes), "o": Out(routed).array(channels)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lines: list[Any] = [wiring.flipped(lane) for lane in self.i]
        for bit in range(self._bits):
            waiting = [self._wait(m, line, name=f"queue_{bit}_{number}") for number, line in enumerate(lines)]
            paired = 1 << bit < self._lanes
            following = dict(enumerate(waiting))
            for number in range(len(waiting)):
                if number >> bit & 1:
                    continue
                other = number | 1 << bit
                inputs = [waiting[number], waiting[other]] if paired else [waiting[number]]
                m.submodules[f"switch_{bit}_{number}"] = switch = Switch(bit=bit, inputs=len(inputs))
                for place, line in enumerate(inputs):
                    wiring.connect(m, line, switch.i[place])
                following |= {number: switch.o[0], other: switch.o[1]}
            lines = [following[number] for number in sorted(following)]
        for line, channel in zip(lines, self.o, strict=True):
            wiring.connect(m, line, wiring.flipped(channel))
        return m

    def _wait(self, m: Module, line: Any, *, name: str) -> stream.Interface:
        m.submodules[name] = queue = Queue(shape=routed_layout(), depth=self._depth)
        wiring.connect(m, line, queue.i)
        return queue.o
