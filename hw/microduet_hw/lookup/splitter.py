"""Where the way of an index forks, in the butterfly that leads indices to their channels."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.layouts import routed_layout


class Splitter(wiring.Component):
    """Sends rows to the output that one bit of their index says, and a token to both.

    Latency: none: it is in the way between registers.
    Throughput: a row or a token per cycle.
    Back-pressure: what an output does not take waits, and all that is behind it.
    Reset: no token is half given.

    Parameters
    ----------
    bit : of the index

    Members
    -------
    i : stream of rows and tokens
    o : the same for either value of the bit

    Attributes
    ----------
    given : outputs that have the token that waits at the input
    """

    i: stream.Interface
    o: list[stream.Interface]

    def __init__(self, *, bit: int) -> None:
        self._bit = bit
        self.given = Signal(2)
        routed = stream.Signature(routed_layout())
        super().__init__({"i": In(routed), "o": Out(routed).array(2)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head, accepted, passed = self.i, Cat(out.ready for out in self.o), Signal()
        token, way_1 = head.valid & head.p.token, head.p.index[self._bit]
        m.d.comb += [
            passed.eq((self.given | accepted).all()),
            head.ready.eq(Mux(head.p.token, passed, Mux(way_1, self.o[1].ready, self.o[0].ready))),
        ]
        with m.If(token):
            m.d.mem += self.given.eq(Mux(passed, 0, self.given | accepted))
        for way, out in enumerate(self.o):
            row = head.valid & ~head.p.token & (way_1 == way)
            m.d.comb += [out.valid.eq(row | (token & ~self.given[way])), out.payload.eq(head.payload)]
        return m
