"""The static bottom MLP in the background: from static inputs in a message to the memoisation register."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from microduet_hw.edge.arrays import LoadedWord, add_array, check_members, stream_members
from microduet_hw.edge.config import BEAT_BITS, EdgeConfig
from microduet_hw.edge.feeder import WordFeeder
from microduet_hw.edge.memo import TAG_BITS, MemoRegister
from microduet_hw.layout import input_words


class StaticPath(wiring.Component):
    """Takes static inputs out of a message, has them computed by an array of its own, and keeps the result.

    Latency: from a start to new values, the words of the inputs, a step of the array per row of weights, and some 20
    cycles; an update that is overtaken by new inputs is computed to its end first.
    Throughput: one update after the other.
    Back-pressure: inputs are always taken.
    Reset: no value.

    Parameters
    ----------
    config : of a unit with a static bottom MLP

    Members
    -------
    i_start, o_busy : take the inputs out of the message; words are still to be taken after this cycle's
    i_tag : of the message
    o_row, i_row : of the message buffer
    load : `LoadedWord`
    i_hold, o_values, o_tag, o_valid, o_updating, o_commit : as `MemoRegister`
    o_step : a step of the array went out
    those of `stream_members`, if its weights are streamed
    check_static : `ArrayCheck`, while no update is under way; only if weights are checked
    """

    i_start: Signal
    o_busy: Signal
    i_tag: Signal
    o_row: Signal
    i_row: Signal
    load: Any
    i_hold: Signal
    o_values: Signal
    o_tag: Signal
    o_valid: Signal
    o_updating: Signal
    o_commit: Signal
    o_step: Signal
    i_run: Signal
    o_status: Signal
    check_static: Any

    def __init__(self, *, config: EdgeConfig) -> None:
        assert config.static is not None, "the unit has no static bottom MLP"
        self._config, self._stack = config, config.static
        self._feeder = WordFeeder(
            row_bits=config.row_beats * BEAT_BITS,
            word_bits=self._stack.lanes * 16,
            words=input_words(self._stack, 0),
        )
        super().__init__(
            {
                "i_start": In(1),
                "o_busy": Out(1),
                "i_tag": In(TAG_BITS),
                "o_row": Out(len(self._feeder.o_row)),
                "i_row": In(len(self._feeder.i_row)),
                "load": In(LoadedWord(config)),
                "i_hold": In(1),
                "o_values": Out(self._stack.outputs * 16),
                "o_tag": Out(TAG_BITS),
                "o_valid": Out(1),
                "o_updating": Out(1),
                "o_commit": Out(1),
                "o_step": Out(1),
            }
            | stream_members(config, "static")
            | check_members(config, "static")
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.feeder = feeder = self._feeder
        m.submodules.memo = memo = MemoRegister(stack=self._stack)
        array = add_array(m, self, self._config, "static", self.load)
        connect(m, feeder.o_words, memo.i_inputs)
        connect(m, memo.o_words, array.i_words)
        connect(m, array.o_words, memo.i_words)
        m.d.comb += [
            feeder.i_start.eq(self.i_start),
            feeder.i_row.eq(self.i_row),
            self.o_row.eq(feeder.o_row),
            self.o_busy.eq(feeder.o_busy),
            memo.i_tag.eq(self.i_tag),
            memo.i_hold.eq(self.i_hold),
            memo.i_space.eq(array.o_space),
            array.i_reserve.eq(memo.o_reserve),
            # The register takes a result whenever it comes: there is one at a time.
            array.i_space.eq(1),
            memo.i_bad.eq(self.o_status != 0 if self._stack.streamed else 0),
            self.o_step.eq(array.o_busy),
        ]
        m.d.comb += [getattr(self, name).eq(getattr(memo, name)) for name in ("o_values", "o_tag", "o_valid")]
        m.d.comb += [getattr(self, name).eq(getattr(memo, name)) for name in ("o_updating", "o_commit")]
        return m
