"""Empties an array's shadow registers: requantises a round of outputs and sends it as the next layer's words."""

from itertools import accumulate
from typing import Any

from amaranth.hdl import Array as SignalArray
from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.activation import word_layout
from microduet_hw.config import Frozen
from microduet_hw.layout import LayerPlan
from microduet_hw.requantiser import Requantiser, RequantiserShape
from microduet_hw.weight_check import CheckPort


class DrainShape(Frozen, frozen=True, kw_only=True):
    """What a drain empties: the plans of its array's layers, its requantisers, and the lanes of a word that leaves.

    There are as many requantisers as a step carries outputs: all lanes, or all PEs if these are fewer. With `users` the
    biases of the first layer's outputs come from outside, vector by vector. `checked`: the parameters can be read.
    """

    plans: tuple[LayerPlan, ...]
    requantiser: RequantiserShape
    pes: int
    drain: int
    users: bool = False
    checked: bool = False

    @property
    def user_rows(self) -> int:
        """Steps of the first layer's drain."""
        return sum(len(drain) for drain in self.plans[0].drains)

    @property
    def leftover(self) -> int:
        """Outputs of a round that do not fill a step."""
        return self.pes % self.drain

    @property
    def gathered(self) -> int:
        """Rounds whose leftovers make one word."""
        return self.drain // self.leftover if self.leftover else 1

    @property
    def parameter_rows(self) -> int:
        """Rows of parameters: one per drain step of one item, in the order of the steps."""
        return sum(len(drain) for plan in self.plans for drain in plan.drains)

    @property
    def first_rows(self) -> tuple[int, ...]:
        """Row of parameters of each layer's first step."""
        return tuple(accumulate((sum(map(len, plan.drains)) for plan in self.plans[:-1]), initial=0))

    @property
    def tag(self) -> data.StructLayout:
        """What the drain remembers of a step while it is requantised."""
        return data.StructLayout(
            {
                "plan": unsigned(max(1, (len(self.plans) - 1).bit_length())),
                "leftover": 1,
                "place": unsigned(max(1, (self.gathered - 1).bit_length())),
                "emits": 1,
                "last": 1,
            }
        )


class BiasPort(wiring.Signature):
    """Biases from outside: where `row` is read, in the order of steps, `data` follows one cycle later, lane 0 lowest.

    `last` is high with `read` in the vector's last row.
    """

    def __init__(self, shape: DrainShape) -> None:
        lanes = shape.requantiser.lanes
        super().__init__(
            {
                "read": Out(1),
                "row": Out(range(max(2, shape.user_rows))),
                "last": Out(1),
                "data": In(lanes * shape.requantiser.bias_bits),
            }
        )


