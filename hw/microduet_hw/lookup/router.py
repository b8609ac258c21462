"""Deals the indices of items out to the sources that look them up."""

import itertools

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import EngineConfig
from microduet_hw.lookup.geometry import ITEM_WORDS, WORD_BITS, SourcePlan, dense_beats
from microduet_hw.lookup.layouts import beat_layout, dense_layout, lookup_layout
from microduet_hw.lookup.schedule import schedule


class Router(wiring.Component):
    """Deals the indices of an item out to the sources, step by step of a fixed schedule.

    Latency: an index leaves at the earliest `LATENCY` cycle after its beat; in the step that the schedule gives it.
    Throughput: one step per cycle.
    Back-pressure: stops while any source has no room; it looks at `i_room` one cycle late.
    Reset: before an item.

    Parameters
    ----------
    config : the engine's configuration
    plans : the sources that look anything up

    Members
    -------
    i : stream of beats, as many per item as its packet should have
    o_lookups : per source of `plans` (absent without any), a stream of lookups, always ready while `i_room` is kept
    i_room : per source of `plans`, two more lookups fit
    o_dense : beats of dense elements
    o_dealt : the last step of an item; its next step is the first of the next item

    Attributes
    ----------
    steps : the schedule
    """

    LATENCY = 1

    i: stream.Interface
    o_lookups: list[stream.Interface]
    i_room: Signal
    o_dense: stream.Interface
    o_dealt: Signal

    def __init__(self, *, config: EngineConfig, plans: tuple[SourcePlan, ...]) -> None:
        self.steps = schedule(config, plans)
        self._plans = plans
        # Which words of the window a source is ever given: its choice is a number into this list.
        self._choices = [sorted({s.words[p.source] for s in self.steps if p.source in s.words}) for p in plans]
        lookups = Out(stream.Signature(lookup_layout(), always_ready=True))
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout())),
                **({"o_lookups": lookups.array(len(plans))} if plans else {}),
                "i_room": In(len(plans)),
                "o_dense": Out(stream.Signature(dense_layout(config), always_ready=True)),
                "o_dealt": Out(1),
            }
        )
        self._control = data.StructLayout(
            {
                "last": 1,
                "next_takes": 1,
                "dense": 1,
                "number": range(max(2, dense_beats(config))),
                "given": len(plans),
                "choice": data.StructLayout(
                    {str(k): range(max(2, len(choices))) for k, choices in enumerate(self._choices)}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        loaded, go, step = Signal(), Signal(), Signal()
        control = self._walk(m, step)
        m.d.mem += go.eq(self.i_room.all())
        m.d.comb += [
            step.eq(loaded & go),
            self.i.ready.eq(~loaded | (step & control.next_takes)),
            self.o_dealt.eq(step & control.last),
        ]
        deepest = max((choice // ITEM_WORDS for choices in self._choices for choice in choices), default=0)
        window = [Signal(beat_layout(), reset_less=True, name=f"beat_{age}") for age in range(deepest + 1)]
        newest = window[0]
        with m.If(self.i.valid & self.i.ready):
            m.d.mem += [loaded.eq(1), newest.eq(self.i.payload)]
            m.d.mem += [older.eq(newer) for newer, older in itertools.pairwise(window)]
        with m.Elif(step & control.next_takes):
            m.d.mem += loaded.eq(0)
        m.d.comb += [
            self.o_dense.valid.eq(step & control.dense),
            self.o_dense.p.number.eq(control.number),
            self.o_dense.p.data.eq(newest.data),
            self.o_dense.p.bad.eq(newest.bad),
        ]
        for k, choices in enumerate(self._choices):
            lookup = self.o_lookups[k]
            m.d.comb += lookup.valid.eq(step & control.given[k])
            with m.Switch(control.choice[str(k)]):
                for number, choice in enumerate(choices):
                    beat, word = window[choice // ITEM_WORDS], choice % ITEM_WORDS
                    with m.Case(number) if number < len(choices) - 1 else m.Default():
                        m.d.comb += [
                            lookup.p.index.eq(beat.data.word_select(word, WORD_BITS)),
                            lookup.p.bad.eq(beat.bad),
                        ]
        return m

    def _walk(self, m: Module, step: Signal) -> data.View:
        """What the step that is due does: a register, so that the schedule's logic is off the way of the indices."""
        control = Signal(self._control, init=self._encode(0))
        following = Signal(range(max(2, len(self.steps))), init=1 % len(self.steps))
        with m.If(step):
            m.d.mem += following.eq(following + 1)
            with m.If(following == len(self.steps) - 1):
                m.d.mem += following.eq(0)
            with m.Switch(following):
                for number in range(len(self.steps)):
                    with m.Case(number):
                        m.d.mem += control.eq(self._control.const(self._encode(number)))
        return control

    def _encode(self, number: int) -> dict[int | str, object]:
        step = self.steps[number]
        given = [p.source in step.words for p in self._plans]
        choice = {
            str(k): choices.index(step.words[p.source]) if given[k] else 0
            for k, (p, choices) in enumerate(zip(self._plans, self._choices, strict=True))
        }
        return {
            "last": number == len(self.steps) - 1,
            "next_takes": self.steps[(number + 1) % len(self.steps)].takes,
            "dense": step.dense is not None,
            "number": step.dense or 0,
            "given": sum(bit << k for k, bit in enumerate(given)),
            "choice": choice,
        }
