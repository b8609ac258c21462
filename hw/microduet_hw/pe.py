"""Processing elements: L multipliers, an adder tree, an accumulator, and one row of weights per cycle."""

import math

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.adders import add_tree, packed_sums
from microduet_hw.config import MAX_PES, Array, EngineConfig, Frozen, Precision
from microduet_hw.layout import Layers, plan_layer

PAIR_BITS = (MAX_PES // 2 - 1).bit_length()
"""Bits of a pair's number."""


class PeShape(Frozen, frozen=True, kw_only=True):
    """Sizes of the processing elements of one array, and the integer reference of what they compute.

    Parameters
    ----------
    precision : arithmetic
    lanes : multipliers per PE
    rows : rows of weights per PE; the memory has one more, the spare row
    terms : the most products that one output sums
    streamed : a PE has no memory: rows come with their operands
    """

    precision: Precision
    lanes: int
    rows: int
    terms: int
    streamed: bool = False

    @property
    def weight_bits(self) -> int:
        """Bits of a row of weights."""
        return self.lanes * self.precision.width

    @property
    def operand_bits(self) -> int:
        """Bits of one lane's operand: in fixed32 its high and low limb and their sum (Karatsuba)."""
        return 50 if self.precision is Precision.FIXED32 else self.precision.width

    @property
    def address_bits(self) -> int:
        """Bits of a row number, the spare row included."""
        return max(1, self.rows.bit_length())

    @property
    def packed(self) -> bool:
        """Whether both elements of a pair share their multipliers, one per lane (int8)."""
        return self.precision is Precision.INT8

    @property
    def sum_widths(self) -> tuple[int, ...]:
        """Bits of the accumulators (signed), lowest first on the chain: the sum, or fixed32's low, middle and high."""
        growth = math.ceil(math.log2(self.terms)) if self.terms > 1 else 0
        if self.precision is Precision.FIXED32:
            # low: below 2^32; middle: (2^16 + 2^15)^2 < 2^34 in magnitude; high: at most 2^30
            return (33 + growth, 35 + growth, 32 + growth)
        if self.precision is Precision.INT8:
            return (32,)
        return (31 + growth,)

    @property
    def chain_bits(self) -> int:
        """Bits of a shadow register."""
        return sum(self.sum_widths)

    def products(self, x: int, w: int) -> tuple[int, ...]:
        """The terms that one lane adds to the accumulators for operands `x` and `w`."""
        if self.precision is not Precision.FIXED32:
            return (x * w,)
        (x1, x0), (w1, w0) = divmod(x, 1 << 16), divmod(w, 1 << 16)
        return (x0 * w0, (x1 + x0) * (w1 + w0), x1 * w1)

    def join(self, sums: tuple[int, ...]) -> int:
        """The sum of products that the accumulators stand for."""
        if self.precision is not Precision.FIXED32:
            return sums[0]
        low, middle, high = sums
        return (high << 32) + ((middle - high - low) << 16) + low

    def pack_chain(self, sums: tuple[int, ...]) -> int:
        """Accumulators as the bits of a shadow register."""
        value, offset = 0, 0
        for total, width in zip(sums, self.sum_widths, strict=True):
            value |= (total & ((1 << width) - 1)) << offset
            offset += width
        return value


def pe_shape(config: Layers, array: Array) -> PeShape:
    """Sizes of the PEs of `array`."""
    plans = [plan_layer(config, number) for number in array.layers]
    return PeShape(
        precision=config.precision,
        lanes=array.lanes,
        rows=sum(plan.rounds * plan.steps for plan in plans),
        terms=max(config.hidden[number].inputs for number in array.layers),
        streamed=config.streamed,
    )


def output_shape(config: EngineConfig) -> PeShape:
    """Sizes of the output layer's PE."""
    lanes = config.output_lanes
    last = len(config.hidden)
    rows = plan_layer(config, last - 1).words if last else math.ceil(config.vector_elements / lanes)
    return PeShape(precision=config.precision, lanes=lanes, rows=rows, terms=config.output.inputs)


def _lane(value: Value, lane: int, width: int, shape: Shape) -> Value:
    bits = value[lane * width : (lane + 1) * width]
    return bits.as_signed() if shape.signed else bits


def lane_products(shape: PeShape, x: Value, w: Value, lane: int) -> tuple[Value, ...]:
    """The hardware of `PeShape.products` for one lane of an operand word and a row of weights."""
    width = shape.precision.width
    if shape.precision is Precision.FIXED32:
        operand = x[lane * 50 : (lane + 1) * 50]
        x1, x0, x_sum = operand[16:32].as_signed(), operand[:16], operand[32:].as_signed()
        weight = w[lane * 32 : (lane + 1) * 32]
        w1, w0 = weight[16:].as_signed(), weight[:16]
        return (x0 * w0, (x_sum * (w1 + w0))[:35].as_signed(), (x1 * w1)[:32].as_signed())
    product = _lane(x, lane, width, Shape(width, shape.precision.signed)) * _lane(w, lane, width, signed(width))
    # Symmetric weights keep a product within 2w - 1 bits, so two of them add within 2w: one 32-bit word.
    return (product[: 2 * width - 1].as_signed() if shape.precision is Precision.FIXED16 else product,)


def without(members: dict[str, wiring.Member], *names: str) -> dict[str, wiring.Member]:
    """`members`, but not those."""
    return {name: member for name, member in members.items() if name not in names}


class ProcessingElement(wiring.Component):
    """One processing element: weights, multipliers, adder tree, accumulator, shadow register.

    Latency: a row read at `i_address` in one cycle meets `i_x` of the next, a streamed row `i_x` of the same; their
    products reach the accumulator `SUM_LATENCY` cycles after `i_x`. `i_first`, `i_accumulate`, `i_capture` are given
    `SUM_LATENCY - 1` cycles after the `i_x` that they are about.
    Throughput: a row of `lanes` products per cycle.
    Back-pressure: none; idle when `i_accumulate` is low.
    Reset: none. The memory's contents and the registers are what they were.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    As in docs/architecture.md; `i_addressed` says that a load is meant for this element, whose spare row is written
    otherwise. The weight memory reads the old row when the same row is written in the same cycle. With streamed weights
    `i_weights` stands in place of address and load. An element whose multipliers are the pair's shows its row,
    `o_weights`, and takes the lanes' sum of it, `i_sum`, in the same cycle.
    """

    SUM_LATENCY = 3

    i_x: Signal
    i_address: Signal
    i_first: Signal
    i_accumulate: Signal
    i_capture: Signal
    i_shift: Signal
    i_load: Signal
    i_addressed: Signal
    i_weights: Signal
    i_sum: Signal
    i_chain: Signal
    o_weights: Signal
    o_chain: Signal

    def __init__(self, *, shape: PeShape, shared: bool = False) -> None:
        self._shape, self._shared = shape, shared
        members = {
            "i_x": In(shape.lanes * shape.operand_bits),
            "i_address": In(shape.address_bits),
            "i_first": In(1),
            "i_accumulate": In(1),
            "i_capture": In(1),
            "i_shift": In(1),
            "i_load": In(1),
            "i_addressed": In(1),
            "i_chain": In(shape.chain_bits),
            "o_chain": Out(shape.chain_bits),
        }
        if shape.streamed:
            members = without(members, "i_address", "i_load", "i_addressed") | {"i_weights": In(shape.weight_bits)}
        if shared:
            members |= {"i_sum": In(_packed_shape(shape)), "o_weights": Out(shape.weight_bits)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weights = self.i_weights if self._shape.streamed else self._weights(m)
        if self._shared:
            m.d.comb += self.o_weights.eq(weights)
            sums = [self._delayed(m, self.i_sum)]
        else:
            sums = self._sums(m, weights)
        shadow = Signal(self._shape.chain_bits, reset_less=True)
        totals: list[Value] = []
        for k, (total, width) in enumerate(zip(sums, self._shape.sum_widths, strict=True)):
            accumulator = Signal(signed(width), reset_less=True, name=f"accumulator_{k}")
            following = Signal(signed(width), name=f"following_{k}")
            m.d.comb += following.eq(Mux(self.i_first, Const(0, signed(width)), accumulator) + total)
            with m.If(self.i_accumulate):
                m.d.sync += accumulator.eq(following)
            totals.append(following)
        with m.If(self.i_capture):
            m.d.sync += shadow.eq(Cat(*totals))
        with m.Elif(self.i_shift):
            m.d.sync += shadow.eq(self.i_chain)
        m.d.comb += self.o_chain.eq(shadow)
        return m

    def _weights(self, m: Module) -> Value:
        shape = self._shape
        m.submodules.weights = rows = memory.Memory(shape=unsigned(shape.weight_bits), depth=shape.rows + 1, init=[])
        write, read = rows.write_port(), rows.read_port()
        m.d.comb += [
            read.addr.eq(self.i_address),
            read.en.eq(1),
            # The address tells the PEs apart, not the write enable: control is then the same in all of them.
            write.addr.eq(Mux(self.i_addressed, self.i_address, Const(shape.rows, shape.address_bits))),
            write.data.eq(self.i_x[: shape.weight_bits]),
            write.en.eq(self.i_load),
        ]
        return read.data

    def _sums(self, m: Module, weights: Value) -> list[Value]:
        """The lanes' sums of this step."""
        terms = [lane_products(self._shape, self.i_x, weights, lane) for lane in range(self._shape.lanes)]
        return [self._delayed(m, add_tree(list(column))) for column in zip(*terms, strict=True)]

    def _delayed(self, m: Module, value: Value) -> Value:
        """Registered twice, for synthesis to move one register into the multipliers."""
        first = Signal(value.shape(), reset_less=True)
        second = Signal(value.shape(), reset_less=True)
        m.d.sync += [first.eq(value), second.eq(first)]
        return second


def _packed_shape(shape: PeShape) -> Shape:
    """Of a packed sum of all lanes, as `packed_sums` gives it."""
    row = Signal(shape.weight_bits)
    low, high = packed_sums(row, (row, row), lanes=shape.lanes)
    return signed(max(low.shape().width, high.shape().width))


class PePair(wiring.Component):
    """Two processing elements that share the operand and the control they are sent, and in int8 their multipliers.

    Latency, Throughput, Back-pressure, Reset: as `ProcessingElement`.

    Parameters
    ----------
    shape : sizes of both elements

    Members
    -------
    As in docs/architecture.md; with streamed weights `i_weights_0`, `i_weights_1` in place of address and load.
    """

    i_x: Signal
    i_address: Signal
    i_first: Signal
    i_accumulate: Signal
    i_capture: Signal
    i_shift: Signal
    i_load: Signal
    i_load_pair: Signal
    i_load_half: Signal
    i_index: Signal
    i_weights_0: Signal
    i_weights_1: Signal
    i_chain_0: Signal
    i_chain_1: Signal
    o_chain_0: Signal
    o_chain_1: Signal

    def __init__(self, *, shape: PeShape) -> None:
        self._shape, self._streamed = shape, shape.streamed
        self._elements = [ProcessingElement(shape=shape, shared=shape.packed) for _ in range(2)]
        element = self._elements[0].signature.members
        shared = ("i_x", "i_address", "i_first", "i_accumulate", "i_capture", "i_shift", "i_load")
        self.shared = tuple(name for name in shared if name in element)
        """Members that both elements are told alike."""
        members = {name: element[name] for name in self.shared}
        if not shape.streamed:
            members |= {"i_load_pair": In(PAIR_BITS), "i_load_half": In(1), "i_index": In(PAIR_BITS)}
        for half in range(2):
            own = ("i_chain", "o_chain", "i_weights") if shape.streamed else ("i_chain", "o_chain")
            members |= {f"{name}_{half}": element[name] for name in own}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for half, element in enumerate(self._elements):
            m.submodules[f"pe_{half}"] = element
            m.d.comb += [getattr(element, name).eq(getattr(self, name)) for name in self.shared]
            if self._streamed:
                m.d.comb += element.i_weights.eq(getattr(self, f"i_weights_{half}"))
            else:
                mine = (self.i_load_pair == self.i_index) & (self.i_load_half == half)
                m.d.comb += element.i_addressed.eq(mine)
            m.d.comb += [
                element.i_chain.eq(getattr(self, f"i_chain_{half}")),
                getattr(self, f"o_chain_{half}").eq(element.o_chain),
            ]
        if self._shape.packed:
            first, second = self._elements
            sums = packed_sums(self.i_x, (first.o_weights, second.o_weights), lanes=self._shape.lanes)
            m.d.comb += [first.i_sum.eq(sums[0]), second.i_sum.eq(sums[1])]
        return m
