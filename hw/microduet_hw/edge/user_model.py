"""A query's way: context and pooled histories in, the words of the user vector out."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from microduet_hw.activation import word_layout
from microduet_hw.edge.arrays import LoadedWord, add_array, check_members, stream_members
from microduet_hw.edge.assembler import VectorAssembler
from microduet_hw.edge.config import BEAT_BITS, EdgeConfig
from microduet_hw.edge.feeder import WordFeeder
from microduet_hw.edge.message import CONSTANTS
from microduet_hw.edge.scratchpad import pooled_layout
from microduet_hw.layout import input_words


class UserModel(wiring.Component):
    """Computes user vectors: the dynamic bottom MLP in fixed16, the vector's quantisation, the user top MLP in int8.

    Latency: a cycle per step of the dynamic and of the top MLP, and some 50 cycles.
    Throughput: a vector per steps of the top MLP: the next one is assembled meanwhile.
    Back-pressure: `o_ready`; payloads need a place (`i_space`) before their first word.
    Reset: nothing in flight.

    Parameters
    ----------
    config : of the edge unit

    Members
    -------
    o_ready : a query may start
    i_start : it does: sums are to be sent by the scratchpad, the context is read from the message
    o_context, o_busy : the context is still read after this cycle; the vector is not complete: the memo's values stay
    o_row, i_row : of the message buffer
    i_sums, i_memo, i_constants : as `VectorAssembler`
    load : `LoadedWord`
    o_words, o_reserve, i_space : payloads
    o_dynamic_step, o_top_step, o_top_starved : of the arrays
    those of `stream_members`, if the top MLP's weights are streamed
    check_top, check_dynamic : `ArrayCheck`, while nothing is in flight; only if weights are checked
    """

    o_ready: Signal
    i_start: Signal
    o_context: Signal
    o_busy: Signal
    o_row: Signal
    i_row: Signal
    i_sums: stream.Interface
    i_memo: Signal
    i_constants: data.View
    load: Any
    o_words: stream.Interface
    o_reserve: Signal
    i_space: Signal
    o_dynamic_step: Signal
    o_top_step: Signal
    o_top_starved: Signal
    i_run: Signal
    o_status: Signal
    check_top: Any
    check_dynamic: Any

    def __init__(self, *, config: EdgeConfig) -> None:
        self._config = config
        self._assembler = VectorAssembler(config=config)
        row_bits = config.row_beats * BEAT_BITS
        super().__init__(
            {
                "o_ready": Out(1),
                "i_start": In(1),
                "o_context": Out(1),
                "o_busy": Out(1),
                "o_row": Out(16),
                "i_row": In(row_bits),
                "i_sums": In(stream.Signature(pooled_layout(config), always_ready=True)),
                "i_memo": In(len(self._assembler.i_memo)),
                "i_constants": In(CONSTANTS),
                "load": In(LoadedWord(config)),
                "o_words": Out(stream.Signature(word_layout(config.row_elements * 8), always_ready=True)),
                "o_reserve": Out(1),
                "i_space": In(1),
                "o_dynamic_step": Out(1),
                "o_top_step": Out(1),
                "o_top_starved": Out(1),
            }
            | stream_members(config, "top")
            | check_members(config, "top")
            | check_members(config, "dynamic")
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.assembler = assembler = self._assembler
        top = add_array(m, self, self._config, "top", self.load)
        connect(m, flipped(self.i_sums), assembler.i_sums)
        connect(m, assembler.o_words, top.i_words)
        connect(m, top.o_words, flipped(self.o_words))
        m.d.comb += [
            self.o_ready.eq(~assembler.o_busy & top.o_space),
            self.o_busy.eq(assembler.o_busy),
            assembler.i_start.eq(self.i_start),
            assembler.i_memo.eq(self.i_memo),
            assembler.i_constants.eq(self.i_constants),
            top.i_reserve.eq(self.i_start),
            top.i_space.eq(self.i_space),
            self.o_reserve.eq(top.o_reserve),
            self.o_top_step.eq(top.o_busy),
            self.o_top_starved.eq(top.o_starved),
        ]
        if self._config.dynamic is not None:
            self._dynamic(m, assembler)
        return m

    def _dynamic(self, m: Module, assembler: VectorAssembler) -> None:
        """The dynamic bottom MLP; the assembler takes one vector at a time, so there is always a place for the next."""
        stack = self._config.dynamic
        assert stack is not None
        m.submodules.feeder = feeder = WordFeeder(
            row_bits=len(self.i_row), word_bits=stack.lanes * 16, words=input_words(stack, 0)
        )
        array = add_array(m, self, self._config, "dynamic", self.load)
        connect(m, feeder.o_words, array.i_words)
        connect(m, array.o_words, assembler.i_dynamic)
        m.d.comb += [
            feeder.i_start.eq(self.i_start),
            feeder.i_row.eq(self.i_row),
            self.o_row.eq(feeder.o_row),
            self.o_context.eq(feeder.o_busy),
            array.i_reserve.eq(self.i_start),
            array.i_space.eq(1),
            self.o_dynamic_step.eq(array.o_busy),
        ]
