"""Takes item packets: as many beats per item as it should have, whatever the packet's length."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import StreamMaster
from microduet_hw.lookup.geometry import ITEM_BITS
from microduet_hw.lookup.layouts import beat_layout, packet_layout
from microduet_hw.status import QUERY


class PacketIntake(wiring.Component):
    """Turns packets into items of `beats` beats: early ends are filled with `bad` beats, excess beats are dropped.

    A packet that has begun and brings no beat for `watchdog` cycles is given up: its item ends as after an early end,
    but with TIMEOUT. What of the packet comes after all, up to its TLAST, is dropped before another item begins; a host
    that has lost its place sends a TLAST, or resets.

    Latency: none; a beat goes through in the cycle in which it is taken. A packet is given up in the cycle behind the
    last of `watchdog` without a beat.
    Throughput: a beat per cycle; an item begins at the earliest two cycles after the one before was dealt out.
    Back-pressure: takes an item only while `i_run`, `i_free` and the limit allow it.
    Reset: between items.

    Parameters
    ----------
    beats : beats of a right packet
    watchdog : cycles in which a packet that has begun may bring nothing
    slots : queries in flight; 0 without users: word 1 is then no `QUERY`

    Members
    -------
    s_axis_items : item packets (docs/architecture.md)
    i_run, i_limit : items are taken while `i_run`; at most `i_limit` since its rising edge, 0 for no limit
    i_free : there is a slot for one more item
    o_beats : stream of the items' beats
    o_start : an item begins; its first beat is on `o_beats`
    i_dealt : all that `o_beats` brought for this item has been used
    o_packet : one transfer per item, once it is dealt out and all of its packet has come; a slot that there is not
        becomes the last one, and without users the query is 0

    Raises
    ------
    ValueError
        If `beats` is less than 1, `watchdog` less than 1, or `slots` less than 0 or more than 64.
    """

    s_axis_items: Any
    i_run: Signal
    i_limit: Signal
    i_free: Signal
    o_beats: stream.Interface
    o_start: Signal
    i_dealt: Signal
    o_packet: stream.Interface

    def __init__(self, *, beats: int, watchdog: int, slots: int = 0) -> None:
        if beats < 1:
            raise ValueError(f"beats must be at least 1, not {beats!r}")
        if watchdog < 1:
            raise ValueError(f"watchdog must be at least 1, not {watchdog!r}")
        if not 0 <= slots <= 64:
            raise ValueError(f"slots must be 0 to 64, not {slots!r}")
        self._beats = beats
        self._watchdog = watchdog
        self._slots = slots
        super().__init__(
            {
                "s_axis_items": In(StreamMaster(bits=ITEM_BITS)),
                "i_run": In(1),
                "i_limit": In(32),
                "i_free": In(1),
                "o_beats": Out(stream.Signature(beat_layout())),
                "o_start": Out(1),
                "i_dealt": In(1),
                "o_packet": Out(stream.Signature(packet_layout(), always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port, beats = self.s_axis_items, self.o_beats
        ended, dealt, late, inside = Signal(), Signal(), Signal(), Signal()
        number = Signal(range(max(2, self._beats)))
        packet = Signal(packet_layout(), reset_less=True)
        passed, offered = Signal(), Signal()
        m.d.mem += offered.eq(beats.valid & ~beats.ready)
        m.d.comb += [
            beats.p.data.eq(port.tdata),
            passed.eq(beats.valid & beats.ready),
            self.o_packet.payload.eq(packet),
        ]
        expired = self._expired(m, inside & ~port.tvalid & ~ended)
        with m.If(port.tvalid & port.tready):
            m.d.mem += [ended.eq(port.tlast), late.eq(late & ~port.tlast)]
        with m.Elif(expired):
            m.d.mem += [ended.eq(1), late.eq(1), packet.flags[2].eq(1)]
        with m.If(self.i_dealt):
            m.d.mem += dealt.eq(1)
        with m.If(passed):
            m.d.mem += number.eq(number + 1)
        may = self._open(m) | offered  # what is offered is not taken back when `i_run` falls
        following = "beats" if self._beats > 1 else "close"
        with m.FSM(domain="mem"):
            with m.State("idle"):
                m.d.comb += [beats.valid.eq(port.tvalid & may & ~late), port.tready.eq((beats.ready & may) | late)]
                with m.If(passed):
                    m.d.comb += self.o_start.eq(1)
                    m.d.mem += [packet.tag.eq(port.tdata[:32]), packet.flags.eq(0)]
                    if self._slots:
                        m.d.mem += packet.query.eq(self._query())
                    m.next = following
            with m.State("beats"):
                m.d.comb += [
                    inside.eq(1),
                    beats.valid.eq(port.tvalid | ended),
                    beats.p.bad.eq(ended),
                    port.tready.eq(beats.ready & ~ended),
                ]
                with m.If(passed):
                    m.d.mem += packet.flags[0].eq(ended & ~late)
                    with m.If(number == self._beats - 1):
                        m.next = "close"
            with m.State("close"):
                m.d.comb += [inside.eq(1), port.tready.eq(~ended), self.o_packet.valid.eq(ended & dealt)]
                with m.If(port.tvalid & port.tready):
                    m.d.mem += packet.flags[1].eq(1)
                with m.If(self.o_packet.valid):
                    m.d.mem += [number.eq(0), dealt.eq(0)]
                    m.next = "idle"
        return m

    def _expired(self, m: Module, waiting: Value) -> Value:
        """Whether this is the last of as many cycles of waiting as there may be."""
        waited = Signal(range(max(2, self._watchdog)))
        m.d.mem += waited.eq(Mux(waiting, waited + 1, 0))
        return waiting & (waited == self._watchdog - 1)

    def _query(self) -> Value:
        """The query of the first beat."""
        query = data.View(QUERY, self.s_axis_items.tdata[32 : 32 + QUERY.size])
        # A slot beyond the last would be a place in another one's memory.
        slot = Mux(query.slot < self._slots, query.slot, self._slots - 1)[: len(query.slot)]
        return Cat(query.number, slot, query.scores, query.last)

    def _open(self, m: Module) -> Value:
        """Whether an item may begin. The limit is compared a cycle late: items are further apart than that."""
        running, exhausted = Signal(), Signal()
        count = Signal(32)
        m.d.mem += running.eq(self.i_run)
        with m.If(self.i_run & ~running):
            m.d.mem += [count.eq(0), exhausted.eq(0)]
        with m.Else():
            with m.If(self.o_start):
                m.d.mem += count.eq(count + 1)
            m.d.mem += exhausted.eq((count == self.i_limit) & (self.i_limit != 0))
        return self.i_run & running & ~exhausted & self.i_free
