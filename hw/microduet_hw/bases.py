"""Where each memory channel's buffer begins on the card: registers in front of an engine's own, and sums."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import ADDRESS_BITS as CHANNEL_BITS
from microduet_hw.axi import PAGE_BYTES, LiteMaster
from microduet_hw.config import EngineConfig
from microduet_hw.registers import ADDRESS_BITS

BASE_START = 1 << ADDRESS_BITS - 1
"""Byte address of the first base; everything below is the engine's."""

CARD_BITS = 64
"""Bits of a byte address on the card: what Vitis wants of every AXI4 master (UG1700, "Packaging the RTL Code")."""

PAGE_LOG2 = PAGE_BYTES.bit_length() - 1


def base_map(config: EngineConfig) -> dict[str, int]:
    """Byte address of each channel's base by name: a low word and, 4 bytes on, a high one."""
    return {f"channel_{source:02}_base": BASE_START + 8 * k for k, source in enumerate(config.channels)}


def card_address(base: Value, address: Value) -> Value:
    """The byte address on the card of `address` in a channel: the base's lowest 12 bits count as zero."""
    low, high = address[:PAGE_LOG2], address[PAGE_LOG2:CHANNEL_BITS]
    return Cat(low, (base[PAGE_LOG2:] + high)[: CARD_BITS - PAGE_LOG2])


class BaseRegisters(wiring.Component):
    """Registers for the bases of memory channels; all else of the address space is passed on.

    Latency: none for what is passed on. A base's read answers one cycle after its address, a write one cycle after
    address and data.
    Throughput: of bases, a read and a write every other cycle.
    Back-pressure: one answer of each kind is kept until it is taken; answers keep the order of what asked for them.
    Reset: every base is 0.
    A base may be written only while no read of memory is under way: it is read in another clock domain.

    Parameters
    ----------
    channels : how many

    Members
    -------
    s_axi_control, m_axi_control : AXI4-Lite; whoever answers `m_axi_control` keeps at most one answer of each kind, and
        takes nothing while it does
    o_bases : byte addresses, 64 bits each

    Raises
    ------
    ValueError
        If the bases do not fit into the address space.
    """

    s_axi_control: Any
    m_axi_control: Any
    o_bases: data.View

    def __init__(self, *, channels: int) -> None:
        most = BASE_START // 8
        if not 0 <= channels <= most:
            raise ValueError(f"channels must be 0 to {most}, not {channels!r}")
        self._channels = channels
        control = LiteMaster(address_bits=ADDRESS_BITS)
        # At least one: Verilog has no empty vectors.
        bases = data.ArrayLayout(unsigned(CARD_BITS), max(1, channels))
        super().__init__({"s_axi_control": In(control), "m_axi_control": Out(control), "o_bases": Out(bases)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = Array(Signal(32, name=f"word_{k}") for k in range(2 * self._channels))
        m.d.comb += Value.cast(self.o_bases).eq(Cat(*words))
        self._write(m, words)
        self._read(m, words)
        return m

    def _write(self, m: Module, words: Array) -> None:
        bus, inner = self.s_axi_control, self.m_axi_control
        own, answering = bus.awaddr[-1], Signal()
        taken = bus.awvalid & bus.wvalid & own & ~answering & ~inner.bvalid
        passed = ~own & ~answering
        for name in ("awaddr", "wdata", "wstrb"):
            m.d.comb += getattr(inner, name).eq(getattr(bus, name))
        m.d.comb += [
            # The engine takes address and data together.
            inner.awvalid.eq(bus.awvalid & bus.wvalid & passed),
            inner.wvalid.eq(bus.awvalid & bus.wvalid & passed),
            bus.awready.eq(taken | (inner.awvalid & inner.awready)),
            bus.wready.eq(taken | (inner.awvalid & inner.awready)),
            bus.bvalid.eq(answering | inner.bvalid),
            bus.bresp.eq(Mux(answering, 0, inner.bresp)),
            inner.bready.eq(bus.bready & ~answering),
        ]
        with m.If(answering & bus.bready):
            m.d.sync += answering.eq(0)
        with m.If(taken):
            m.d.sync += answering.eq(1)
            number = bus.awaddr[2:-1]
            with m.If(bus.wstrb.all() & (number < len(words))):
                m.d.sync += words[number].eq(bus.wdata)

    def _read(self, m: Module, words: Array) -> None:
        bus, inner = self.s_axi_control, self.m_axi_control
        own, answering, word = bus.araddr[-1], Signal(), Signal(32)
        taken = bus.arvalid & own & ~answering & ~inner.rvalid
        m.d.comb += [
            inner.araddr.eq(bus.araddr),
            inner.arvalid.eq(bus.arvalid & ~own & ~answering),
            bus.arready.eq(taken | (inner.arvalid & inner.arready)),
            bus.rvalid.eq(answering | inner.rvalid),
            bus.rdata.eq(Mux(answering, word, inner.rdata)),
            bus.rresp.eq(Mux(answering, 0, inner.rresp)),
            inner.rready.eq(bus.rready & ~answering),
        ]
        with m.If(answering & bus.rready):
            m.d.sync += answering.eq(0)
        with m.If(taken):
            number = bus.araddr[2:-1]
            m.d.sync += [answering.eq(1), word.eq(0)]
            with m.If(number < len(words)):
                m.d.sync += word.eq(words[number])
