"""Puts the responses of a memory channel back into the order of the lookups."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import EngineConfig, Precision
from microduet_hw.lookup.geometry import SourcePlan
from microduet_hw.lookup.layouts import (
    CHECK_FLAG,
    asked_layout,
    id_layout,
    order_layout,
    response_layout,
    row_layout,
)
from microduet_hw.lookup.progress import constant, count_lookups
from microduet_hw.lookup.response_buffer import ResponseBuffer
from microduet_hw.status import Status


def zero_row(config: EngineConfig, plan: SourcePlan) -> int:
    """Bits of a beat whose elements have the value zero."""
    zero = 128 if config.precision is Precision.INT8 else 0
    width = config.precision.width
    return sum(zero << (width * k) for k in range(plan.width // width))


class ReadCollector(wiring.Component):
    """Delivers rows in the order of the lookups, whatever order their reads are answered in.

    Latency: `LATENCY` cycles from a response to its beat of the row, if the row's turn has come. Rows that are to be
    summed, here or with those of partners, are delivered once they are complete.
    Throughput: one beat per cycle.
    Back-pressure: none towards the memory: every read has its own place in the buffer.
    Reset: nothing is awaited; no read may be in flight.

    A row that fails is zeros, all of it: index out of range, AXI_ERROR once its last beat has come (an error, or it has
    not as many beats as were asked for), ROW_CHECK once it has come whole and is no row of its address, TIMEOUT when it
    has been the oldest for `watchdog` cycles. Zeros have the value zero (int8: the zero point), except where another
    source holds the row: there all bits are 0, unless there are partners: then the row is marked `absent`.
    The buffer is read at least one cycle after the same word was written.

    Parameters
    ----------
    config : for the precision, the number of IDs and the watchdog
    plan : the source

    Members
    -------
    i_order : stream of what became of each lookup
    i_asked : reads that memory has taken
    i_responses : stream of the beats of responses
    o : stream of rows
    o_stray : a beat came that no read in flight has asked for; it is dropped
    o_released, o_lost, o_returned : IDs whose reads are over, were given up, have ended after all
    """

    LATENCY = 2

    i_order: stream.Interface
    i_asked: stream.Interface
    i_responses: stream.Interface
    o: stream.Interface
    o_stray: Signal
    o_released: stream.Interface
    o_lost: stream.Interface
    o_returned: stream.Interface

    def __init__(self, *, config: EngineConfig, plan: SourcePlan) -> None:
        self._ids = config.outstanding
        self._watchdog = config.watchdog
        self._zero = zero_row(config, plan)
        self._plan = plan
        ids = Out(stream.Signature(id_layout(self._ids), always_ready=True))
        responses = stream.Signature(response_layout(self._ids, plan.width, checked=plan.checked), always_ready=True)
        super().__init__(
            {
                "i_order": In(stream.Signature(order_layout(self._ids, marked=plan.marked))),
                "i_asked": In(stream.Signature(asked_layout(self._ids, plan.read_beats), always_ready=True)),
                "i_responses": In(responses),
                "o": Out(stream.Signature(row_layout(plan), always_ready=True)),
                "o_stray": Out(1),
                "o_released": ids,
                "o_lost": ids,
                "o_returned": ids,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head, plan = self.i_order, self._plan
        m.submodules.buffer = buffer = ResponseBuffer(
            ids=self._ids, beats=plan.read_beats, width=plan.width, checked=plan.checked
        )
        void, deliver, done = Signal(), Signal(), Signal()
        awaited, broken, expired = Signal(), Signal(), Signal()
        beat = Signal(range(max(2, plan.beats)))
        last = head.p.last if plan.marked else None
        progress = count_lookups(m, plan, done, name="row", marked_last=last)
        eager = constant(m, progress, [part.lookups == 1 and not plan.shared for part in plan.parts], name="eager")
        final = constant(m, progress, [part.beats - 1 for part in plan.parts], name="final")
        due = self._due(buffer, beat, eager=eager, final=final)
        m.d.comb += [
            awaited.eq(head.valid & head.p.read & ~void),
            broken.eq(awaited & buffer.o_failed & buffer.o_complete),
            deliver.eq(Mux(awaited, due & ~buffer.o_failed, head.valid)),
            done.eq(deliver & (beat == final)),
            head.ready.eq(done),
            self.o_released.valid.eq((awaited & done) | broken),
            self.o_released.p.id.eq(head.p.id),
            self.o_lost.valid.eq(expired),
            self.o_lost.p.id.eq(head.p.id),
            buffer.i_id.eq(head.p.id),
            buffer.i_read.eq(deliver & awaited),
            buffer.i_beat.eq(beat),
        ]
        self._watch(m, expired, waiting=awaited & ~deliver & ~broken, ending=buffer.o_ending)
        with m.If(done):
            m.d.mem += [beat.eq(0), void.eq(0)]
        with m.Elif(broken | expired):
            # What went out of the row is written over: it starts again, as zeros.
            m.d.mem += [beat.eq(0), void.eq(1)]
        with m.Elif(deliver):
            m.d.mem += beat.eq(beat + 1)
        void_flags = Signal(plan.flags, reset_less=True)
        wrong: ValueLike = Status.AXI_ERROR.value
        if plan.checked:
            wrong = Mux(buffer.o_corrupt, CHECK_FLAG, wrong)
        with m.If(broken | expired):
            m.d.mem += void_flags.eq(Mux(broken, wrong, Status.TIMEOUT.value))
        flags = Mux(void, void_flags, Mux(head.p.read, 0, head.p.flags))
        out = self._send(m, deliver)
        with m.If(deliver):
            m.d.mem += [
                out.part.eq(progress.part),
                out.beat.eq(beat),
                out.first.eq(progress.first),
                out.last.eq(progress.last),
                out.end.eq(progress.end & done),
                out.flags.eq(Mux(done, flags, 0)),
            ]
        self._mask(m, buffer.o_data, deliver, zero=~awaited, absent=head.p.absent)
        wiring.connect(m, wiring.flipped(self.i_responses), buffer.i)
        wiring.connect(m, wiring.flipped(self.i_asked), buffer.i_asked)
        m.d.comb += self.o_stray.eq(buffer.o_stray)
        wiring.connect(m, buffer.o_returned, wiring.flipped(self.o_returned))
        for ids, to in ((self.o_released, buffer.i_released), (self.o_lost, buffer.i_lost)):
            m.d.comb += [to.valid.eq(ids.valid), to.payload.eq(ids.payload)]
        return m

    def _due(self, buffer: ResponseBuffer, beat: Signal, *, eager: Value, final: Value) -> Value:
        """Whether the beat may go, if nothing has failed: rows that are not summed do not wait for their end."""
        plan = self._plan
        if plan.beats == 1:
            return buffer.o_complete
        early = eager & (beat < buffer.o_received)
        if any(part.read_beats > part.beats for part in plan.parts):
            early &= beat != final  # a row is not over before its check word has come
        return buffer.o_complete | early

    def _send(self, m: Module, deliver: Signal) -> Any:
        """Registers of all of the output but its data, which are registered in the buffer."""
        valid = Signal()
        payload = Signal(self.o.p.shape(), reset_less=True)
        m.d.mem += valid.eq(deliver)
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(payload)]
        return payload

    def _mask(self, m: Module, row: Value, deliver: Signal, *, zero: Value, absent: Value) -> None:
        is_zero, is_absent = Signal(reset_less=True), Signal(reset_less=True)
        with m.If(deliver):
            m.d.mem += [is_zero.eq(zero), is_absent.eq(absent)]
        zeros: Value = Const(self._zero, self._plan.width)
        if self._plan.shared:
            m.d.comb += self.o.p.absent.eq(is_zero & is_absent)
        else:
            zeros = Mux(is_absent, 0, zeros)
        m.d.comb += self.o.p.data.eq(Mux(is_zero, zeros, row))

    def _watch(self, m: Module, expired: Signal, *, waiting: Value, ending: Value) -> None:
        """Count how long the oldest read waits; it does not expire in the cycle in which its last beat comes."""
        waited = Signal(range(max(2, self._watchdog)))
        m.d.comb += expired.eq(waiting & (waited == self._watchdog - 1) & ~ending)
        with m.If(waiting & ~expired):
            m.d.mem += waited.eq(Mux(waited == self._watchdog - 1, waited, waited + 1))
        with m.Else():
            m.d.mem += waited.eq(0)
