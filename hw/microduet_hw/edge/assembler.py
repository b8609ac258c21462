"""Joins sums of histories and outputs of the bottom MLPs, quantised, to the vector that the user top MLP reads."""

import math

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.activation import word_layout
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import CONSTANTS
from microduet_hw.edge.quantiser import Quantiser
from microduet_hw.edge.scratchpad import pooled_layout


class VectorAssembler(wiring.Component):
    """Sends a user's vector as words of int8: rows of sums as they come, then the bottom MLPs' outputs.

    Latency: `Quantiser.LATENCY` cycles from a row of sums to its word, and one more from the last of sums and of the
    dynamic MLP's words to the first bottom word, which then follow each other.
    Throughput: a word per cycle.
    Back-pressure: none; the words' consumer has reserved a place.
    Reset: nothing in flight.

    Parameters
    ----------
    config : of the edge unit

    Members
    -------
    i_start : a vector begins; only while `o_busy` is low
    o_busy : its last word has not been sent to the quantiser: the memo's values must stay
    i_sums : stream of rows of sums {values, last}, always ready
    i_dynamic : stream of the dynamic bottom MLP's words, always ready (if there is one)
    i_memo : the static bottom MLP's outputs
    i_constants : of the model
    o_words : stream of {data, last}, always taken
    """

    i_start: Signal
    o_busy: Signal
    i_sums: stream.Interface
    i_dynamic: stream.Interface
    i_memo: Signal
    i_constants: data.View
    o_words: stream.Interface

    def __init__(self, *, config: EdgeConfig) -> None:
        self._config = config
        lanes, memo = config.row_elements, config.static.outputs * 16 if config.static else 1
        dynamic = config.dynamic.lanes * 16 if config.dynamic else 1
        super().__init__(
            {
                "i_start": In(1),
                "o_busy": Out(1),
                "i_sums": In(stream.Signature(pooled_layout(config), always_ready=True)),
                "i_dynamic": In(stream.Signature(word_layout(dynamic), always_ready=True)),
                "i_memo": In(memo),
                "i_constants": In(CONSTANTS),
                "o_words": Out(stream.Signature(word_layout(lanes * 8), always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, sums = self._config, self.i_sums
        pooled_row = Value.cast(sums.p.values)
        m.submodules.quantiser = quantiser = Quantiser(lanes=config.row_elements, bits=config.sum_bits)
        number, pooled, over = Signal(range(max(2, self._tail))), Signal(), Signal()
        bottom, there = self._bottom(m, over)
        words = Array(bottom.word_select(k, len(pooled_row)) for k in range(self._tail))
        tail, final = pooled & there, number == self._tail - 1
        with m.If(sums.valid & sums.p.last):
            m.d.sync += pooled.eq(self._tail != 0)
        with m.If(tail):
            m.d.sync += [number.eq(Mux(final, 0, number + 1)), pooled.eq(~final)]
        with m.If(self.i_start | over):
            m.d.sync += self.o_busy.eq(self.i_start)
        constants = self.i_constants
        m.d.comb += [
            over.eq(tail & final if self._tail else sums.valid & sums.p.last),
            quantiser.i.valid.eq(sums.valid | tail),
            quantiser.i.p.values.eq(Mux(sums.valid, pooled_row, words[number]) if self._tail else pooled_row),
            quantiser.i.p.mantissa.eq(Mux(sums.valid, constants.pooled.mantissa, constants.bottom.mantissa)),
            quantiser.i.p.exponent.eq(Mux(sums.valid, constants.pooled.exponent, constants.bottom.exponent)),
            quantiser.i.p.zero_point.eq(constants.zero_point),
            quantiser.i.p.last.eq(over),
            self.o_words.valid.eq(quantiser.o.valid),
            self.o_words.p.data.eq(quantiser.o.p.values),
            self.o_words.p.last.eq(quantiser.o.p.last),
        ]
        return m

    @property
    def _tail(self) -> int:
        """Words of the bottom MLPs' outputs."""
        return math.ceil(self._config.bottom_elements / self._config.row_elements)

    def _bottom(self, m: Module, over: Value) -> tuple[Value, Value]:
        """Elements of the tail words, as wide as sums, and whether they are there: the dynamic MLP's until `over`."""
        config = self._config
        there = Signal(init=config.dynamic is None)
        elements: list[Value] = []
        if config.static is not None:
            elements += [self.i_memo.word_select(k, 16) for k in range(config.static.outputs)]
        if config.dynamic is not None:
            words = math.ceil(config.dynamic.outputs / config.dynamic.lanes)
            kept = [Signal(len(self.i_dynamic.p.data), reset_less=True, name=f"dynamic_{k}") for k in range(words)]
            number = Signal(range(max(2, words)))
            with m.If(self.i_dynamic.valid):
                m.d.sync += number.eq(Mux(self.i_dynamic.p.last, 0, number + 1))
                for k, word in enumerate(kept):
                    with m.If(number == k):
                        m.d.sync += word.eq(self.i_dynamic.p.data)
            with m.If(self.i_dynamic.valid & self.i_dynamic.p.last):
                m.d.sync += there.eq(1)
            with m.Elif(over):
                m.d.sync += there.eq(0)
            elements += [Cat(*kept).word_select(k, 16) for k in range(config.dynamic.outputs)]
        wide: list[Value] = []
        for element in elements:
            value = Signal(config.sum_bits, name=f"bottom_{len(wide)}")
            m.d.comb += value.eq(element.as_signed())
            wide.append(value)
        return Cat(*wide), there
