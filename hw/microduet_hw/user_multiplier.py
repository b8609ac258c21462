"""From a user vector to a layer's sums: exact products, or the sums themselves, shifted and begun with the bias."""

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.adders import add_tree
from microduet_hw.store import Store
from microduet_hw.user_packets import USER_BITS
from microduet_hw.user_shape import WEIGHT_BITS, UserShape
from microduet_hw.weight_check import CheckPort

FLAGS = data.StructLayout({"valid": 1, "first": 1, "last": 1, "final": 1})
"""Of a word on its way: it is there; the first, the last of its output; of the last output."""


class UserMultiplier(wiring.Component):
    """Computes ``bias_o + ((sum_k W[o, k] q_k) << shift)``, or ``bias_o + (sum_o << shift)``, one by one.

    Latency: `latency` cycles from `i_start` to the first part of a vector of one word.
    Throughput: `shape.user.lanes` elements, or one sum, per cycle.
    Back-pressure: none.
    Reset: nothing is under way.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    i_start : begin with the first output; not while one is under way
    i_shift : bits
    o_read, o_beat, i_beat : the vector's beats, which follow by one cycle
    o_parts : stream of {part, final}: parts of all outputs in turn
    load_weights, load_bias, load_row, load_data : write a row of weights (``row = o * words + w``) or a bias
    check_weights, check_bias : a `CheckPort` of each, while nothing is under way; only those of `shape.checks`

    Attributes
    ----------
    latency : cycles
    """

    i_start: Signal
    i_shift: Signal
    o_read: Signal
    o_beat: Signal
    i_beat: Signal
    o_parts: stream.Interface
    load_weights: Signal
    load_bias: Signal
    load_row: Signal
    load_data: Signal
    check_weights: Any
    check_bias: Any

    def __init__(self, *, shape: UserShape) -> None:
        self._shape = shape
        self._weight_bits = shape.user.lanes * WEIGHT_BITS if shape.vector else 1
        # Registers between the vector's beat and the sum: products, their sum, the accumulator; or just the sum.
        self._depth = 3 if shape.vector else 1
        self.latency = 1 + Store.LATENCY + self._depth + 2
        beats = -(-shape.user.bytes * 8 // USER_BITS)
        super().__init__(
            {
                "i_start": In(1),
                "i_shift": In(6),
                "o_read": Out(1),
                "o_beat": Out(range(max(2, beats))),
                "i_beat": In(USER_BITS),
                "o_parts": Out(
                    stream.Signature(
                        data.StructLayout({"part": signed(shape.bits), "final": unsigned(1)}), always_ready=True
                    )
                ),
                "load_weights": In(1),
                "load_bias": In(1),
                "load_row": In(24),
                "load_data": In(max(shape.bits, self._weight_bits)),
                **{name: In(CheckPort(bits)) for name, bits in shape.checks.items() if name != "check_model"},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flags, place, row = self._walk(m)
        flags = self._delayed(m, flags, "read")
        # As a choice of slices, which is no wider than one of them.
        bits = self._shape.element_bits
        element = Array(self.i_beat.word_select(k, bits) for k in range(self._shape.per_beat))[place]
        if self._shape.vector:
            total, flags = self._products(m, element, row, flags)
        else:
            total, before = Signal(signed(32), reset_less=True), flags
            flags = self._delayed(m, before, "sum")
            with m.If(before.valid):
                m.d.sync += total.eq(element)
        self._finish(m, total, flags)
        return m

    def _reads(self, m: Module, store: Store, port: str, *, now: Value, row: Value) -> None:
        """Read a row `now` for the sums, or the row that a load would write when `port` asks for it."""
        if self._shape.checked:
            check: Any = getattr(self, port)
            m.d.comb += check.data.eq(store.o_data)
            now, row = now | check.read, Mux(check.read, self.load_row, row)
        m.d.comb += [store.i_read.eq(now), store.i_read_row.eq(row)]

    def _delayed(self, m: Module, flags: data.View, name: str) -> data.View:
        following = Signal(FLAGS, name=f"flags_{name}")
        m.d.sync += following.eq(flags)
        return following

    def _walk(self, m: Module) -> tuple[data.View, Signal, Signal]:
        """Words of the vector, once per output: their flags, their place in the beat that comes, the row of weights."""
        shape = self._shape
        running, flags = Signal(), Signal(FLAGS)
        word, output = Signal(range(max(2, shape.words))), Signal(range(max(2, shape.outputs)), name="output_number")
        row = Signal(range(max(2, shape.words * shape.outputs)))
        # A word of the vector, or a sum: counted on from output to output only if they are sums.
        element = word if shape.vector else output
        place = Signal(range(max(2, shape.per_beat)))
        per_beat = (shape.per_beat - 1).bit_length()
        last, final = word == shape.words - 1, output == shape.outputs - 1
        m.d.comb += [
            flags.valid.eq(running),
            flags.first.eq(word == 0),
            flags.last.eq(last),
            flags.final.eq(final),
            self.o_read.eq(running),
            self.o_beat.eq(element >> per_beat),
        ]
        with m.If(self.i_start):
            m.d.sync += [running.eq(1), word.eq(0), output.eq(0), row.eq(0)]
        with m.Elif(running):
            m.d.sync += [word.eq(Mux(last, 0, word + 1)), row.eq(row + 1), place.eq(element[:per_beat])]
            with m.If(last):
                m.d.sync += [output.eq(output + 1), running.eq(~final)]
        return flags, place, row

    def _products(self, m: Module, element: Value, row: Signal, flags: data.View) -> tuple[Signal, data.View]:
        """Products of a word, their sum, the sum of all words: a register each."""
        shape = self._shape
        m.submodules.weights = weights = Store(rows=shape.outputs * shape.words, bits=self._weight_bits)
        m.d.comb += [
            weights.i_write.eq(self.load_weights),
            weights.i_row.eq(self.load_row),
            weights.i_data.eq(self.load_data),
        ]
        self._reads(m, weights, "check_weights", now=self.o_read, row=row)
        products = [
            Signal(signed(8 + WEIGHT_BITS), reset_less=True, name=f"product_{k}") for k in range(shape.user.lanes)
        ]
        with m.If(flags.valid):
            for k, product in enumerate(products):
                weight = weights.o_data.word_select(k, WEIGHT_BITS).as_signed()
                m.d.sync += product.eq(element.word_select(k, 8) * weight)
        multiplied = self._delayed(m, flags, "product")
        tree = add_tree(list(products))
        summed = Signal(tree.shape(), reset_less=True)
        with m.If(multiplied.valid):
            m.d.sync += summed.eq(tree)
        added = self._delayed(m, multiplied, "added")
        total = Signal(signed(8 + WEIGHT_BITS + (shape.user.elements - 1).bit_length()), reset_less=True)
        with m.If(added.valid):
            m.d.sync += total.eq(Mux(added.first, 0, total) + summed)
        return total, self._delayed(m, added, "sum")

    def _finish(self, m: Module, total: Signal, flags: data.View) -> None:
        """Shift and begin with the bias, which is read as the sum is shifted."""
        shape = self._shape
        whole, output = Signal(), Signal(range(max(2, shape.outputs)), name="output_begun")
        m.submodules.biases = biases = Store(rows=shape.outputs, bits=shape.bits)
        shifted = Signal(signed(shape.bits), reset_less=True)
        m.d.comb += [
            whole.eq(flags.valid & flags.last),
            biases.i_write.eq(self.load_bias),
            biases.i_row.eq(self.load_row),
            biases.i_data.eq(self.load_data),
        ]
        self._reads(m, biases, "check_bias", now=whole, row=output)
        with m.If(whole):
            m.d.sync += [shifted.eq(total << self.i_shift), output.eq(Mux(flags.final, 0, output + 1))]
        begun, final = Signal(), Signal()
        m.d.sync += [begun.eq(whole), final.eq(flags.final), self.o_parts.valid.eq(begun)]
        with m.If(begun):
            m.d.sync += [self.o_parts.p.part.eq(shifted + biases.o_data.as_signed()), self.o_parts.p.final.eq(final)]
