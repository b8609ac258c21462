"""Keeps the responses of a memory channel until their turn comes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.bits import bit, mask
from microduet_hw.lookup.layouts import asked_layout, id_layout, response_layout


class ResponseBuffer(wiring.Component):
    """Keeps the beats of the reads in flight, in any order of IDs, and says what has come of one of them.

    Latency: `o_complete`, `o_failed`, `o_received` count a beat in the cycle after it came; `o_data` follows
    `i_beat` by `READ_LATENCY` cycle.
    Throughput: one beat in and one out per cycle.
    Back-pressure: none: every ID has a place for each of its beats.
    Reset: no ID has had any response; no read may be in flight.

    A beat is read at least one cycle after it was written, never in the same one. A beat whose ID has no read in flight
    is a stray: it changes nothing. A read that ends before or behind its last beat has failed.

    Parameters
    ----------
    ids : IDs
    beats : the most beats of a read
    width : bits kept of a beat
    checked : whether responses say that they are no row of their address

    Members
    -------
    i : stream of the beats of responses
    i_asked : reads that memory has taken; answers come from the next cycle on
    o_stray : a stray came
    i_id : the ID that the following are about
    o_complete, o_failed : its last beat has come; one of them was an error, or it is no row of its address
    o_corrupt : only if `checked`: if it has failed, it is for the second reason alone
    o_received : its beats that have come, unless it is complete
    o_ending : its last beat comes in this cycle
    i_read, i_beat, o_data : read a beat
    i_released : IDs that begin anew
    i_lost : IDs whose responses are to be dropped
    o_returned : lost IDs whose last beat has come
    """

    READ_LATENCY = 1

    i: stream.Interface
    i_asked: stream.Interface
    o_stray: Signal
    i_id: Signal
    o_complete: Signal
    o_failed: Signal
    o_corrupt: Signal
    o_received: Signal
    o_ending: Signal
    i_read: Signal
    i_beat: Signal
    o_data: Signal
    i_released: stream.Interface
    i_lost: stream.Interface
    o_returned: stream.Interface

    def __init__(self, *, ids: int, beats: int, width: int, checked: bool = False) -> None:
        self._ids, self._checked = ids, checked
        self._beats = beats
        id_stream = stream.Signature(id_layout(ids), always_ready=True)
        super().__init__(
            {
                "i": In(stream.Signature(response_layout(ids, width, checked=checked), always_ready=True)),
                "i_asked": In(stream.Signature(asked_layout(ids, beats), always_ready=True)),
                "o_stray": Out(1),
                "i_id": In(range(max(2, ids))),
                "o_complete": Out(1),
                "o_failed": Out(1),
                **({"o_corrupt": Out(1)} if checked else {}),
                "o_received": Out(range(max(2, beats))),
                "o_ending": Out(1),
                "i_read": In(1),
                "i_beat": In(range(max(2, beats))),
                "o_data": Out(width),
                "i_released": In(id_stream),
                "i_lost": In(id_stream),
                "o_returned": Out(id_stream),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        response, valid = self.i.p, Signal()
        complete, failed, lost, asked = (Signal(self._ids, name=n) for n in ("complete", "failed", "lost", "asked"))
        corrupt = Signal(self._ids, name="corrupt")
        dropped, awaited = bit(lost, response.id), bit(asked, response.id)
        m.d.comb += [
            valid.eq(self.i.valid & awaited),
            self.o_stray.eq(self.i.valid & ~awaited),
            self.o_complete.eq(bit(complete, self.i_id)),
            self.o_failed.eq(bit(failed | corrupt, self.i_id) if self._checked else bit(failed, self.i_id)),
            self.o_ending.eq(valid & response.last & (response.id == self.i_id)),
            self.o_returned.valid.eq(valid & response.last & dropped),
            self.o_returned.p.id.eq(response.id),
        ]
        last = mask(self._ids, response.id, enable=valid & response.last)
        number = self._count(m, valid) if self._beats > 1 else Const(0, 0)
        ends = response.last == (number == self._last(m) if self._beats > 1 else 1)
        wrong = mask(self._ids, response.id, enable=valid & (response.error | ~ends))
        begun = mask(self._ids, self.i_asked.p.id, enable=self.i_asked.valid)
        with m.If(valid | self.i_asked.valid):
            m.d.mem += asked.eq((asked & ~last) | begun)
        lose = mask(self._ids, self.i_lost.p.id, enable=self.i_lost.valid)
        anew = lose | mask(self._ids, self.i_released.p.id, enable=self.i_released.valid)
        with m.If(valid | self.i_released.valid | self.i_lost.valid):
            m.d.mem += [
                complete.eq((complete | (last & ~lost)) & ~anew),
                failed.eq((failed | (wrong & ~lost)) & ~anew),
                lost.eq((lost & ~last) | lose),
            ]
        if self._checked:
            found = mask(self._ids, response.id, enable=valid & response.corrupt)
            with m.If(valid | self.i_released.valid | self.i_lost.valid):
                m.d.mem += corrupt.eq((corrupt | (found & ~lost)) & ~anew)
            m.d.comb += self.o_corrupt.eq(~bit(failed, self.i_id))
        self._beats_of_rows(m, valid, number)
        return m

    def _last(self, m: Module) -> Value:
        """Number of the last beat of the read that is answered."""
        m.submodules.lasts = lasts = memory.Memory(shape=unsigned(len(self.i_beat)), depth=self._ids, init=[])
        write, read = lasts.write_port(domain="mem"), lasts.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.i_asked.valid),
            write.addr.eq(self.i_asked.p.id),
            write.data.eq(self.i_asked.p.last),
            read.addr.eq(self.i.p.id),
        ]
        return read.data

    def _count(self, m: Module, valid: Value) -> Value:
        """Number of the beat that comes: counters of their own for every ID, back at 0 after its last beat."""
        m.submodules.counts = counts = memory.Memory(shape=unsigned(len(self.o_received)), depth=self._ids, init=[])
        write = counts.write_port(domain="mem")
        coming, awaited = counts.read_port(domain="comb"), counts.read_port(domain="comb")
        m.d.comb += [
            coming.addr.eq(self.i.p.id),
            awaited.addr.eq(self.i_id),
            self.o_received.eq(awaited.data),
            write.en.eq(valid),
            write.addr.eq(self.i.p.id),
            write.data.eq(Mux(self.i.p.last, 0, coming.data + 1)),
        ]
        return coming.data

    def _beats_of_rows(self, m: Module, valid: Value, number: Value) -> None:
        span = len(self.i_beat) if self._beats > 1 else 0
        m.submodules.rows = rows = memory.Memory(shape=unsigned(len(self.o_data)), depth=self._ids << span, init=[])
        write, read = rows.write_port(domain="mem"), rows.read_port(domain="mem")
        m.d.comb += [
            write.en.eq(valid),
            write.addr.eq(Cat(number, self.i.p.id)),
            write.data.eq(self.i.p.data),
            read.en.eq(self.i_read),
            read.addr.eq(Cat(self.i_beat[:span], self.i_id)),
            self.o_data.eq(read.data),
        ]
