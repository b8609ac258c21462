"""A PeArray without its PEs: input buffers, sequencer and drain. The pairs hang on its registered outputs."""

from typing import Any

from amaranth.hdl import Array as SignalArray
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from microduet_hw.activation import VECTORS, ActivationBuffer, word_layout
from microduet_hw.config import Array, EngineConfig, Frozen
from microduet_hw.drain import BiasPort, Drain, DrainShape
from microduet_hw.joined_input import InputBuffer, JoinedBuffer, connect_vector
from microduet_hw.layout import Layers, plan_layer, section_words
from microduet_hw.operands import operands
from microduet_hw.pe import PAIR_BITS, PeShape, pe_shape, without
from microduet_hw.places import ISSUE_TO_CAPTURE, input_places
from microduet_hw.requantiser import RequantiserShape
from microduet_hw.sequencer import Sequencer, SequencerShape
from microduet_hw.weight_check import CheckPort


class PairControl(wiring.Signature):
    """What the pairs of an array are told and what they tell: every `Out` member is a register.

    With streamed weights the pairs are told the row of all PEs, PE 0 lowest, in place of addresses and loads.
    """

    def __init__(self, shape: "PeArrayShape") -> None:
        pe = shape.pe
        members = {
            "x": Out(pe.lanes * pe.operand_bits),
            "address": Out(pe.address_bits),
            "first": Out(1),
            "accumulate": Out(1),
            "capture": Out(1),
            "shift": Out(1),
            "load": Out(1),
            "load_pair": Out(PAIR_BITS),
            "load_half": Out(1),
            "tail": In(shape.drain.requantiser.lanes * pe.chain_bits),
        }
        if pe.streamed:
            members = without(members, "address", "load", "load_pair", "load_half") | {"weights": Out(shape.row_bits)}
        super().__init__(members)


class PairLoad(wiring.Signature):
    """A row of weights to load: `row` of PE `half`, `pair` becomes `data`; or the operands of one that is `checked`."""

    def __init__(self, pe: PeShape, *, checked: bool) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "pair": Out(PAIR_BITS),
                "half": Out(1),
                "row": Out(pe.address_bits),
                "data": Out(pe.lanes * pe.operand_bits if checked else pe.weight_bits),
            }
        )


class PeArrayShape(Frozen, frozen=True, kw_only=True):
    """Everything an array's control depends on."""

    pe: PeShape
    sequencer: SequencerShape
    drain: DrainShape
    bottom: int = 0
    """Layer of the array that reads words from outside before those of the layer before; 0: none."""
    beside: int = 0
    """Words of a vector that are for that layer; they come behind the first layer's."""
    places: int = VECTORS
    """Vectors in front of the first layer."""

    @property
    def row_bits(self) -> int:
        """Bits of the weights of all PEs for one step."""
        return self.drain.pes * self.pe.weight_bits


def pe_array_shape(config: Layers, array: Array) -> PeArrayShape:
    """Sizes of the control of `array`."""
    plans = tuple(plan_layer(config, number) for number in array.layers)
    pe = pe_shape(config, array)
    requantiser = RequantiserShape(
        pe=pe,
        lanes=array.requantised,
        bias_bits=config.accumulator_width,
        width=config.precision.width,
        signed=config.precision.signed,
    )
    user = config.user if isinstance(config, EngineConfig) else None
    users = user is not None and user.layer == array.layers[0]
    checked = isinstance(config, EngineConfig) and config.weight_check
    drain = DrainShape(
        plans=plans, requantiser=requantiser, pes=array.pes, drain=array.drain, users=users, checked=checked
    )
    bottom = config.bottom if 0 in array.layers else 0
    beside = section_words(config, 1) if bottom else 0
    sequencer = SequencerShape(plans=plans, overlaps=bottom > 0)
    places = input_places(config, config.arrays.index(array)) if isinstance(config, EngineConfig) else VECTORS
    return PeArrayShape(pe=pe, sequencer=sequencer, drain=drain, bottom=bottom, beside=beside, places=places)


