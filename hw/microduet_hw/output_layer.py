"""The last layer: one dot product per item, taken from the words as they leave the array before it."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from microduet_hw.activation import word_layout
from microduet_hw.config import EngineConfig, Frozen
from microduet_hw.operands import operands
from microduet_hw.pe import PeShape, ProcessingElement, output_shape
from microduet_hw.places import RESULTS, result_places
from microduet_hw.requantiser import Requantiser, RequantiserShape
from microduet_hw.sigmoid import ENTRY, SCORE_BITS, Sigmoid
from microduet_hw.weight_check import CheckPort


def result_layout(logit_bits: int) -> data.StructLayout:
    """Payload of a stream of results."""
    return data.StructLayout({"logit": signed(logit_bits), "score": unsigned(SCORE_BITS)})


class OutputLayerShape(Frozen, frozen=True, kw_only=True):
    """Sizes of an output layer."""

    pe: PeShape
    requantiser: RequantiserShape
    sigmoid: bool
    users: bool = False
    """Sums wait outside for their user, and come back with his part in place of the bias."""
    places: int = RESULTS
    """Results that are on their way or wait for the output port before the layer takes no more vectors."""
    checked: bool = False
    """What was loaded can be read."""

    @property
    def checks(self) -> dict[str, int]:
        """Bits of a row of each memory that can be read, by the name of its port."""
        if not self.checked:
            return {}
        sigmoid = {"check_sigmoid": ENTRY.size} if self.sigmoid else {}
        return {"check_weights": self.pe.chain_bits, "check_parameters": self.requantiser.parameters.size, **sigmoid}


def output_layer_shape(config: EngineConfig) -> OutputLayerShape:
    """Sizes of the output layer of `config`."""
    pe = output_shape(config)
    requantiser = RequantiserShape(
        pe=pe, lanes=1, bias_bits=config.accumulator_width, width=config.precision.logit_width, signed=True
    )
    users = config.user is not None and config.user.layer == len(config.hidden)
    return OutputLayerShape(
        pe=pe,
        requantiser=requantiser,
        sigmoid=config.sigmoid,
        users=users,
        places=result_places(config),
        checked=config.weight_check,
    )


class OutputLayer(wiring.Component):
    """Turns a vector of words into a logit and a score.

    Latency: `SUM_LATENCY` + 2 cycles from a vector's last word to the sum, then the requantiser's and the sigmoid's.
    Throughput: a word per cycle.
    Back-pressure: a producer reserves a result's place (`i_reserve` while `o_space`) before it sends a vector.
    Reset: nothing in flight.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    i_words, i_reserve, o_space : as `ActivationBuffer`
    o_sums : stream of sums, each a vector of one word; only with users
    i_sums, i_bias : sums that come back, and what each begins with; `i_reserve` and `o_space` are theirs. Only with
        users
    o_results : stream of {logit, score}, always taken; whoever takes one gives its place back by `i_return`
    load_weights, load_parameters, load_sigmoid, load_row, load_data : write a row of one of the memories
    check_weights, check_parameters, check_sigmoid : a `CheckPort` of each, while nothing is in flight; of weights, what
        is read is multiplied with `load_data`, and `data` the sum that `check_take` took. Only those of `shape.checks`
    """

    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    o_results: stream.Interface
    i_return: Signal
    load_weights: Signal
    load_parameters: Signal
    load_sigmoid: Signal
    load_row: Signal
    load_data: Signal
    o_sums: stream.Interface
    i_sums: stream.Interface
    i_bias: Signal
    check_weights: Any
    check_parameters: Any
    check_sigmoid: Any
    check_take: Signal

    def __init__(self, *, shape: OutputLayerShape) -> None:
        self._shape = shape
        pe, requantiser = shape.pe, shape.requantiser
        sums = stream.Signature(word_layout(pe.chain_bits), always_ready=True)
        users = {"o_sums": Out(sums), "i_sums": In(sums), "i_bias": In(requantiser.bias_bits)} if shape.users else {}
        checks = {"check_take": In(1)} if shape.checked else {}
        load_bits = pe.lanes * pe.operand_bits if shape.checked else pe.weight_bits
        super().__init__(
            {
                "i_words": In(stream.Signature(word_layout(pe.lanes * pe.precision.width), always_ready=True)),
                "i_reserve": In(1),
                "o_space": Out(1),
                "o_results": Out(stream.Signature(result_layout(requantiser.width), always_ready=True)),
                "i_return": In(1),
                "load_weights": In(1),
                "load_parameters": In(1),
                "load_sigmoid": In(1),
                "load_row": In(max(pe.address_bits, 12)),
                "load_data": In(max(load_bits, requantiser.parameters.size)),
                **users,
                **checks,
                **{name: In(CheckPort(bits)) for name, bits in shape.checks.items()},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = Signal(range(self._shape.places + 1), init=self._shape.places)
        m.d.sync += places.eq(places + self.i_return - self.i_reserve)
        m.d.comb += self.o_space.eq(places != 0)
        parameters = self._parameters(m)
        sums_valid, sums = self._dot_product(m)
        if self._shape.users:
            sums_valid, sums = self._with_users(m, sums_valid, sums, parameters)
        m.submodules.requantiser = requantiser = Requantiser(shape=self._shape.requantiser)
        m.d.comb += [
            requantiser.i.valid.eq(sums_valid),
            requantiser.i.p.sums.eq(sums),
            requantiser.i.p.parameters.eq(parameters),
        ]
        self._score(m, requantiser)
        return m

    def _dot_product(self, m: Module) -> tuple[Value, Value]:
        pe = self._shape.pe
        m.submodules.pe = element = ProcessingElement(shape=pe)
        row, first = Signal(pe.address_bits), Signal(init=1)
        final = self.i_words.valid & self.i_words.p.last
        with m.If(self.i_words.valid):
            m.d.sync += [row.eq(Mux(self.i_words.p.last, 0, row + 1)), first.eq(self.i_words.p.last)]
        operand = Signal(pe.lanes * pe.operand_bits, reset_less=True)
        with m.If(self.i_words.valid):
            m.d.sync += operand.eq(operands(pe, self.i_words.p.data))
        flags: Value = Cat(self.i_words.valid, first, final)
        for stage in range(ProcessingElement.SUM_LATENCY):
            following = Signal(3, name=f"flags_{stage}")
            m.d.sync += following.eq(flags)
            flags = following
        summed = Signal()
        m.d.sync += summed.eq(flags[2])
        named = self.load_weights
        if self._shape.checked:
            named = named | self.check_weights.read
            flags = flags | self.check_take.replicate(3)
            m.d.comb += self.check_weights.data.eq(element.o_chain)
        m.d.comb += [
            element.i_x.eq(Mux(named, self.load_data, operand)),
            element.i_address.eq(Mux(named, self.load_row, row)),
            element.i_load.eq(self.load_weights),
            element.i_addressed.eq(1),
            element.i_accumulate.eq(flags[0]),
            element.i_first.eq(flags[1]),
            element.i_capture.eq(flags[2]),
        ]
        return summed, element.o_chain

    def _with_users(self, m: Module, valid: Value, sums: Value, parameters: Any) -> tuple[Value, Value]:
        """Send sums out; those that come back, with the user's part as the bias of their parameters."""
        m.d.comb += [
            self.o_sums.valid.eq(valid),
            self.o_sums.p.data.eq(sums),
            self.o_sums.p.last.eq(1),
            parameters.lanes[0].bias.eq(self.i_bias),
        ]
        return self.i_sums.valid, self.i_sums.p.data

    def _parameters(self, m: Module) -> Any:
        """The only row of parameters: registers."""
        layout = self._shape.requantiser.parameters
        row, result = Signal(layout.size, reset_less=True), Signal(layout, name="row_fields")
        with m.If(self.load_parameters):
            m.d.sync += row.eq(self.load_data)
        m.d.comb += result.eq(row)
        if self._shape.checked:
            m.d.comb += self.check_parameters.data.eq(row)
        return result

    def _score(self, m: Module, requantiser: Requantiser) -> None:
        logit = Value.cast(requantiser.o.p[0]).as_signed()
        if not self._shape.sigmoid:
            m.d.comb += [self.o_results.valid.eq(requantiser.o.valid), self.o_results.p.logit.eq(logit)]
            return
        m.submodules.sigmoid = sigmoid = Sigmoid(checked=self._shape.checked)
        if self._shape.checked:
            connect(m, flipped(self.check_sigmoid), sigmoid.check)
        m.d.comb += [
            sigmoid.i.valid.eq(requantiser.o.valid),
            sigmoid.i.payload.eq(logit[-16:].as_signed()),
            sigmoid.i_load.eq(self.load_sigmoid),
            sigmoid.i_load_row.eq(self.load_row),
            sigmoid.i_load_data.eq(self.load_data),
        ]
        for stage in range(Sigmoid.LATENCY):
            following = Signal(signed(len(logit)), reset_less=True, name=f"logit_{stage}")
            m.d.sync += following.eq(logit)
            logit = following
        m.d.comb += [
            self.o_results.valid.eq(sigmoid.o.valid),
            self.o_results.p.logit.eq(logit),
            self.o_results.p.score.eq(sigmoid.o.payload),
        ]
