"""Takes the words of a vector out of a message: what an array reads as its input."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.activation import word_layout


class WordFeeder(wiring.Component):
    """Sends the words of a vector that lies in a message buffer.

    Latency: the first word is sent in the cycle after `i_start`.
    Throughput: a word per cycle; a vector may follow another without a gap.
    Back-pressure: none; the words' consumer has reserved a place.
    Reset: nothing is sent.

    Parameters
    ----------
    row_bits : bits of a row of the message
    word_bits : bits of a word; rows are whole words
    words : words of the vector

    Members
    -------
    i_start : send the vector; only while `o_busy` is low
    o_busy : words are still to be sent after this cycle's
    o_row, i_row : address of a row of the message, and its bits one cycle later
    o_words : stream of {data, last}, always taken

    Raises
    ------
    ValueError
        If rows are not whole words.
    """

    i_start: Signal
    o_busy: Signal
    o_row: Signal
    i_row: Signal
    o_words: stream.Interface

    def __init__(self, *, row_bits: int, word_bits: int, words: int) -> None:
        if row_bits < 1 or row_bits % word_bits or words < 1:
            raise ValueError(f"rows of {row_bits} bits must be whole words of {word_bits}, and words at least 1")
        self._words, self._per_row, self._word_bits = words, row_bits // word_bits, word_bits
        super().__init__(
            {
                "i_start": In(1),
                "o_busy": Out(1),
                "o_row": Out(range(max(2, -(-words // self._per_row)))),
                "i_row": In(row_bits),
                "o_words": Out(stream.Signature(word_layout(word_bits), always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(range(self._words + 1))
        row, place = Signal.like(self.o_row), Signal(range(max(2, self._per_row)))
        words = Array(self.i_row.word_select(k, self._word_bits) for k in range(self._per_row))
        step = place == self._per_row - 1
        m.d.comb += [
            self.o_busy.eq(self.o_words.valid & ~self.o_words.p.last),
            self.o_words.valid.eq(left != 0),
            self.o_words.p.data.eq(words[place]),
            self.o_words.p.last.eq(left == 1),
            # One word ahead, because rows come a cycle after their address.
            self.o_row.eq(Mux(self.i_start, 0, Mux(step, row + 1, row))),
        ]
        with m.If(self.i_start):
            m.d.sync += [left.eq(self._words), row.eq(0), place.eq(0)]
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), place.eq(Mux(step, 0, place + 1)), row.eq(self.o_row)]
        return m
