"""Answers messages in their order: a header, and behind it a query's payload."""

import math
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from microduet_hw.activation import ActivationBuffer, word_layout
from microduet_hw.axi import StreamMaster
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.memo import TAG_BITS
from microduet_hw.edge.message import ANSWER, ANSWER_BITS, CONSTANTS

WAITING = 8
"""Answers that wait for a query's payload before theirs."""

RECORD = data.StructLayout(
    {
        "tag": unsigned(32),
        "status": unsigned(16),
        "kind": unsigned(8),
        "statics": unsigned(TAG_BITS),
        "payload": unsigned(1),
    }
)
"""What is known of an answer when its message has been acted on; `payload`: a user vector belongs to it."""


class AnswerSender(wiring.Component):
    """Sends answers, in the order of their records.

    Latency: a record's header is on the port two cycles after it came, if no answer is before it; a query's one cycle
    after its payload's last word, at the earliest.
    Throughput: a beat per cycle.
    Back-pressure: records wait in a queue of `WAITING`; `o_space` as `ActivationBuffer`.
    Reset: nothing to be sent.

    Parameters
    ----------
    config : of the edge unit

    Members
    -------
    i_records : stream of `RECORD`
    i_words, i_reserve, o_space : of payloads, as `ActivationBuffer`
    i_constants : of the model
    i_status : flags that every payload's answer has besides its own, as they are in the cycle before it begins
    m_axis_results : AXI4-Stream of answers
    o_sent : the last beat of an answer was taken
    """

    i_records: stream.Interface
    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    i_constants: data.View
    i_status: Signal
    m_axis_results: Any
    o_sent: Signal

    def __init__(self, *, config: EdgeConfig) -> None:
        self._bytes, lanes = config.payload_bytes, config.row_elements
        self._words = math.ceil(config.payload_bytes / lanes)
        super().__init__(
            {
                "i_records": In(stream.Signature(RECORD)),
                "i_words": In(stream.Signature(word_layout(lanes * 8), always_ready=True)),
                "i_reserve": In(1),
                "o_space": Out(1),
                "i_constants": In(CONSTANTS),
                "i_status": In(16),
                "m_axis_results": Out(StreamMaster(bits=ANSWER_BITS)),
                "o_sent": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port = self.m_axis_results
        m.submodules.records = records = SyncFIFOBuffered(width=RECORD.size, depth=WAITING)
        m.submodules.payload = payload = ActivationBuffer(words=self._words, bits=len(self.i_words.p.data))
        connect(m, flipped(self.i_words), payload.i_words)
        record = data.View(RECORD, records.r_data)
        there = records.r_rdy & (~record.payload | (payload.o_count == self._words))
        number, words = Signal(range(max(2, self._words))), Signal()
        taken = port.tvalid & port.tready
        following = Mux(number == self._words - 1, 0, number + 1)
        m.d.comb += [
            payload.i_reserve.eq(self.i_reserve),
            self.o_space.eq(payload.o_space),
            records.w_data.eq(self.i_records.payload),
            records.w_en.eq(self.i_records.valid),
            self.i_records.ready.eq(records.w_rdy),
            port.tvalid.eq(words | there),
            port.tdata.eq(Mux(words, payload.o_data, self._header(m, record))),
            port.tlast.eq(Mux(words, number == self._words - 1, ~record.payload)),
            self.o_sent.eq(taken & port.tlast),
            records.r_en.eq(self.o_sent),
            payload.i_release.eq(self.o_sent & words),
            # A word is read in the cycle before it is sent.
            payload.i_address.eq(Mux(words & taken, following, number)),
        ]
        with m.If(taken):
            m.d.sync += words.eq(~port.tlast)
            with m.If(words):
                m.d.sync += number.eq(following)
        return m

    def _header(self, m: Module, record: data.View) -> Value:
        constants, header = self.i_constants, Signal(ANSWER)
        # A beat stands unchanged until it is taken, whatever happens meanwhile.
        status = Signal.like(self.i_status)
        with m.If(~self.m_axis_results.tvalid | self.m_axis_results.tready):
            m.d.sync += status.eq(self.i_status)
        m.d.comb += [
            header.tag.eq(record.tag),
            header.version.eq(constants.version),
            header.status.eq(record.status | Mux(record.payload, status, 0)),
            header.kind.eq(record.kind),
            header.zero_point.eq(constants.payload_zero_point),
            header.scale.eq(constants.scale),
            header.length.eq(Mux(record.payload, self._bytes, 0)),
            header.statics.eq(record.statics),
        ]
        return header.as_value()
