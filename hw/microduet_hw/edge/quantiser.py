"""From exact sums and bottom MLPs' outputs to the 8-bit inputs of the user top MLP."""

from amaranth.hdl import Cat, Module, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import Frozen
from microduet_hw.single_precision import MANTISSA_BITS, SHIFT_BITS, Stages, clip, scaled

OUTPUT_MAX = 255


class QuantiserShape(Frozen, frozen=True, kw_only=True):
    """Sizes of a quantiser, and the integer reference of what it computes.

    ``q = clip(rint(f32(f32(v) * m)) + zero_point, 0, 255)`` in single precision, every rounding half to even: with
    ``m = float32(2^-f / scale)`` what ``torch.quantize_per_tensor(float32(v) * 2^-f, scale, zero_point, quint8)`` gives
    for v of f fraction bits.

    Parameters
    ----------
    lanes : values per cycle
    bits : of a value (signed), 2 to 64

    Raises
    ------
    ValueError
        If lanes or bits are out of range.
    """

    lanes: int
    bits: int

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise ValueError(f"lanes must be at least 1, not {self.lanes!r}")
        if not 2 <= self.bits <= 64:
            raise ValueError(f"bits must be 2 to 64, not {self.bits!r}")

    @property
    def step(self) -> data.StructLayout:
        """Values of one cycle, their multiplier ``mantissa x 2^-exponent`` and zero point; `last` is passed on."""
        return data.StructLayout(
            {
                "values": data.ArrayLayout(signed(self.bits), self.lanes),
                "mantissa": unsigned(MANTISSA_BITS),
                "exponent": unsigned(SHIFT_BITS),
                "zero_point": unsigned(8),
                "last": unsigned(1),
            }
        )

    @property
    def result(self) -> data.StructLayout:
        """What becomes of it."""
        return data.StructLayout({"values": data.ArrayLayout(unsigned(8), self.lanes), "last": unsigned(1)})

    @staticmethod
    def compute(value: int, *, mantissa: int, exponent: int, zero_point: int) -> int:
        """The 8 bits of one value; the mantissa has exactly 24 bits (`image.split_multiplier`)."""
        return min(max(scaled(value, mantissa=mantissa, exponent=exponent) + zero_point, 0), OUTPUT_MAX)


class Quantiser(wiring.Component):
    """Turns a step of `lanes` signed values into a step of `lanes` bytes.

    Latency: `LATENCY` cycles.
    Throughput: a step per cycle.
    Back-pressure: none, `o` is always taken.
    Reset: nothing is in flight.

    Parameters
    ----------
    lanes, bits : as `QuantiserShape`

    Members
    -------
    i : stream of {values, mantissa, exponent, zero_point, last}, always ready
    o : stream of {values, last}
    """

    LATENCY = 6

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, lanes: int, bits: int) -> None:
        self.shape = QuantiserShape(lanes=lanes, bits=bits)
        super().__init__(
            {
                "i": In(stream.Signature(self.shape.step, always_ready=True)),
                "o": Out(stream.Signature(self.shape.result, always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = Signal(self.LATENCY)
        m.d.sync += valid.eq(Cat(self.i.valid, valid[:-1]))
        enables = [self.i.valid, *valid[:-1]]
        stages = Stages(m, enables)
        shared = stages.delayed({name: Value.cast(self.i.p[name]) for name in ("zero_point", "last")})
        exponent = stages.keep(0, self.i.p.exponent, "exponent")
        first = stages.keep(0, self.i.p.mantissa, "mantissa_0")
        mantissa = (first, stages.keep(1, first, "mantissa_1"))
        for lane in range(self.shape.lanes):
            value = stages.scaled(lane, self.i.p.values[lane], mantissa=mantissa, exponent=exponent)
            with m.If(enables[-1]):
                m.d.sync += self.o.p.values[lane].eq(clip(value + shared.after("zero_point"), 0, OUTPUT_MAX))
        with m.If(enables[-1]):
            m.d.sync += self.o.p.last.eq(shared.after("last"))
        m.d.comb += self.o.valid.eq(valid[-1])
        return m