class PeArray(Component):
    """Computes its layers' outputs, item after item.

    Latency: a word that has come is the pairs' operand two cycles later; a round's first outputs are words
    ``ISSUE_TO_CAPTURE + 2 + requantiser latency`` cycles after its last step went out.
    Throughput: a step (one word, all PEs) per cycle.
    Back-pressure: a layer starts when its consumer has a place (`i_spaces`); after that nothing stalls, but that a step
    with streamed weights goes out when its row is there.
    Reset: empty, at the first step of an item.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    i_words, i_reserve, o_space : input of the first layer, then of layer `bottom`, as `ActivationBuffer`
    o_words, o_reserve, i_space : output of the last layer, towards its consumer
    pairs : `PairControl`
    load : `PairLoad`; not with streamed weights
    weights : stream of rows of all PEs' weights, PE 0 lowest, in the order of steps; only with streamed weights
    load_parameters, load_parameters_row, load_parameters_data : as `Drain`
    biases : as `Drain`; only with users at the first layer
    check : as `Drain`; only if weights are checked
    o_busy, o_starved, o_blocked : this cycle a step went out; a word or a row was missing; a place was
    """

    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    o_words: stream.Interface
    o_reserve: Signal
    i_space: Signal
    pairs: Any
    load: Any
    weights: stream.Interface
    load_parameters: Signal
    load_parameters_row: Signal
    load_parameters_data: Signal
    o_busy: Signal
    o_starved: Signal
    o_blocked: Signal
    biases: Any
    check: Any

    def __init__(self, *, shape: PeArrayShape) -> None:
        self._shape = shape
        requantiser = shape.drain.requantiser
        inputs = word_layout(shape.pe.lanes * shape.pe.precision.width)
        outputs = word_layout(shape.drain.drain * requantiser.width)
        weights = {"load": In(PairLoad(shape.pe, checked=shape.drain.checked))}
        if shape.pe.streamed:
            weights = {"weights": In(stream.Signature(shape.row_bits))}
        super().__init__(
            {
                "i_words": In(stream.Signature(inputs, always_ready=True)),
                "i_reserve": In(1),
                "o_space": Out(1),
                "o_words": Out(stream.Signature(outputs, always_ready=True)),
                "o_reserve": Out(1),
                "i_space": In(1),
                "pairs": Out(PairControl(shape)),
                **weights,
                "load_parameters": In(1),
                "load_parameters_row": In(range(max(2, shape.drain.parameter_rows))),
                "load_parameters_data": In(requantiser.parameters.size),
                "o_busy": Out(1),
                "o_starved": Out(1),
                "o_blocked": Out(1),
                **({"biases": Out(BiasPort(shape.drain))} if shape.drain.users else {}),
                **({"check": In(CheckPort(requantiser.parameters.size))} if shape.drain.checked else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self._shape
        m.submodules.sequencer = sequencer = Sequencer(shape=shape.sequencer)
        m.submodules.drain = drain = Drain(shape=shape.drain)
        buffers = self._buffers(m, sequencer, drain)
        self._operands(m, sequencer, buffers)
        hold, starved = (self._stream if shape.pe.streamed else self._rows)(m, sequencer)
        self._control(m, sequencer, drain)
        m.d.comb += [
            drain.i_tail.eq(self.pairs.tail),
            self.pairs.shift.eq(drain.o_shift),
            drain.i_load.eq(self.load_parameters),
            drain.i_load_row.eq(self.load_parameters_row),
            drain.i_load_data.eq(self.load_parameters_data),
            sequencer.i_hold.eq(hold),
            self.o_busy.eq(sequencer.o_step.valid),
            self.o_starved.eq(starved),
            self.o_blocked.eq(sequencer.o_blocked),
        ]
        if shape.drain.users:
            connect(m, drain.biases, flipped(self.biases))
        if shape.drain.checked:
            connect(m, flipped(self.check), drain.check)
        return m

    def _buffer(self, number: int) -> InputBuffer:
        """The input buffer of the array's layer `number`."""
        shape, bits = self._shape, len(self.i_words.p.data)
        words = shape.sequencer.plans[number].steps
        if number and number == shape.bottom:
            return JoinedBuffer(beside=shape.beside, words=words - shape.beside, bits=bits)
        return ActivationBuffer(words=words, bits=bits, vectors=VECTORS if number else shape.places)

    def _buffers(self, m: Module, sequencer: Sequencer, drain: Drain) -> list[InputBuffer]:
        """One input buffer per layer, each fed by the layer before it."""
        plans = self._shape.sequencer.plans
        buffers = [self._buffer(k) for k in range(len(plans))]
        for k, buffer in enumerate(buffers):
            m.submodules[f"input_{k}"] = buffer
            m.d.comb += [
                buffer.i_address.eq(sequencer.o_step.p.word),
                buffer.i_release.eq(sequencer.o_release[k]),
                sequencer.i_counts[k].eq(buffer.o_count),
            ]
            if self._shape.sequencer.overlaps:
                ready = buffer.o_ready if isinstance(buffer, JoinedBuffer) else buffer.o_count == plans[k].steps
                m.d.comb += sequencer.i_ready[k].eq(ready)
            if k:
                connect(m, getattr(drain, f"o_words_{k - 1}"), buffer.i_words)
                m.d.comb += buffer.i_reserve.eq(sequencer.o_reserve[k - 1])
                m.d.comb += sequencer.i_spaces[k - 1].eq(buffer.o_space)
        m.d.comb += [sequencer.i_spaces[-1].eq(self.i_space), self.o_reserve.eq(sequencer.o_reserve[-1])]
        connect(m, getattr(drain, f"o_words_{len(plans) - 1}"), flipped(self.o_words))
        connect_vector(m, self, buffers[0], buffers[self._shape.bottom], words=plans[0].steps)
        return buffers

    def _operands(self, m: Module, sequencer: Sequencer, buffers: list[InputBuffer]) -> None:
        """Operands to the pairs, two cycles after the step."""
        step = sequencer.o_step
        valid, plan = Signal(), Signal.like(step.p.plan)
        m.d.sync += [valid.eq(step.valid), plan.eq(step.p.plan)]
        word = SignalArray(buffer.o_data for buffer in buffers)[plan]
        with m.If(valid):
            m.d.sync += self.pairs.x.eq(operands(self._shape.pe, word))

    def _rows(self, m: Module, sequencer: Sequencer) -> tuple[Value, Value]:
        """Numbers of rows to the pairs, one cycle after the step, or rows to load; what holds and starves steps."""
        step = sequencer.o_step
        m.d.sync += self.pairs.load.eq(self.load.valid)
        with m.If(self.load.valid):
            m.d.sync += [
                self.pairs.x.eq(self.load.data),
                self.pairs.address.eq(self.load.row),
                self.pairs.load_pair.eq(self.load.pair),
                self.pairs.load_half.eq(self.load.half),
            ]
        with m.Elif(step.valid):
            m.d.sync += self.pairs.address.eq(step.p.row)
        return self.load.valid, sequencer.o_starved

    def _stream(self, m: Module, sequencer: Sequencer) -> tuple[Value, Value]:
        """Rows of weights to the pairs, two cycles after the step, like its operand; as `_rows`."""
        missing = ~self.weights.valid
        wanted = ~sequencer.o_starved & ~sequencer.o_blocked
        row, taken = Signal(self._shape.row_bits, reset_less=True), Signal()
        # Whether a row is there or not: its sender may tell from it how long one has been waited for.
        m.d.comb += self.weights.ready.eq(wanted)
        m.d.sync += taken.eq(sequencer.o_step.valid)
        with m.If(sequencer.o_step.valid):
            m.d.sync += row.eq(self.weights.payload)
        with m.If(taken):
            m.d.sync += self.pairs.weights.eq(row)
        return missing, sequencer.o_starved | (wanted & missing)

    def _control(self, m: Module, sequencer: Sequencer, drain: Drain) -> None:
        """A step's flags, moved along until its products reach the accumulators."""
        step = sequencer.o_step
        flags = data.StructLayout({"first": 1, "last": 1, "vector_last": 1, "plan": step.p.plan.shape()})
        now = Signal(flags)
        m.d.comb += [now[name].eq(step.p[name]) for name in ("first", "last", "vector_last", "plan")]
        valid: Value = step.valid
        for stage in range(ISSUE_TO_CAPTURE):
            following, following_valid = Signal(flags, name=f"flags_{stage}"), Signal(name=f"flags_valid_{stage}")
            final = stage == ISSUE_TO_CAPTURE - 1
            m.d.sync += following_valid.eq(valid)
            if final:
                m.d.sync += self.pairs.capture.eq(valid & now.last)
            with m.If(valid):
                m.d.sync += following.eq(now)
            now, valid = following, following_valid
        m.d.comb += [
            self.pairs.accumulate.eq(valid),
            self.pairs.first.eq(now.first),
            drain.i_capture.valid.eq(self.pairs.capture),
            drain.i_capture.p.plan.eq(now.plan),
            drain.i_capture.p.last.eq(now.vector_last),
        ]
