"""Codes user vectors without their zeros as their words come."""

import functools
import math
import operator

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.edge.message import ANSWER_BITS
from microduet_hw.store import Store
from microduet_hw.user_code import GROUP, GROUP_BYTES, MASK_BYTES, code_groups
from microduet_hw.user_mask import mask_places

BEAT_BYTES = ANSWER_BITS // 8
"""Bytes of a beat of a code."""

PIECE = data.StructLayout(
    {"data": unsigned(8 * GROUP_BYTES), "size": unsigned(GROUP_BYTES.bit_length()), "valid": 1, "last": 1}
)
"""A group's code in the lowest bytes, zeros behind it; how many bytes it has; it is there; it is the payload's last."""


class PayloadCoder(wiring.Component):
    """Codes a payload (`user_code.code`), keeps the code until its release, and says whether it is shorter.

    Latency: `latency` cycles from a payload's last word to `o_done`, if the words before it did not come faster than
    they are coded; `o_beat` follows `i_beat` by `Store.LATENCY`.
    Throughput: `GROUP` elements per cycle.
    Back-pressure: no word is taken from a payload's last to its release.
    Reset: nothing of a payload has come.

    Parameters
    ----------
    length : elements of a payload
    lanes : elements of a word; what the last one has behind the payload's end does not count

    Members
    -------
    i_words : stream of a payload's words, the first element lowest
    o_done : the payload is coded, until its release
    o_length : then, bytes of its code if it is shorter than the payload, 0 otherwise
    i_beat, o_beat : read a beat of the code, numbered from 0; undefined if it is not shorter
    i_release : it is done with

    Attributes
    ----------
    latency : cycles
    """

    i_words: stream.Interface
    o_done: Signal
    o_length: Signal
    i_beat: Signal
    o_beat: Signal
    i_release: Signal

    def __init__(self, *, length: int, lanes: int) -> None:
        if min(length, lanes) < 1:
            raise ValueError(f"length and lanes must be at least 1, not {length!r} and {lanes!r}")
        self._length, self._lanes = length, lanes
        self._words, self._groups = math.ceil(length / lanes), code_groups(length)
        self._rows = math.ceil(length / BEAT_BYTES)
        # A register each for words, group, packed group, code; then its last beat is written.
        self.latency = 4 + self._groups - (self._words - 1) * lanes // GROUP
        super().__init__(
            {
                "i_words": In(stream.Signature(unsigned(8 * lanes))),
                "o_done": Out(1),
                "o_length": Out(range(max(2, length))),
                "i_beat": In(range(max(2, self._rows))),
                "o_beat": Out(ANSWER_BITS),
                "i_release": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._append(m, self._pack(m, *self._group(m)))
        return m

    def _group(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Words become groups: the elements of one, whether it is there, and whether it is the last."""
        words = self.i_words
        elements, count = Signal(8 * (GROUP - 1 + self._lanes)), Signal(range(GROUP + self._lanes))
        came, number = Signal(range(self._words + 1)), Signal(range(self._groups + 1))
        whole, complete, rest = Signal(), Signal(), Signal.like(count)
        group, there, last = Signal(8 * GROUP, reset_less=True), Signal(), Signal()
        m.d.comb += [
            whole.eq(count >= GROUP),
            complete.eq(came == self._words),
            rest.eq(Mux(whole, count - GROUP, count)),
            words.ready.eq(~complete & (rest < GROUP)),
        ]
        m.d.sync += there.eq(0)
        with m.If((number != self._groups) & (whole | complete)):
            m.d.sync += [
                elements.eq(elements[8 * GROUP :]),
                count.eq(rest),
                number.eq(number + 1),
                group.eq(elements[: 8 * GROUP]),
                there.eq(1),
                last.eq(number == self._groups - 1),
            ]
        with m.If(words.valid & words.ready):
            kept = Mux(whole, elements[8 * GROUP :], elements)
            behind = words.payload << Cat(Const(0, 3), rest[: GROUP.bit_length() - 1])
            m.d.sync += [elements.eq(kept | behind), count.eq(rest + self._lanes), came.eq(came + 1)]
        with m.If(self.i_release):
            m.d.sync += [elements.eq(0), count.eq(0), came.eq(0), number.eq(0)]
        return group, there, last

    def _pack(self, m: Module, group: Signal, there: Signal, last: Signal) -> data.View:
        """A group becomes its code."""
        piece = Signal(PIECE)
        elements = [group.word_select(k, 8) for k in range(GROUP)]
        behind = self._length - GROUP * (self._groups - 1)
        mask, packed = Signal(GROUP), Signal(8 * GROUP)
        m.d.comb += mask.eq(Cat((e != 0) & (~last | (k < behind)) for k, e in enumerate(elements)))
        places, count = mask_places(m, mask)
        for k in range(GROUP):
            chosen = [Mux(mask[j] & (places[j] == k), elements[j], 0) for j in range(k, GROUP)]
            m.d.comb += packed.word_select(k, 8).eq(functools.reduce(operator.or_, chosen))
        m.d.sync += [piece.valid.eq(there), piece.last.eq(last)]
        with m.If(there):
            m.d.sync += [piece.data.eq(Cat(mask, packed)), piece.size.eq(MASK_BYTES + count)]
        return piece

    def _append(self, m: Module, piece: data.View) -> None:
        """Codes of groups side by side in beats."""
        m.submodules.beats = beats = Store(rows=self._rows, bits=ANSWER_BITS)
        most = max(self._rows, self._groups * GROUP_BYTES // BEAT_BYTES)
        kept, fill, row = Signal(8 * (BEAT_BYTES - 1)), Signal(range(BEAT_BYTES)), Signal(range(most + 1))
        joined, end, full, flush = Signal(8 * (BEAT_BYTES - 1 + GROUP_BYTES)), Signal(range(64)), Signal(), Signal()
        m.d.comb += [
            joined.eq(kept | piece.data << Cat(Const(0, 3), fill)),
            end.eq(fill + piece.size),
            full.eq(end >= BEAT_BYTES),
            # What is longer than the payload is not kept.
            beats.i_write.eq(((piece.valid & full) | flush) & (row < self._rows)),
            beats.i_row.eq(row),
            beats.i_data.eq(Mux(flush, kept, joined)),
            beats.i_read.eq(1),
            beats.i_read_row.eq(self.i_beat),
            self.o_beat.eq(beats.o_data),
        ]
        m.d.sync += flush.eq(piece.valid & piece.last)
        with m.If(piece.valid):
            m.d.sync += [
                kept.eq(Mux(full, joined[8 * BEAT_BYTES :], joined)),
                fill.eq(end),
                row.eq(row + full),
            ]
        with m.If(flush):
            used = Cat(fill, row)
            m.d.sync += [self.o_done.eq(1), self.o_length.eq(Mux(used < self._length, used, 0))]
        with m.If(self.i_release):
            m.d.sync += [kept.eq(0), fill.eq(0), row.eq(0), self.o_done.eq(0)]
