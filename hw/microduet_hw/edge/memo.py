"""The memoisation register: the static bottom MLP's result, brought up to date in the background."""

import math

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.activation import word_layout
from microduet_hw.stack import Stack

TAG_BITS = 16
"""Bits that tell versions of the static inputs apart."""


class MemoRegister(wiring.Component):
    """Keeps static inputs, has them computed when they change, and keeps the result until the next one is complete.

    Latency: the first word of new inputs is sent to the array two cycles after the last one came, at the earliest, and
    one after `o_reserve`; the result is committed in the cycle after its last word, or when `i_hold` falls.
    Throughput: inputs and results a word per cycle, one update after the other.
    Back-pressure: inputs are always taken. Inputs that change during an update start it again: when the array is done,
    its result is dropped, and the new inputs are sent.
    Reset: no inputs, not valid.

    Parameters
    ----------
    stack : the static bottom MLP

    Members
    -------
    i_inputs : stream of words {data, last} of new inputs, always ready
    i_tag : with the last of them: which inputs these are
    o_words, o_reserve, i_space : to the array
    i_words : from the array, always ready
    i_bad : results are not to be trusted: they are dropped
    i_hold : values must stay what they are
    o_values : `stack.outputs` elements of 16 bits, lowest first
    o_tag : of the inputs that they are the result of
    o_valid : there has been a result
    o_updating : there are inputs whose result is still to come
    o_commit : a result becomes the value at the end of this cycle
    """

    i_inputs: stream.Interface
    i_tag: Signal
    o_words: stream.Interface
    o_reserve: Signal
    i_space: Signal
    i_words: stream.Interface
    i_bad: Signal
    i_hold: Signal
    o_values: Signal
    o_tag: Signal
    o_valid: Signal
    o_updating: Signal
    o_commit: Signal

    def __init__(self, *, stack: Stack) -> None:
        self._words = math.ceil(stack.inputs / stack.lanes)
        self._results = math.ceil(stack.outputs / stack.lanes)
        bits = stack.lanes * stack.precision.width
        super().__init__(
            {
                "i_inputs": In(stream.Signature(word_layout(bits), always_ready=True)),
                "i_tag": In(TAG_BITS),
                "o_words": Out(stream.Signature(word_layout(bits), always_ready=True)),
                "o_reserve": Out(1),
                "i_space": In(1),
                "i_words": In(stream.Signature(word_layout(bits), always_ready=True)),
                "i_bad": In(1),
                "i_hold": In(1),
                "o_values": Out(stack.outputs * stack.precision.width),
                "o_tag": Out(TAG_BITS),
                "o_valid": Out(1),
                "o_updating": Out(1),
                "o_commit": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        changed, coming, running, done = Signal(), Signal(), Signal(), Signal()
        tag, tag_running = Signal.like(self.i_tag), Signal.like(self.i_tag)
        start = changed & ~coming & ~running & self.i_space & ~self.i_inputs.valid
        result = self._result(m)
        m.d.comb += [
            self.o_reserve.eq(start),
            self.o_updating.eq(changed | running),
            self.o_commit.eq(done & ~changed & ~self.i_inputs.valid & ~self.i_hold & ~self.i_bad),
        ]
        self._inputs(m, start)
        with m.If(start):
            m.d.sync += [changed.eq(0), running.eq(1), tag_running.eq(tag)]
        with m.If(self.i_inputs.valid):
            m.d.sync += [changed.eq(1), coming.eq(~self.i_inputs.p.last), tag.eq(self.i_tag)]
        with m.If(self.i_words.valid & self.i_words.p.last):
            m.d.sync += done.eq(1)
        with m.If(self.o_commit):
            m.d.sync += [self.o_values.eq(result), self.o_tag.eq(tag_running), self.o_valid.eq(1)]
        with m.If(done & (self.o_commit | changed | self.i_inputs.valid | self.i_bad)):
            m.d.sync += [done.eq(0), running.eq(0)]
        return m

    def _inputs(self, m: Module, start: Value) -> None:
        """Write inputs as they come; send them, one word per cycle, from `start` on."""
        bits = len(self.i_inputs.p.data)
        m.submodules.inputs = rows = memory.Memory(shape=unsigned(bits), depth=max(2, self._words), init=[])
        write, read = rows.write_port(), rows.read_port()
        place, sent = Signal(range(max(2, self._words))), Signal(range(max(2, self._words)))
        sending, valid, last = Signal(), Signal(), Signal()
        m.d.comb += [
            write.addr.eq(place),
            write.data.eq(self.i_inputs.p.data),
            write.en.eq(self.i_inputs.valid),
            read.addr.eq(sent),
            read.en.eq(1),
            self.o_words.valid.eq(valid),
            self.o_words.p.data.eq(read.data),
            self.o_words.p.last.eq(last),
        ]
        with m.If(self.i_inputs.valid):
            m.d.sync += place.eq(Mux(self.i_inputs.p.last, 0, place + 1))
        final = sent == self._words - 1
        m.d.sync += [valid.eq(start | sending), last.eq(final)]
        with m.If(start | sending):
            m.d.sync += [sent.eq(Mux(final, 0, sent + 1)), sending.eq(~final)]

    def _result(self, m: Module) -> Value:
        """The words of a result, as they come."""
        words = [Signal(len(self.i_words.p.data), reset_less=True, name=f"result_{k}") for k in range(self._results)]
        number = Signal(range(max(2, self._results)))
        with m.If(self.i_words.valid):
            m.d.sync += number.eq(Mux(self.i_words.p.last, 0, number + 1))
            for k, word in enumerate(words):
                with m.If(number == k):
                    m.d.sync += word.eq(self.i_words.p.data)
        return Cat(*words)[: len(self.o_values)]
