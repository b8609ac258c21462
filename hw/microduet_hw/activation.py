"""The input of a layer: several vectors deep, written word by word, read several times over."""

import math

from amaranth.hdl import Array as SignalArray
from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

VECTORS = 2
"""Vectors that an ActivationBuffer holds as a rule: one to read, one to fill."""


def word_layout(bits: int) -> data.StructLayout:
    """Payload of a stream of a vector's words: the word, and whether it is the vector's last."""
    return data.StructLayout({"data": unsigned(bits), "last": unsigned(1)})


class ActivationBuffer(wiring.Component):
    """Holds the input vectors of one layer.

    Latency: a word can be read in the cycle after it was written; `o_data` follows `i_address` by `LATENCY` cycle.
    Throughput: one word in and one word out per cycle.
    Back-pressure: a producer pulses `i_reserve` (while `o_space`) before it sends a vector; words are always taken.
    Reset: empty.

    Parameters
    ----------
    words : words of a vector
    bits : bits of a word
    vectors : vectors that it holds, a power of two

    Members
    -------
    i_words : stream of {data, last}, always ready
    i_reserve, o_space : a place for one vector is taken; there is one to take
    o_reserved : a vector is there or on its way
    i_address, o_data : word of the oldest vector, which may be read while ``i_address < o_count``
    o_count : words of the oldest vector that have come, 0 to `words`
    i_release : the oldest vector has been read for the last time (its last `i_address` may be in this cycle)

    The memory is never read and written at one address in one cycle: a word is read after it was counted.
    """

    LATENCY = 1

    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    o_reserved: Signal
    i_address: Signal
    o_data: Signal
    o_count: Signal
    i_release: Signal

    def __init__(self, *, words: int, bits: int, vectors: int = VECTORS) -> None:
        if words < 1 or bits < 1:
            raise ValueError(f"words and bits must be at least 1, not {words!r} and {bits!r}")
        if vectors < 2 or vectors & (vectors - 1):
            raise ValueError(f"vectors must be a power of two, at least 2, not {vectors!r}")
        self._words, self._vectors = words, vectors
        self._address_bits = max(1, math.ceil(math.log2(words)))
        super().__init__(
            {
                "i_words": In(stream.Signature(word_layout(bits), always_ready=True)),
                "i_reserve": In(1),
                "o_space": Out(1),
                "o_reserved": Out(1),
                "i_address": In(self._address_bits),
                "o_data": Out(bits),
                "o_count": Out(range(words + 1)),
                "i_release": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The vector's number is the address's top bits, so no address is ever computed.
        m.submodules.words = rows = memory.Memory(
            shape=unsigned(len(self.o_data)), depth=self._vectors << self._address_bits, init=[]
        )
        write, read = rows.write_port(), rows.read_port()
        counts = SignalArray(Signal(range(self._words + 1), name=f"count_{k}") for k in range(self._vectors))
        filling, reading = Signal(range(self._vectors)), Signal(range(self._vectors))
        used = Signal(range(self._vectors + 1))
        m.d.comb += [
            write.addr.eq(Cat(Value.cast(counts[filling])[: self._address_bits], filling)),
            write.data.eq(self.i_words.p.data),
            write.en.eq(self.i_words.valid),
            read.addr.eq(Cat(self.i_address, reading)),
            read.en.eq(1),
            self.o_data.eq(read.data),
            self.o_count.eq(counts[reading]),
            self.o_space.eq(used != self._vectors),
            self.o_reserved.eq(used != 0),
        ]
        m.d.sync += used.eq(used + Mux(self.i_reserve, 1, 0) - Mux(self.i_release, 1, 0))
        with m.If(self.i_words.valid):
            m.d.sync += counts[filling].eq(counts[filling] + 1)
            with m.If(self.i_words.p.last):
                m.d.sync += filling.eq(filling + 1)
        with m.If(self.i_release):
            m.d.sync += [counts[reading].eq(0), reading.eq(reading + 1)]
        return m
