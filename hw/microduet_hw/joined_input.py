"""Where a bottom MLP meets the features: the vector's two sections part, and a layer reads words of two producers."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from microduet_hw.activation import ActivationBuffer, word_layout


class SectionSplit(Component):
    """Sends the first words of every vector to one buffer and the others to a second one.

    Latency: none.
    Throughput: a word per cycle.
    Back-pressure: a vector has room (`o_space`) if both buffers have; words are always taken.
    Reset: at the first word of a vector.

    Parameters
    ----------
    words : of a vector that go to the first buffer; at least one more goes to the second
    bits : bits of a word

    Members
    -------
    i_words, i_reserve, o_space : as `ActivationBuffer`
    o_words_K, o_reserve, i_spaces : towards buffer K, which takes a vector whenever the other does

    Raises
    ------
    ValueError
        If there are no words.
    """

    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    o_words_0: stream.Interface
    o_words_1: stream.Interface
    o_reserve: Signal
    i_spaces: Signal

    def __init__(self, *, words: int, bits: int) -> None:
        if words < 1:
            raise ValueError(f"words must be at least 1, not {words!r}")
        self._words = words
        vector = stream.Signature(word_layout(bits), always_ready=True)
        super().__init__(
            {
                "i_words": In(vector),
                "i_reserve": In(1),
                "o_space": Out(1),
                "o_words_0": Out(vector),
                "o_words_1": Out(vector),
                "o_reserve": Out(1),
                "i_spaces": In(2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        came = Signal(range(self._words + 1))
        first = Signal()
        m.d.comb += [
            first.eq(came != self._words),
            self.o_words_0.valid.eq(self.i_words.valid & first),
            self.o_words_0.p.data.eq(self.i_words.p.data),
            self.o_words_0.p.last.eq(came == self._words - 1),
            self.o_words_1.valid.eq(self.i_words.valid & ~first),
            self.o_words_1.p.eq(self.i_words.p),
            self.o_reserve.eq(self.i_reserve),
            self.o_space.eq(self.i_spaces.all()),
        ]
        with m.If(self.i_words.valid):
            m.d.sync += came.eq(Mux(self.i_words.p.last, 0, came + first))
        return m


class JoinedBuffer(Component):
    """Holds the input vectors of a layer that come from two producers: words of the one, then words of the other.

    Latency: as `ActivationBuffer`; words of the layer before can be read once all from outside have come.
    Throughput: a word in from each producer and one out per cycle.
    Back-pressure: as `ActivationBuffer`, of each producer on its own.
    Reset: empty.

    Parameters
    ----------
    beside : words of a vector that come from outside, before those of the layer before
    words : words of the layer before
    bits : bits of a word

    Members
    -------
    i_beside, i_reserve_beside, o_space_beside : `i_words`, `i_reserve`, `o_space` of the words from outside
    i_words, i_reserve, o_space : of those of the layer before, as `ActivationBuffer`
    i_address, o_data, i_release : as `ActivationBuffer`, of both as one vector
    o_count : words of the oldest vector that can be read: those of the layer before once all from outside came
    o_ready : all words from outside came, and those of the layer before are on their way

    Raises
    ------
    ValueError
        If one of the producers has no words.
    """

    LATENCY = ActivationBuffer.LATENCY
    VECTORS = 4
    """Vectors of the words from outside: they wait here while as many are in the layers before."""

    i_beside: stream.Interface
    i_reserve_beside: Signal
    o_space_beside: Signal
    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    i_address: Signal
    o_data: Signal
    o_count: Signal
    o_ready: Signal
    i_release: Signal

    def __init__(self, *, beside: int, words: int, bits: int) -> None:
        self._beside = beside
        self._buffers = (
            ActivationBuffer(words=beside, bits=bits, vectors=self.VECTORS),
            ActivationBuffer(words=words, bits=bits),
        )
        vector = stream.Signature(word_layout(bits), always_ready=True)
        super().__init__(
            {
                "i_beside": In(vector),
                "i_reserve_beside": In(1),
                "o_space_beside": Out(1),
                "i_words": In(vector),
                "i_reserve": In(1),
                "o_space": Out(1),
                "i_address": In(range(beside + words)),
                "o_data": Out(bits),
                "o_count": Out(range(beside + words + 1)),
                "o_ready": Out(1),
                "i_release": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.from_outside, m.submodules.from_layer = beside, words = self._buffers
        connect(m, flipped(self.i_beside), beside.i_words)
        connect(m, flipped(self.i_words), words.i_words)
        behind, behind_read, complete = Signal(), Signal(), Signal()
        m.d.comb += [
            beside.i_reserve.eq(self.i_reserve_beside),
            self.o_space_beside.eq(beside.o_space),
            words.i_reserve.eq(self.i_reserve),
            self.o_space.eq(words.o_space),
            behind.eq(self.i_address >= self._beside),
            beside.i_address.eq(self.i_address),
            words.i_address.eq(self.i_address - self._beside),
            self.o_data.eq(Mux(behind_read, words.o_data, beside.o_data)),
            complete.eq(beside.o_count == self._beside),
            self.o_count.eq(Mux(complete, self._beside + words.o_count, beside.o_count)),
            self.o_ready.eq(complete & words.o_reserved),
            beside.i_release.eq(self.i_release),
            words.i_release.eq(self.i_release),
        ]
        m.d.sync += behind_read.eq(behind)
        return m


InputBuffer = ActivationBuffer | JoinedBuffer
"""What holds the input of a layer."""


def connect_vector(m: Module, outside: Any, first: InputBuffer, joined: InputBuffer, *, words: int) -> None:
    """Lead the vectors that come to `outside`, by its members as `ActivationBuffer`'s, to the layers that read them.

    Parameters
    ----------
    first : of the first layer
    joined : of the layer that reads a section of its own; `first` if there is none
    words : of a vector that the first layer reads
    """
    if not isinstance(joined, JoinedBuffer):
        connect(m, flipped(outside.i_words), first.i_words)
        m.d.comb += [first.i_reserve.eq(outside.i_reserve), outside.o_space.eq(first.o_space)]
        return
    m.submodules.split = split = SectionSplit(words=words, bits=len(first.o_data))
    connect(m, flipped(outside.i_words), split.i_words)
    connect(m, split.o_words_0, first.i_words)
    connect(m, split.o_words_1, joined.i_beside)
    m.d.comb += [
        split.i_reserve.eq(outside.i_reserve),
        outside.o_space.eq(split.o_space),
        split.i_spaces.eq(Cat(first.o_space, joined.o_space_beside)),
        first.i_reserve.eq(split.o_reserve),
        joined.i_reserve_beside.eq(split.o_reserve),
    ]
