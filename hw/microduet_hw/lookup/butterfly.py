"""Leads indices from a few lanes to the memory channels that hold their rows."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.layouts import routed_layout
from microduet_hw.lookup.merger import Merger
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.splitter import Splitter


class Butterfly(wiring.Component):
    """Leads rows from any lane to the channel that the lowest bits of their index name, and a token, once every lane
    has one, to every channel: behind all rows that came before it in their lanes, before all that came after.

    Rows of one lane and channel keep their order; those of different lanes come as they come.

    Latency: `latency` cycles when empty.
    Throughput: a row per lane and cycle if no two meet; two that meet go in turn, and hold up none of another way.
    Back-pressure: a channel that takes nothing stops, in time, all lanes.
    Reset: empty.

    Parameters
    ----------
    lanes, channels : powers of two, not more lanes than channels
    depth : rows and tokens that wait on each of a splitter's ways, as in `Queue`; as many as a memory of look-up
        tables has

    Members
    -------
    i : per lane, a stream of rows and tokens
    o : per channel, the same

    A stage for each bit, from the lowest: every line is split by it, and of two lines that differ in no other, ways
    with the same value of it are merged.

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
            following: dict[int, Any] = {}
            for number, line in enumerate(lines):
                for way, waiting in enumerate(self._split(m, line, bit=bit, number=number)):
                    to = number & ~(1 << bit) | way << bit
                    before = following.get(to)
                    following[to] = waiting if before is None else self._merge(m, before, waiting, name=f"{bit}_{to}")
            lines = [following[number] for number in sorted(following)]
        for line, channel in zip(lines, self.o, strict=True):
            wiring.connect(m, line, wiring.flipped(channel))
        return m

    def _split(self, m: Module, line: Any, *, bit: int, number: int) -> list[stream.Interface]:
        """Both ways of a line, a queue in each."""
        m.submodules[f"splitter_{bit}_{number}"] = splitter = Splitter(bit=bit)
        wiring.connect(m, line, splitter.i)
        queues = [Queue(shape=routed_layout(), depth=self._depth) for _ in splitter.o]
        for way, queue in enumerate(queues):
            m.submodules[f"queue_{bit}_{number}_{way}"] = queue
            wiring.connect(m, splitter.o[way], queue.i)
        return [queue.o for queue in queues]

    def _merge(self, m: Module, first: Any, second: Any, *, name: str) -> stream.Interface:
        m.submodules[f"merger_{name}"] = merger = Merger()
        wiring.connect(m, first, merger.i[0])
        wiring.connect(m, second, merger.i[1])
        return merger.o
