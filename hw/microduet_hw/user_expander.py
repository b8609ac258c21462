"""Gives user vectors that come without their zeros those zeros back."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import StreamMaster
from microduet_hw.code_reader import CodeReader
from microduet_hw.user_code import GROUP, code_groups
from microduet_hw.user_packets import USER, USER_BITS, USER_BYTES, UserKind

PER_BEAT = USER_BYTES // GROUP
"""Groups of a beat of a vector."""


class UserExpander(wiring.Component):
    """Hands user packets on, those with a coded vector (`UserKind.CODED`) as packets of the vector itself.

    Bytes of a code that do not come count as 0. A packet that has more or fewer beats than its code, or whose last mask
    has bits for elements that there are not, is handed on with its last beat twice: whoever takes it finds the length
    wrong. Of a coded vector that has no beat the header is handed on alone.

    Latency: none for packets that are not coded, and for headers; a coded vector's last beat is offered `latency`
    cycles after the first beat of its code was taken.
    Throughput: a beat per cycle, of a coded vector `GROUP` elements per cycle.
    Back-pressure: that of the output; of a code, two beats are held at most.
    Reset: no packet has begun.

    Parameters
    ----------
    length : bytes of a user vector

    Members
    -------
    s_axis_users : AXI4-Stream of user packets; its tready does not follow its other signals within a cycle
    m_axis_users : AXI4-Stream of user packets, none of them coded

    Attributes
    ----------
    latency : cycles, if nothing waits
    """

    s_axis_users: Any
    m_axis_users: Any

    def __init__(self, *, length: int) -> None:
        self._reader = CodeReader(length=length, size=USER_BYTES)
        self.latency = 1 + code_groups(length)
        users = StreamMaster(bits=USER_BITS)
        super().__init__({"s_axis_users": In(users), "m_axis_users": Out(users)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = self._reader
        source, sink = self.s_axis_users, self.m_axis_users
        begun, expands, coded, taken = Signal(), Signal(), Signal(), Signal()
        # A beat of the vector, and whether it is offered, as the packet's last one.
        vector, offered, last = Signal(USER_BITS), Signal(), Signal()
        kind = slice(USER["kind"].offset, USER["kind"].offset + USER["kind"].width)
        m.d.comb += [
            coded.eq(~begun & (source.tdata[kind] == UserKind.CODED)),
            taken.eq(source.tvalid & source.tready),
            reader.i.p.data.eq(source.tdata),
            reader.i.p.last.eq(source.tlast),
            # What comes behind a code waits until the vector has left.
            reader.i.valid.eq(source.tvalid & expands & begun),
            source.tready.eq(Mux(expands, reader.i.ready & begun, sink.tready)),
            sink.tvalid.eq(Mux(expands, offered, source.tvalid)),
            sink.tlast.eq(Mux(expands, last, source.tlast)),
            sink.tdata.eq(Mux(expands, vector, source.tdata)),
        ]
        with m.If(~expands & coded):
            m.d.comb += sink.tdata[kind].eq(UserKind.VECTOR)
        with m.If(taken):
            m.d.sync += begun.eq(~source.tlast)
            with m.If(~expands):
                m.d.sync += expands.eq(coded & ~source.tlast)
        self._gather(m, vector, offered=offered, last=last, ended=~begun)
        with m.If(expands & offered & last & sink.tready):
            m.d.sync += expands.eq(0)
        return m

    def _gather(self, m: Module, vector: Signal, *, offered: Signal, last: Signal, ended: Value) -> None:
        """Groups side by side in beats; the last one is offered again if there is something wrong."""
        groups, ready = self._reader.o, self.m_axis_users.tready
        place, again = Signal(range(PER_BEAT)), Signal()
        m.d.comb += groups.ready.eq(~offered | ready)
        with m.If(offered & ready):
            m.d.sync += offered.eq(0)
        with m.If(groups.valid & groups.ready):
            m.d.sync += [
                place.eq(Mux(groups.p.final, 0, place + 1)),
                offered.eq(groups.p.final | (place == PER_BEAT - 1)),
                last.eq(groups.p.final & ~groups.p.wrong),
                again.eq(groups.p.wrong),
            ]
            with m.Switch(place):
                with m.Case(0):
                    m.d.sync += vector.eq(groups.p.elements)
                for k in range(1, PER_BEAT):
                    with m.Case(k):
                        m.d.sync += vector.word_select(k, 8 * GROUP).eq(groups.p.elements)
        with m.Elif(again & ended & (~offered | ready)):
            m.d.sync += [offered.eq(1), last.eq(1), again.eq(0)]
