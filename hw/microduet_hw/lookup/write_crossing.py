"""Brings words for the on-chip banks from the engine's clock to the memory side's."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.bits import bit, mask
from microduet_hw.lookup.layouts import sourced_write_layout


class WriteCrossing(wiring.Component):
    """Carries writes from domain sync to domain mem, so that a bank has one clock and may be UltraRAM.

    Latency: three to four cycles of mem.
    Throughput: one write per cycle of sync.
    Back-pressure: none: the clock of mem must be at least as fast as that of sync.
    Reset: both domains together; no write may be under way.

    Parameters
    ----------
    checked : whether words have check words

    Members
    -------
    i : stream of writes, always ready (sync)
    o : stream of writes, always ready (mem)
    """

    PLACES = 4
    """Writes under way: each stands still for as many cycles of sync."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, checked: bool = False) -> None:
        writes = stream.Signature(sourced_write_layout(checked=checked), always_ready=True)
        super().__init__({"i": In(writes), "o": Out(writes)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = Array(Signal(self.i.p.shape(), reset_less=True, name=f"place_{k}") for k in range(self.PLACES))
        sent, taken, arrived = Signal(self.PLACES), Signal(self.PLACES), Signal(self.PLACES)
        last_in, last_out = Signal(range(self.PLACES)), Signal(range(self.PLACES))
        m.submodules.flags = FFSynchronizer(sent, arrived, o_domain="mem")
        with m.If(self.i.valid):
            m.d.sync += [
                places[last_in].eq(self.i.payload),
                sent.eq(sent ^ mask(self.PLACES, last_in)),
                last_in.eq(last_in + 1),
            ]
        m.d.comb += [
            self.o.valid.eq(bit(arrived ^ taken, last_out)),
            self.o.payload.eq(places[last_out]),
        ]
        with m.If(self.o.valid):
            m.d.mem += [
                taken.eq(taken ^ mask(self.PLACES, last_out)),
                last_out.eq(last_out + 1),
            ]
        return m