class Drain(wiring.Component):
    """Shifts a captured round out of the array, R outputs per cycle (or all P, if they are fewer), and sends words on.

    Latency: the first word is sent ``1 + requantiser latency`` cycles after `i_capture`.
    Throughput: a step per cycle; captures may follow each other at the distance of a round's steps.
    Back-pressure: none; the words' consumer has reserved a place.
    Reset: nothing in flight, the next round is the first of its layer.

    Parameters
    ----------
    shape : plans and requantiser

    Members
    -------
    i_capture : stream of {plan, last}: round of layer `plan`, the layer's last round; in the cycle of PEs' `i_capture`.
        The rounds of a layer follow each other
    i_tail : shadow registers of PEs 0 .. min(P, R) - 1
    o_shift : the PEs' `i_shift`
    o_words_K : words of layer K of this array, always taken
    i_load, i_load_row, i_load_data : write a row of parameters
    biases : `BiasPort`, of the first layer's outputs in place of those of the parameters; only if there are `users`
    check : `CheckPort` of the parameters, while nothing is in flight; only if they are `checked`
    """

    i_capture: stream.Interface
    i_tail: Signal
    o_shift: Signal
    i_load: Signal
    i_load_row: Signal
    i_load_data: Signal
    biases: Any
    check: Any

    def __init__(self, *, shape: DrainShape) -> None:
        self._shape = shape
        requantiser = shape.requantiser
        capture = data.StructLayout({"plan": shape.tag["plan"].shape, "last": 1})
        words = word_layout(requantiser.width * shape.drain)
        super().__init__(
            {
                "i_capture": In(stream.Signature(capture, always_ready=True)),
                "i_tail": In(requantiser.lanes * requantiser.pe.chain_bits),
                "o_shift": Out(1),
                "i_load": In(1),
                "i_load_row": In(range(max(2, shape.parameter_rows))),
                "i_load_data": In(requantiser.parameters.size),
            }
            | {f"o_words_{k}": Out(stream.Signature(words, always_ready=True)) for k in range(len(shape.plans))}
            | ({"biases": Out(BiasPort(shape))} if shape.users else {})
            | ({"check": In(CheckPort(requantiser.parameters.size))} if shape.checked else {})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.requantiser = requantiser = Requantiser(shape=self._shape.requantiser)
        tag, active, advance = self._steps(m)
        m.d.comb += [
            self.o_shift.eq(active),
            requantiser.i.valid.eq(active),
            requantiser.i.p.sums.eq(self.i_tail),
            requantiser.i.p.parameters.eq(self._parameters(m, advance, tag.plan)),
        ]
        enables = active
        for stage in range(self._shape.requantiser.latency):
            following = Signal(self._shape.tag, reset_less=True, name=f"tag_{stage}")
            valid = Signal(name=f"valid_{stage}")
            m.d.sync += valid.eq(enables)
            with m.If(enables):
                m.d.sync += following.eq(tag)
            tag, enables = following, valid
        self._send(m, requantiser, tag)
        return m

    def _steps(self, m: Module) -> tuple[data.View, Signal, Signal]:
        """The steps of a round: their tags, whether one is on, and whether the next row of parameters is wanted."""
        shape = self._shape
        plan, last = Signal.like(self.i_capture.p.plan), Signal()
        active, number = Signal(), Signal(range(max(2, *(len(d) for p in shape.plans for d in p.drains), 0)))
        advance = Signal()
        place = Signal(shape.tag["place"].shape)
        ends, leftovers = [], []
        for each in shape.plans:
            for drain in (each.drains[0], each.drains[-1]):
                ends.append(len(drain) - 1)
                leftovers.append(drain[-1].leftover)
        kind = Cat(last, plan)
        final, leftover = Signal(), Signal()
        tag = Signal(shape.tag)
        m.d.comb += [
            final.eq(number == SignalArray(ends)[kind]),
            leftover.eq(final & SignalArray(leftovers)[kind]),
            tag.plan.eq(plan),
            tag.leftover.eq(leftover),
            tag.place.eq(place),
            tag.emits.eq(~leftover | last | (place == shape.gathered - 1)),
            tag.last.eq(final & last),
            advance.eq(self.i_capture.valid | (active & ~final)),
        ]
        with m.If(active):
            m.d.sync += [number.eq(number + 1), active.eq(~final)]
            with m.If(final & last):
                m.d.sync += place.eq(0)
            with m.Elif(leftover):
                m.d.sync += place.eq(Mux(place == shape.gathered - 1, 0, place + 1))
        with m.If(self.i_capture.valid):
            m.d.sync += [active.eq(1), number.eq(0), plan.eq(self.i_capture.p.plan), last.eq(self.i_capture.p.last)]
        return tag, active, advance

    def _parameters(self, m: Module, advance: Value, plan: Value) -> Value:
        """The row of parameters of the step that is on: read one cycle before, in the order of the steps."""
        shape = self._shape
        # A memory of one row would have an address of no bits, which Verilog can't write.
        m.submodules.parameters = rows = memory.Memory(
            shape=unsigned(shape.requantiser.parameters.size), depth=max(2, shape.parameter_rows), init=[]
        )
        write, read = rows.write_port(), rows.read_port()
        row, following = Signal(range(max(2, shape.parameter_rows))), Signal(range(max(2, shape.parameter_rows)))
        begins = Signal(init=1)
        m.d.comb += row.eq(following)
        with m.If(self.i_capture.valid):
            m.d.sync += begins.eq(self.i_capture.p.last)
            with m.If(begins):
                m.d.comb += row.eq(SignalArray(shape.first_rows)[self.i_capture.p.plan])
        with m.If(advance):
            m.d.sync += following.eq(row + 1)
        m.d.comb += [
            read.addr.eq(Mux(self.check.read, self.i_load_row, row) if shape.checked else row),
            read.en.eq(1),
            write.addr.eq(self.i_load_row),
            write.data.eq(self.i_load_data),
            write.en.eq(self.i_load),
        ]
        if shape.checked:
            m.d.comb += self.check.data.eq(read.data)
        return self._with_users(m, read.data, reads=advance, row=row, plan=plan) if shape.users else read.data

    def _with_users(self, m: Module, loaded: Value, *, reads: Value, row: Value, plan: Value) -> Value:
        """The parameters of a step, with the biases from outside if the step is of the first layer."""
        bits, port = self._shape.requantiser.bias_bits, self.biases
        parameters = Signal(self._shape.requantiser.parameters, name="begun_by_user")
        m.d.comb += [
            parameters.eq(loaded),
            port.read.eq(reads & (row < self._shape.user_rows)),
            port.row.eq(row),
            port.last.eq(reads & (row == self._shape.user_rows - 1)),
        ]
        with m.If(plan == 0):
            for lane in range(self._shape.requantiser.lanes):
                m.d.comb += parameters.lanes[lane].bias.eq(port.data.word_select(lane, bits))
        return parameters.as_value()

    def _send(self, m: Module, requantiser: Requantiser, tag: data.View) -> None:
        shape = self._shape
        # As bits: a choice between a signed and an unsigned value would be one bit wider.
        lanes = [Value.cast(requantiser.o.p[k]).as_unsigned() for k in range(shape.requantiser.lanes)]
        word = Cat(*lanes)
        if shape.leftover:
            kept = [Signal(len(lanes[0]), reset_less=True, name=f"kept_{k}") for k in range(shape.drain)]
            merged = [Signal.like(old, name=f"merged_{k}") for k, old in enumerate(kept)]
            for k, new in enumerate(merged):
                m.d.comb += new.eq(Mux(tag.place == k // shape.leftover, lanes[k % shape.leftover], kept[k]))
            with m.If(requantiser.o.valid & tag.leftover):
                m.d.sync += [old.eq(new) for old, new in zip(kept, merged, strict=True)]
            word = Mux(tag.leftover, Cat(*merged), word) if shape.pes > shape.drain else Cat(*merged)
        for k in range(len(shape.plans)):
            words = getattr(self, f"o_words_{k}")
            m.d.comb += [
                words.valid.eq(requantiser.o.valid & tag.emits & (tag.plan == k)),
                words.p.data.eq(word),
                words.p.last.eq(tag.last),
            ]
