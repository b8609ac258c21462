"""Where two ways of indices meet, in the butterfly that leads indices to their channels."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.layouts import routed_layout


class Merger(wiring.Component):
    """Makes one stream of two: rows as they come, a token once both inputs have one.

    What comes behind a token at an input leaves behind it.

    Latency: none: it is in the way between registers.
    Throughput: a row or a token per cycle; of two rows the one that waited goes first.
    Back-pressure: what does not leave waits, and all that is behind it at its input.
    Reset: the first input's row goes first.

    Members
    -------
    i : two streams of rows and tokens
    o : one
    """

    i: list[stream.Interface]
    o: stream.Interface

    def __init__(self) -> None:
        routed = stream.Signature(routed_layout())
        super().__init__({"i": In(routed).array(2), "o": Out(routed)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = [head.valid & ~head.p.token for head in self.i]
        tokens, second, preferred = Signal(), Signal(), Signal()
        m.d.comb += [
            tokens.eq(self.i[0].valid & self.i[0].p.token & self.i[1].valid & self.i[1].p.token),
            second.eq(rows[1] & (preferred | ~rows[0])),
            self.o.valid.eq(rows[0] | rows[1] | tokens),
            self.o.payload.eq(Mux(second, self.i[1].payload, self.i[0].payload)),
            self.o.p.token.eq(tokens),
            self.i[0].ready.eq(self.o.ready & (tokens | (rows[0] & ~second))),
            self.i[1].ready.eq(self.o.ready & (tokens | second)),
        ]
        # What was offered and not taken stays preferred, or the offer would change.
        with m.If(rows[0] | rows[1]):
            m.d.mem += preferred.eq(second ^ self.o.ready)
        return m
