"""Decides, cycle by cycle, which word of which layer an array works on."""

from itertools import accumulate

from amaranth.hdl import Array as SignalArray
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import Frozen
from microduet_hw.layout import LayerPlan


class SequencerShape(Frozen, frozen=True, kw_only=True):
    """What a sequencer walks through: the plans of its array's layers, in order."""

    plans: tuple[LayerPlan, ...]
    overlaps: bool = False
    """Layers of several vectors take turns: while one's words are on their way, another one is worked on."""

    @property
    def drain(self) -> int:
        """Steps of the longest drain of a round."""
        return max(len(drain) for plan in self.plans for drain in plan.drains)

    @property
    def rows(self) -> int:
        """Rows of weights that one item uses, in the order it uses them."""
        return sum(plan.rounds * plan.steps for plan in self.plans)

    @property
    def first_rows(self) -> tuple[int, ...]:
        """Row of weights of each layer's first step."""
        return tuple(accumulate((plan.rounds * plan.steps for plan in self.plans[:-1]), initial=0))

    @property
    def step(self) -> data.StructLayout:
        """One step that goes out: of `plan`, at word `word` with weights `row`, first or last of its round."""
        return data.StructLayout(
            {
                "plan": range(max(2, len(self.plans))),
                "word": range(max(2, *(plan.steps for plan in self.plans), 0)),
                "row": range(max(2, self.rows)),
                "first": 1,
                "last": 1,
                "vector_last": 1,
            }
        )


class Sequencer(wiring.Component):
    """Issues the steps of an array's layers, item after item: layer by layer, round by round, word by word.

    With `shape.overlaps` the layers of an item need not follow each other: at the end of a layer the next one in
    turn that can start does, whichever item it is of; each layer still takes the items in order.

    A step goes out when its word has come; the first of a layer when the layer's consumer has a place for the result
    (which is then reserved); the last of a round when the drain before it will be over.

    Latency: none from a word's arrival in `i_counts` to its step; a cycle if another layer was expected to be next.
    Throughput: a step per cycle.
    Back-pressure: `i_hold` stops it; otherwise only missing words and places do.
    Reset: at the first step of an item.

    Parameters
    ----------
    shape : the layers' plans

    Members
    -------
    i_counts, i_spaces : per layer, words that have come, and whether its consumer has a place
    i_ready : with `shape.overlaps`, per layer, its words have come, or will have when it is their turn
    o_step : stream of steps, always taken
    o_reserve, o_release : per layer, pulses to its consumer and its input buffer
    o_starved, o_blocked : a word is missing; a place or the drain is
    """

    i_counts: data.View
    i_spaces: Signal
    i_ready: Signal
    i_hold: Signal
    o_step: stream.Interface
    o_reserve: Signal
    o_release: Signal
    o_starved: Signal
    o_blocked: Signal

    def __init__(self, *, shape: SequencerShape) -> None:
        self._shape = shape
        layers = len(shape.plans)
        super().__init__(
            {
                "i_counts": In(data.ArrayLayout(range(max(plan.steps for plan in shape.plans) + 1), layers)),
                "i_spaces": In(layers),
                **({"i_ready": In(layers)} if shape.overlaps else {}),
                "i_hold": In(1),
                "o_step": Out(stream.Signature(shape.step, always_ready=True)),
                "o_reserve": Out(layers),
                "o_release": Out(layers),
                "o_starved": Out(1),
                "o_blocked": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, step = self._shape, self.o_step.p
        plan, word, row = Signal.like(step.plan), Signal.like(step.word), Signal.like(step.row)
        turn = Signal(range(max(2, *(p.rounds for p in shape.plans), 0)))
        draining = Signal(range(max(2, shape.drain)))
        last_word = SignalArray(p.steps - 1 for p in shape.plans)[plan]
        last_turn = SignalArray(p.rounds - 1 for p in shape.plans)[plan]
        # Signals of their own: read back from the payload, they would look like a loop to a simulator.
        last, vector_last = Signal(), Signal()
        starting = (word == 0) & (turn == 0)
        came = SignalArray(self.i_counts[k] for k in range(len(shape.plans)))[plan] > word
        placed = ~starting | SignalArray(self.i_spaces)[plan]
        drained = ~last | (draining == 0)
        m.d.comb += [
            last.eq(word == last_word),
            vector_last.eq(last & (turn == last_turn)),
            step.plan.eq(plan),
            step.word.eq(word),
            step.row.eq(row),
            step.first.eq(word == 0),
            step.last.eq(last),
            step.vector_last.eq(vector_last),
            self.o_starved.eq(~came),
            self.o_blocked.eq(came & ~(placed & drained)),
            self.o_step.valid.eq(came & placed & drained & ~self.i_hold),
        ]
        with m.If(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        with m.If(self.o_step.valid):
            m.d.comb += self.o_reserve.eq(starting << plan)
            m.d.comb += self.o_release.eq(vector_last << plan)
            m.d.sync += [word.eq(Mux(last, 0, word + 1)), row.eq(row + 1)]
            with m.If(last):
                m.d.sync += [draining.eq(self._drain(plan, vector_last) - 1), turn.eq(Mux(vector_last, 0, turn + 1))]
            with m.If(vector_last):
                final = plan == len(shape.plans) - 1
                m.d.sync += plan.eq(Mux(final, 0, plan + 1))
                with m.If(final):
                    m.d.sync += row.eq(0)
        if shape.overlaps:
            self._choose(m, plan, row, free=Mux(self.o_step.valid, vector_last, starting))
        return m

    def _drain(self, plan: Signal, final: Signal) -> Value | int:
        """Steps in which a round of layer `plan`, its final one or not, leaves; the most of all if that will do."""
        if not self._shape.overlaps:
            return self._shape.drain
        ends = [len(drain) for plan in self._shape.plans for drain in (plan.drains[0], plan.drains[-1])]
        return SignalArray(ends)[Cat(final, plan)]

    def _choose(self, m: Module, plan: Signal, row: Signal, *, free: Value) -> None:
        """When no layer is at work behind this cycle: go on with the next other one that can start, if any can.

        This layer's own words and place are of the vector that is done: it is not among them.
        """
        rows = self._shape.first_rows
        with m.If(free), m.Switch(plan):
            for number in range(len(rows)):
                with m.Case(number):
                    # In turn, so that one whose drain is long is followed by the layer that it was planned with.
                    for other in reversed([*range(number + 1, len(rows)), *range(number)]):
                        with m.If(self.i_ready[other] & self.i_spaces[other]):
                            m.d.sync += [plan.eq(other), row.eq(rows[other])]
