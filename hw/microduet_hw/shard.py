"""The lookups of one card of several: its share of every item's vector leaves for the card that computes the item."""

from typing import Any, Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out

from microduet_hw.activation import word_layout
from microduet_hw.axi import LiteMaster, ReadMaster, StreamMaster
from microduet_hw.config import EngineConfig, Layer
from microduet_hw.loader import BEAT as LOAD_BEAT
from microduet_hw.loader import Loader, Target
from microduet_hw.lookup.geometry import ITEM_BITS
from microduet_hw.lookup.layouts import bank_word_bits
from microduet_hw.lookup.unit import LookupUnit, port_name
from microduet_hw.registers import ADDRESS_BITS, ControlRegisters
from microduet_hw.status import HEADER

LINK_BITS = 512
"""Width of a beat between cards: as wide as a beat of an item packet, whose beats the shares become."""
VECTORS = 4
"""Shares that wait for the link before no more vectors start."""


class ShardConfig(EngineConfig, frozen=True, kw_only=True, tag="shard"):
    """The tables that lie on one card of several; it has no arrays, and its output layer is never built."""

    @classmethod
    def of(cls, config: EngineConfig) -> Self:
        """The lookups of an engine without hidden layers; ValueError if it has any, or users or dense elements."""
        if config.hidden or config.user or config.dense:
            raise ValueError(f"{config.name}: a card's share is of looked-up features alone")
        return cls(**{name: getattr(config, name) for name in EngineConfig.__struct_fields__})

    @property
    def input_lanes(self) -> int:
        """Elements of one beat of the link."""
        return LINK_BITS // self.precision.width

    @property
    def words(self) -> int:
        """Beats of a share, its header not counted."""
        return -(-self.vector_elements // self.input_lanes)


def share_output(elements: int) -> Layer:
    """The output layer of a share's configuration: nothing computes it."""
    return Layer(inputs=elements, outputs=1, relu=False)


class ShareStage(Component):
    """Makes packets of vectors: a beat with the header, then the words.

    Latency: one cycle.
    Throughput: a beat per cycle.
    Back-pressure: a vector starts when a place for all of it is free.
    Reset: empty.

    Parameters
    ----------
    words : beats of a vector

    Members
    -------
    i_words : words of a vector, one per cycle
    i_header : the header of the vector that starts
    i_reserve, o_space : a vector starts; there is a place for one
    o_return : pulses for each packet that has left
    m_axis_results : AXI4-Stream of packets
    """

    i_words: stream.Interface
    i_header: stream.Interface
    i_reserve: Signal
    o_space: Signal
    o_return: Signal
    m_axis_results: Any

    def __init__(self, *, words: int) -> None:
        if words < 1:
            raise ValueError(f"words must be at least 1, not {words!r}")
        self._words = words
        super().__init__(
            {
                "i_words": In(stream.Signature(word_layout(LINK_BITS), always_ready=True)),
                "i_header": In(stream.Signature(HEADER)),
                "i_reserve": In(1),
                "o_space": Out(1),
                "o_return": Out(1),
                "m_axis_results": Out(StreamMaster(bits=LINK_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = word_layout(LINK_BITS)
        m.submodules.headers = headers = SyncFIFO(width=HEADER.size, depth=VECTORS)
        m.submodules.words = words = SyncFIFO(width=layout.size, depth=VECTORS * self._words)
        word = data.View(layout, words.r_data)
        body, used = Signal(), Signal(range(VECTORS + 1))
        out = self.m_axis_results
        taken = Signal()
        m.d.comb += [
            words.w_data.eq(Value.cast(self.i_words.payload)),
            words.w_en.eq(self.i_words.valid),
            headers.w_data.eq(Value.cast(self.i_header.payload)),
            headers.w_en.eq(self.i_header.valid),
            self.i_header.ready.eq(headers.w_rdy),
            out.tvalid.eq(headers.r_rdy & words.r_rdy),
            out.tdata.eq(Mux(body, word.data, headers.r_data)),
            out.tlast.eq(body & word.last),
            taken.eq(out.tvalid & out.tready),
            words.r_en.eq(taken & body),
            self.o_return.eq(taken & out.tlast),
            headers.r_en.eq(self.o_return),
            self.o_space.eq(used != VECTORS),
        ]
        m.d.sync += used.eq(used + Mux(self.i_reserve, 1, 0) - Mux(self.o_return, 1, 0))
        with m.If(taken):
            m.d.sync += body.eq(~out.tlast)
        return m


def outside(config: ShardConfig) -> dict[str, wiring.Member]:
    """Members that the unit shows to the world."""
    return {
        "s_axi_control": In(LiteMaster(address_bits=ADDRESS_BITS)),
        "s_axis_items": In(StreamMaster(bits=ITEM_BITS)),
        "s_axis_load": In(StreamMaster(bits=LOAD_BEAT.size)),
        "m_axis_results": Out(StreamMaster(bits=LINK_BITS)),
        **{port_name(source): Out(ReadMaster()) for source in config.channels},
        "interrupt": Out(1),
        "probe_vector": Out(1),
    }


class ShardUnit(Component):
    """Looks up one card's features of every item and sends them on as packets, in the items' order.

    Domains: `sync` for control, loads and packets; `mem` for item packets and memory channels.

    Latency: `LookupUnit`'s and `ShareStage`'s.
    Throughput: `LookupUnit`'s, at most a packet per `config.words` + 1 cycles.
    Back-pressure: packets that are not taken hold up items; load beats wait until no run is on.
    Reset: both domains together, while no read is in flight. No item and no run; on-chip tables stay.

    Parameters
    ----------
    config : the card's tables

    Members
    -------
    Those of `outside`: as an engine's, but that `m_axis_results` carries packets of a header and `config.words` words.
    """

    s_axi_control: Any
    s_axis_items: Any
    s_axis_load: Any
    m_axis_results: Any
    interrupt: Signal
    probe_vector: Signal

    def __init__(self, *, config: ShardConfig) -> None:
        self._config = config
        super().__init__(outside(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.lookup = lookup = LookupUnit(config=self._config)
        m.submodules.share = share = ShareStage(words=self._config.words)
        m.submodules.registers = registers = ControlRegisters(config=self._config)
        m.submodules.loader = loader = Loader(word_bits=bank_word_bits(checked=self._config.row_check))
        m.submodules.run_sync = FFSynchronizer(registers.o_run, lookup.i_run, o_domain="mem")
        flipped, connect = wiring.flipped, wiring.connect
        connect(m, flipped(self.s_axis_items), lookup.s_axis_items)
        connect(m, flipped(self.s_axis_load), loader.s_axis_load)
        connect(m, flipped(self.s_axi_control), registers.s_axi_control)
        connect(m, share.m_axis_results, flipped(self.m_axis_results))
        for source in self._config.channels:
            connect(m, getattr(lookup, port_name(source)), flipped(getattr(self, port_name(source))))
        connect(m, lookup.o_words, share.i_words)
        connect(m, lookup.o_header, share.i_header)
        blocked = self.m_axis_results.tvalid & ~self.m_axis_results.tready
        m.d.comb += [
            loader.i_idle.eq(~registers.o_run),
            registers.i_loaded.eq(loader.o_check),
            lookup.i_space.eq(share.o_space),
            share.i_reserve.eq(lookup.o_reserve),
            lookup.i_limit.eq(registers.o_items),
            lookup.write_valid.eq(loader.o_valid[Target.ONCHIP]),
            lookup.write_source.eq(loader.o_unit),
            lookup.write_row.eq(loader.o_row),
            lookup.write_data.eq(loader.o_data),
            registers.i_result.eq(share.o_return),
            registers.i_events.eq(Cat(Const(1), lookup.o_reserve, share.o_return, blocked)),
            registers.i_reads.eq(lookup.o_reads),
            registers.i_stalls.eq(lookup.o_stalls),
            registers.i_strays.eq(lookup.o_strays),
            self.interrupt.eq(registers.interrupt),
            self.probe_vector.eq(lookup.o_complete),
        ]
        return m
