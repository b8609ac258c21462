"""From exact sums to the next layer's activations: one rounding and one saturation per output."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import Frozen, Precision
from microduet_hw.pe import PeShape

SHIFT_BITS = 6
MANTISSA_BITS = 24


class RequantiserShape(Frozen, frozen=True, kw_only=True):
    """Sizes of a requantiser, and the integer reference of what it computes.

    Shift mode (fixed16, fixed32): ``y = saturate(round_half_even((sum + bias) / 2^shift))``, then ReLU.
    Mantissa mode (int8): ``y = clip(rint(f32(f32(sum + bias) * m)) + zero_point)`` in single precision, computed in
    integers: the sum is rounded to 24 significant bits, multiplied by the 24-bit mantissa of m, rounded to 24
    significant bits, shifted; every rounding is half to even. That is what qnnpack computes.

    Parameters
    ----------
    pe : the processing elements whose sums come in
    lanes : outputs per cycle
    bias_bits : bits of a bias and of sum + bias (signed)
    width, signed : of an output
    """

    pe: PeShape
    lanes: int
    bias_bits: int
    width: int
    signed: bool

    @property
    def mantissa(self) -> bool:
        """Whether this is mantissa mode."""
        return self.pe.precision is Precision.INT8

    @property
    def latency(self) -> int:
        """Cycles from a sum to its output."""
        if self.mantissa:
            return 6
        return 4 if self.pe.precision is Precision.FIXED32 else 3

    @property
    def lane_layout(self) -> data.StructLayout:
        """Parameters of one output; a multiplier m is ``mantissa * 2^-exponent``."""
        fields: dict[str, Shape] = {"bias": signed(self.bias_bits)}
        if self.mantissa:
            fields |= {"mantissa": unsigned(MANTISSA_BITS), "exponent": unsigned(SHIFT_BITS)}
        return data.StructLayout(fields)

    @property
    def parameters(self) -> data.StructLayout:
        """Parameters of one step: all lanes' own, then what they share."""
        return data.StructLayout(
            {
                "lanes": data.ArrayLayout(self.lane_layout, self.lanes),
                "shift": unsigned(SHIFT_BITS),
                "zero_point": unsigned(8),
                "relu": unsigned(1),
            }
        )

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and greatest output without ReLU."""
        top = 1 << self.width
        return (-top // 2, top // 2 - 1) if self.signed else (0, top - 1)

    def compute(self, total: int, *, shift: int, relu: bool, mantissa: int = 0, zero_point: int = 0) -> int:
        """The output for ``sum + bias = total``; in mantissa mode `shift` is the exponent."""
        if self.mantissa:
            kept, dropped = round_significant(abs(total), MANTISSA_BITS)
            product, more = round_significant(kept * mantissa, MANTISSA_BITS)
            places = shift - dropped - more
            magnitude = round_half_even(product, places) if places >= 0 else product << -places
            value = (-magnitude if total < 0 else magnitude) + zero_point
        else:
            value = round_half_even(total, shift)
        low, high = self.bounds
        return min(max(value, zero_point if relu else low), high)


def round_half_even(value: int, places: int) -> int:
    """`value` / 2^places, rounded to the nearest integer, ties to even."""
    if places == 0:
        return value
    return (value + ((1 << places) - 1 >> 1) + (value >> places & 1)) >> places


def round_significant(value: int, bits: int) -> tuple[int, int]:
    """Non-negative `value` rounded half to even to `bits` significant bits, as (kept, dropped places)."""
    dropped = max(0, value.bit_length() - bits)
    return round_half_even(value, dropped), dropped


def rounded(value: Value, places: Value) -> Value:
    """Hardware of `round_half_even` for a variable shift."""
    mask = ((1 << places) - 1)[: len(value)]
    odd = (value >> places)[0] & (places != 0)
    return (value + (mask >> 1) + odd) >> places


class Requantiser(wiring.Component):
    """Turns a step of `lanes` sums into a step of `lanes` outputs.

    Latency: `shape.latency` cycles. Throughput: a step per cycle. Back-pressure: none, `o` is always taken.
    Reset: nothing is in flight.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    i : stream of {sums: chain words, parameters}, always ready
    o : stream of `lanes` outputs
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, shape: RequantiserShape) -> None:
        self._shape = shape
        step = data.StructLayout(
            {"sums": data.ArrayLayout(unsigned(shape.pe.chain_bits), shape.lanes), "parameters": shape.parameters}
        )
        result = data.ArrayLayout(Shape(shape.width, shape.signed), shape.lanes)
        super().__init__(
            {
                "i": In(stream.Signature(step, always_ready=True)),
                "o": Out(stream.Signature(result, always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self._shape
        stages = shape.latency
        valid = Signal(stages)
        m.d.sync += valid.eq(Cat(self.i.valid, valid[:-1]))
        enables = [self.i.valid, *valid[:-1]]
        common = _Delay(m, enables, self.i.p.parameters)
        for lane in range(shape.lanes):
            own = self.i.p.parameters.lanes[lane]
            if shape.mantissa:
                value = _mantissa_stages(m, enables, self.i.p.sums[lane], own, lane)
            else:
                value = _shift_stages(
                    m, enables, shape=shape, word=self.i.p.sums[lane], own=own, common=common, lane=lane
                )
            with m.If(enables[-1]):
                m.d.sync += self.o.p[lane].eq(_clip(shape, value, common.after("relu"), common.after("zero_point")))
        m.d.comb += self.o.valid.eq(valid[-1])
        return m


class _Delay:
    """The shared parameters, moved along with the lanes' stages."""

    def __init__(self, m: Module, enables: list[Value], parameters: data.View) -> None:
        self._stages: dict[str, list[Value]] = {}
        for name in ("shift", "zero_point", "relu"):
            values = [Value.cast(parameters[name])]
            for enable in enables[:-1]:
                value = Signal(len(values[0]), reset_less=True, name=f"{name}_{len(values)}")
                with m.If(enable):
                    m.d.sync += value.eq(values[-1])
                values.append(value)
            self._stages[name] = values

    def after(self, name: str, stage: int = -1) -> Value:
        """Parameter `name` as `stage` registers saw it; by default, in the last stage."""
        return self._stages[name][stage]


def _register(m: Module, enable: Value, value: Value, name: str) -> Value:
    register = Signal(value.shape(), reset_less=True, name=name)
    with m.If(enable):
        m.d.sync += register.eq(value)
    return register


def _clip(shape: RequantiserShape, value: Value, relu: Value, zero_point: Value) -> Value:
    low, high = shape.bounds
    if shape.mantissa:
        value = value + zero_point
    floor = Mux(relu, zero_point if shape.mantissa else 0, low)
    return Mux(value > high, high, Mux(value < floor, floor, value))


def _shift_stages(
    m: Module, enables: list[Value], *, shape: RequantiserShape, word: Value, own: data.View, common: _Delay, lane: int
) -> Value:
    """Join the limbs (fixed32), add the bias, shift: a register after each."""
    stages = iter(enumerate(enables))
    if shape.pe.precision is Precision.FIXED32:
        low_bits, middle_bits, _ = shape.pe.sum_widths
        low = word[:low_bits].as_signed()
        middle = word[low_bits : low_bits + middle_bits].as_signed()
        high = word[low_bits + middle_bits :].as_signed()
        number, enable = next(stages)
        middle = _register(m, enable, (middle - high - low)[:middle_bits].as_signed(), f"middle_{lane}")
        outer = _register(m, enable, Cat(low[:32], (high + (low >> 32))[: len(high)]).as_signed(), f"outer_{lane}")
        bias = _register(m, enable, own.bias, f"bias_{lane}")
        total = outer + (middle << 16)
    else:
        total, bias = word.as_signed(), own.bias
    number, enable = next(stages)
    summed = _register(m, enable, (total + bias)[: shape.bias_bits].as_signed(), f"summed_{lane}")
    number, enable = next(stages)
    return _register(m, enable, rounded(summed, common.after("shift", number)), f"rounded_{lane}")


def _mantissa_stages(m: Module, enables: list[Value], word: Value, own: data.View, lane: int) -> Value:
    """Single-precision multiplication in integers, a register after each step."""

    def keep(stage: int, value: Value, name: str) -> Value:
        return _register(m, enables[stage], value, f"{name}_{lane}_{stage}")

    total = keep(0, (word.as_signed() + own.bias)[:32].as_signed(), "total")
    mantissa, exponent = keep(0, own.mantissa, "mantissa"), keep(0, own.exponent, "exponent")
    magnitude = Mux(total < 0, -total, total)[:32]
    kept, dropped = _significant(magnitude)
    kept, places = keep(1, kept, "kept"), keep(1, (exponent - dropped).as_signed(), "places")
    negative, mantissa = keep(1, total < 0, "negative"), keep(1, mantissa, "mantissa")
    product = keep(2, kept * mantissa, "product")
    places, negative = keep(2, places, "places"), keep(2, negative, "negative")
    kept, dropped = _significant(product)
    kept, places = keep(3, kept, "kept"), keep(3, (places - dropped).as_signed(), "places")
    negative = keep(3, negative, "negative")
    # At places <= 0 anything but zero is at least 2^23: far beyond every output, so its exact value does not matter.
    value = Mux(places > 0, rounded(kept, places[:SHIFT_BITS]), Mux(kept == 0, 0, 1 << MANTISSA_BITS))
    return keep(4, Mux(negative, -value, value), "value")


def _significant(value: Value) -> tuple[Value, Value]:
    """Hardware of `round_significant` to 24 bits: (kept, dropped places)."""
    dropped: Value = Mux(value[MANTISSA_BITS], 1, 0)
    for excess in range(2, len(value) - MANTISSA_BITS + 1):
        dropped = Mux(value[MANTISSA_BITS + excess - 1], excess, dropped)
    return rounded(value, dropped)[: MANTISSA_BITS + 1], dropped
