"""Acts on messages, one after the other: starts what each asks for, and records its answer."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.edge.answers import RECORD
from microduet_hw.edge.memo import TAG_BITS
from microduet_hw.edge.message import HEADER, EdgeStatus, Kind, flag


class Dispatcher(wiring.Component):
    """Takes messages from a message buffer in their order; each has been acted on before the next one is looked at.

    Latency: what a message asks for is started in the cycle in which it is there, if nothing has to be waited for.
    Throughput: two cycles per message, and for one that starts something, a cycle and those in which that is busy; a
    query is over when its context and its sums have been read, so that clicks follow while it is computed.
    Back-pressure: a message waits for what it needs: a query for the vector before it and for the memoisation
    register's first value, a fence for the register, an answer for room among the records.
    Reset: waits for a message.

    Parameters
    ----------
    statics : whether the model has a static bottom MLP

    Members
    -------
    i_valid, i_header, i_status, o_release : of the message buffer
    o_kind, o_group : the message's
    o_history, i_history_busy, i_mismatch : start of a history's command; one is on; its verdict
    o_static, i_static_busy : start of the words of static inputs; they are on their way
    o_query, i_query_busy : start of a query's reading; context or sums are still read
    i_query_ready : places for a query's vectors, and the vector before it is complete
    i_memo_valid, i_memo_updating, i_memo_tag, i_memo_status : of the memoisation register and its weights
    o_records : stream of `RECORD`
    o_acted : a message's effect is complete
    """

    i_valid: Signal
    i_header: data.View
    i_status: Signal
    o_release: Signal
    o_kind: Signal
    o_group: Signal
    o_history: Signal
    i_history_busy: Signal
    i_mismatch: Signal
    o_static: Signal
    i_static_busy: Signal
    o_query: Signal
    i_query_busy: Signal
    i_query_ready: Signal
    i_memo_valid: Signal
    i_memo_updating: Signal
    i_memo_tag: Signal
    i_memo_status: Signal
    o_records: stream.Interface
    o_acted: Signal

    def __init__(self, *, statics: bool) -> None:
        self._statics = statics
        super().__init__(
            {
                "i_valid": In(1),
                "i_header": In(HEADER),
                "i_status": In(16),
                "o_release": Out(1),
                "o_kind": Out(8),
                "o_group": Out(8),
                "o_history": Out(1),
                "i_history_busy": In(1),
                "i_mismatch": In(1),
                "o_static": Out(1),
                "i_static_busy": In(1),
                "o_query": Out(1),
                "i_query_busy": In(1),
                "i_query_ready": In(1),
                "i_memo_valid": In(1),
                "i_memo_updating": In(1),
                "i_memo_tag": In(TAG_BITS),
                "i_memo_status": In(16),
                "o_records": Out(stream.Signature(RECORD)),
                "o_acted": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        header, kind = self.i_header, self.i_header.kind
        status, payload, statics = Signal(16), Signal(), Signal(TAG_BITS)
        missing = Value.cast(self._statics & ~self.i_memo_valid)
        with m.FSM() as states:
            with m.State("START"), m.If(self.i_valid):
                m.d.sync += [status.eq(self.i_status), payload.eq(0), statics.eq(self.i_memo_tag)]
                with m.If(self.i_status != 0):
                    m.next = "ANSWER"
                with m.Elif(kind == Kind.FENCE), m.If(~self.i_memo_updating):
                    m.d.sync += status.eq(self.i_memo_status)
                    m.next = "ANSWER"
                with m.Elif(kind == Kind.STATIC):
                    m.d.comb += self.o_static.eq(1)
                    m.next = "STATIC"
                with m.Elif((kind == Kind.QUERY) & missing), m.If(~self.i_memo_updating):
                    m.d.sync += status.eq(flag(EdgeStatus.MEMO_INVALID))
                    m.next = "ANSWER"
                with m.Elif(kind == Kind.QUERY), m.If(self.i_query_ready):
                    m.d.comb += self.o_query.eq(1)
                    m.d.sync += payload.eq(1)
                    m.next = "QUERY"
                with m.Else():
                    m.d.comb += self.o_history.eq(1)
                    m.next = "HISTORY"
            with m.State("STATIC"), m.If(~self.i_static_busy):
                m.next = "ANSWER"
            with m.State("QUERY"), m.If(~self.i_query_busy):
                m.next = "ANSWER"
            with m.State("HISTORY"), m.If(~self.i_history_busy):
                with m.If((kind == Kind.CHECK) & self.i_mismatch):
                    m.d.sync += status.eq(flag(EdgeStatus.SUM_MISMATCH))
                m.next = "ANSWER"
            with m.State("ANSWER"), m.If(self.o_records.ready):
                m.next = "START"
        m.d.comb += [
            self.o_kind.eq(kind),
            self.o_group.eq(header.group),
            self.o_records.valid.eq(states.ongoing("ANSWER")),
            self.o_records.p.tag.eq(header.tag),
            self.o_records.p.status.eq(status),
            self.o_records.p.kind.eq(kind),
            self.o_records.p.statics.eq(statics),
            self.o_records.p.payload.eq(payload),
            self.o_acted.eq(self.o_records.valid & self.o_records.ready),
            self.o_release.eq(self.o_acted),
        ]
        return m
