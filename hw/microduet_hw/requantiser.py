"""From exact sums to the next layer's activations: one rounding and one saturation per output."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import Frozen, Precision
from microduet_hw.pe import PeShape
from microduet_hw.single_precision import (
    MANTISSA_BITS,
    SHIFT_BITS,
    Delayed,
    Stages,
    clip,
    round_half_even,
    rounded,
    scaled,
)


def latency(precision: Precision) -> int:
    """Cycles from a sum to its output."""
    return {Precision.FIXED16: 3, Precision.FIXED32: 4, Precision.INT8: 6}[precision]


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
        return latency(self.pe.precision)

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
            value = scaled(total, mantissa=mantissa, exponent=shift) + zero_point
        else:
            value = round_half_even(total, shift)
        low, high = self.bounds
        return min(max(value, zero_point if relu else low), high)


class Requantiser(wiring.Component):
    """Turns a step of `lanes` sums into a step of `lanes` outputs.

    Latency: `shape.latency` cycles.
    Throughput: a step per cycle.
    Back-pressure: none, `o` is always taken.
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
        valid = Signal(shape.latency)
        m.d.sync += valid.eq(Cat(self.i.valid, valid[:-1]))
        enables = [self.i.valid, *valid[:-1]]
        stages = Stages(m, enables)
        shared = ("shift", "zero_point", "relu")
        common = stages.delayed({name: Value.cast(self.i.p.parameters[name]) for name in shared})
        for lane in range(shape.lanes):
            own = self.i.p.parameters.lanes[lane]
            if shape.mantissa:
                value = _mantissa_stages(stages, self.i.p.sums[lane], own, lane)
            else:
                value = _shift_stages(stages, shape=shape, word=self.i.p.sums[lane], own=own, common=common, lane=lane)
            with m.If(enables[-1]):
                m.d.sync += self.o.p[lane].eq(_clip(shape, value, common.after("relu"), common.after("zero_point")))
        m.d.comb += self.o.valid.eq(valid[-1])
        return m


def _clip(shape: RequantiserShape, value: Value, relu: Value, zero_point: Value) -> Value:
    low, high = shape.bounds
    if shape.mantissa:
        value = value + zero_point
    floor = Mux(relu, zero_point if shape.mantissa else 0, low)
    return clip(value, floor, high)


def _shift_stages(
    stages: Stages, *, shape: RequantiserShape, word: Value, own: data.View, common: Delayed, lane: int
) -> Value:
    """Join the limbs (fixed32), add the bias, shift: a register after each."""
    number = 0
    if shape.pe.precision is Precision.FIXED32:
        low_bits, middle_bits, _ = shape.pe.sum_widths
        low = word[:low_bits].as_signed()
        middle = word[low_bits : low_bits + middle_bits].as_signed()
        high = word[low_bits + middle_bits :].as_signed()
        middle = stages.keep(number, (middle - high - low)[:middle_bits].as_signed(), f"middle_{lane}")
        outer = Cat(low[:32], (high + (low >> 32))[: len(high)]).as_signed()
        outer = stages.keep(number, outer, f"outer_{lane}")
        bias = stages.keep(number, own.bias, f"bias_{lane}")
        total = outer + (middle << 16)
        number += 1
    else:
        total, bias = word.as_signed(), own.bias
    summed = stages.keep(number, (total + bias)[: shape.bias_bits].as_signed(), f"summed_{lane}")
    return stages.keep(number + 1, rounded(summed, common.after("shift", number + 1)), f"rounded_{lane}")


def _mantissa_stages(stages: Stages, word: Value, own: data.View, lane: int) -> Value:
    """Add the bias, multiply in single precision: a register after each step."""
    total = (word.as_signed() + own.bias)[:32].as_signed()
    mantissa = stages.keep(0, own.mantissa, f"mantissa_{lane}_0")
    exponent = stages.keep(0, own.exponent, f"exponent_{lane}_0")
    mantissas = (mantissa, stages.keep(1, mantissa, f"mantissa_{lane}_1"))
    return stages.scaled(lane, total, mantissa=mantissas, exponent=exponent)
