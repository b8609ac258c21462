"""Answers messages in their order: a header, and behind it a query's payload, without its zeros if that is shorter."""

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
from microduet_hw.edge.payload_coder import BEAT_BYTES, PayloadCoder

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

    Latency: a record's header is on the port two cycles after it came, if no answer is before it; a query's `latency`
    cycles after its payload's last word, at the earliest.
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

    Attributes
    ----------
    latency : cycles, if the payload's words before the last did not come faster than they are coded
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
        self._payload = ActivationBuffer(words=self._words, bits=lanes * 8)
        self._coder = PayloadCoder(length=self._bytes, lanes=lanes)
        # A word is counted, then read, then taken by the coder.
        self.latency = 1 + ActivationBuffer.LATENCY + self._coder.latency
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
        port, payload, coder = self.m_axis_results, self._payload, self._coder
        m.submodules.records = records = SyncFIFOBuffered(width=RECORD.size, depth=WAITING)
        m.submodules.payload, m.submodules.coder = payload, coder
        connect(m, flipped(self.i_words), payload.i_words)
        record = data.View(RECORD, records.r_data)
        there = records.r_rdy & (~record.payload | coder.o_done)
        number, final, body = Signal(range(max(2, self._words))), Signal(), Signal()
        sending, coded = Signal.like(number), coder.o_length != 0
        taken = port.tvalid & port.tready
        m.d.comb += [
            payload.i_reserve.eq(self.i_reserve),
            self.o_space.eq(payload.o_space),
            records.w_data.eq(self.i_records.payload),
            records.w_en.eq(self.i_records.valid),
            self.i_records.ready.eq(records.w_rdy),
            final.eq(Mux(coded, (number + 1) * BEAT_BYTES >= coder.o_length, number == self._words - 1)),
            port.tvalid.eq(body | there),
            port.tdata.eq(Mux(body, Mux(coded, coder.o_beat, payload.o_data), self._header(m, record))),
            port.tlast.eq(Mux(body, final, ~record.payload)),
            self.o_sent.eq(taken & port.tlast),
            records.r_en.eq(self.o_sent),
            payload.i_release.eq(self.o_sent & body),
            coder.i_release.eq(payload.i_release),
            # A word or a beat is read in the cycle before it is sent.
            sending.eq(Mux(body & taken, Mux(final, 0, number + 1), number)),
            coder.i_beat.eq(sending),
            payload.i_address.eq(Mux(coder.o_done, sending, self._code(m))),
        ]
        m.d.sync += number.eq(sending)
        with m.If(taken):
            m.d.sync += body.eq(~port.tlast)
        return m

    def _code(self, m: Module) -> Value:
        """Give the coder the oldest payload's words as they come; the word to read for that."""
        payload, coder = self._payload, self._coder
        number, reading, came = Signal(range(self._words + 1)), Signal(range(self._words + 1)), Signal()
        m.d.comb += [
            coder.i_words.valid.eq(came),
            coder.i_words.payload.eq(payload.o_data),
            reading.eq(number + (came & coder.i_words.ready)),
        ]
        m.d.sync += [came.eq(reading < payload.o_count), number.eq(reading)]
        with m.If(payload.i_release):
            m.d.sync += [came.eq(0), number.eq(0)]
        return reading

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
            header.coded.eq(Mux(record.payload, self._coder.o_length, 0)),
        ]
        return header.as_value()
