"""Decides, in the engine's clock, which word of which assembled vector goes next."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.bits import bit, mask
from microduet_hw.status import HEADER


class VectorSender(wiring.Component):
    """Sends the vectors of the slots in turn, word by word.

    Latency: `LATENCY` cycles of sync at most from a flip of `i_full` to the first `o_fetch`.
    Throughput: one word per cycle, without a gap between vectors.
    Back-pressure: a vector starts when it has room (`i_space`) and the header of the one before has gone.
    Reset: all flags 0, no vector.

    Parameters
    ----------
    slots : vectors
    words : words of a vector

    Members
    -------
    i_full : a bit per slot, flipped when its vector is complete; from another clock
    i_headers : per slot, the header of its vector
    o_taken : a bit per slot, flipped when its vector has been read
    i_space : a whole vector has room
    o_reserve : a vector starts
    o_fetch, o_slot, o_word, o_last : read this word in this cycle; it is the vector's last
    o_header : stream of headers, one per vector, offered from the cycle after its start

    Raises
    ------
    ValueError
        If there are less than 2 slots or no words.
    """

    LATENCY = 2

    i_full: Signal
    i_headers: data.View
    o_taken: Signal
    i_space: Signal
    o_reserve: Signal
    o_fetch: Signal
    o_slot: Signal
    o_word: Signal
    o_last: Signal
    o_header: stream.Interface

    def __init__(self, *, slots: int, words: int) -> None:
        if slots < 2 or words < 1:
            raise ValueError(f"slots and words must be at least 2 and 1, not {slots!r} and {words!r}")
        self._slots = slots
        self._words = words
        super().__init__(
            {
                "i_full": In(slots),
                "i_headers": In(data.ArrayLayout(HEADER, slots)),
                "o_taken": Out(slots),
                "i_space": In(1),
                "o_reserve": Out(1),
                "o_fetch": Out(1),
                "o_slot": Out(range(slots)),
                "o_word": Out(range(max(2, words))),
                "o_last": Out(1),
                "o_header": Out(stream.Signature(HEADER)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        full, sending = Signal(self._slots), Signal()
        m.submodules.full = FFSynchronizer(self.i_full, full)
        waiting = bit(full ^ self.o_taken, self.o_slot)
        headers = Array(self.i_headers[slot] for slot in range(self._slots))
        free = Signal()
        header = Signal(HEADER, reset_less=True)
        offered = Signal()
        m.d.comb += [
            free.eq(~offered | self.o_header.ready),
            self.o_reserve.eq(waiting & ~sending & self.i_space & free),
            self.o_fetch.eq(self.o_reserve | sending),
            self.o_last.eq(self.o_word == self._words - 1),
            self.o_header.valid.eq(offered),
            self.o_header.payload.eq(header),
        ]
        with m.If(self.o_reserve):
            m.d.sync += [offered.eq(1), header.eq(headers[self.o_slot])]
        with m.Elif(self.o_header.ready):
            m.d.sync += offered.eq(0)
        with m.If(self.o_fetch):
            m.d.sync += [sending.eq(1), self.o_word.eq(self.o_word + 1)]
            with m.If(self.o_last):
                m.d.sync += [
                    sending.eq(0),
                    self.o_word.eq(0),
                    self.o_taken.eq(self.o_taken ^ mask(self._slots, self.o_slot)),
                    self.o_slot.eq(self.o_slot + 1),
                ]
                with m.If(self.o_slot == self._slots - 1):
                    m.d.sync += self.o_slot.eq(0)
        return m
