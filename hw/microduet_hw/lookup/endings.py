"""Puts the end of a feature on the last of its rows in a channel."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.geometry import WORD_BITS
from microduet_hw.lookup.layouts import lookup_layout, routed_layout


class Endings(wiring.Component):
    """Turns rows with a token behind each feature's into lookups of which the last of a feature says so.

    A feature without a row gives one `empty` lookup. So a token costs a channel nothing where there is a row.

    Latency: none, but a row waits until it is known what comes behind it.
    Throughput: one row or token per cycle.
    Back-pressure: as `o`; one row is taken ahead.
    Reset: before a feature.

    Members
    -------
    i : stream of rows and tokens
    o : stream of lookups

    Attributes
    ----------
    held, index : a row waits, and which
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self) -> None:
        self.held, self.index = Signal(), Signal(WORD_BITS, reset_less=True)
        super().__init__(
            {"i": In(stream.Signature(routed_layout())), "o": Out(stream.Signature(lookup_layout(marked=True)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held, index = self.held, self.index
        m.d.comb += [
            self.o.valid.eq(self.i.valid & (held | self.i.p.token)),
            self.o.p.index.eq(index),
            self.o.p.empty.eq(~held),
            self.o.p.last.eq(self.i.p.token),
            self.i.ready.eq(self.o.ready | ~(held | self.i.p.token)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.mem += [held.eq(~self.i.p.token), index.eq(self.i.p.index)]
        return m
