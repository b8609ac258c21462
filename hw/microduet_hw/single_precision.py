"""Rounding, and multiplication in single precision, in integers: references and the stages of a pipeline."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Const, Module, Mux, Signal, Value

SHIFT_BITS = 6
MANTISSA_BITS = 24


def round_half_even(value: int, places: int) -> int:
    """`value` / 2^places, rounded to the nearest integer, ties to even."""
    if places == 0:
        return value
    return (value + ((1 << places) - 1 >> 1) + (value >> places & 1)) >> places


def round_significant(value: int, bits: int) -> tuple[int, int]:
    """Non-negative `value` rounded half to even to `bits` significant bits, as (kept, dropped places)."""
    dropped = max(0, value.bit_length() - bits)
    return round_half_even(value, dropped), dropped


def scaled(total: int, *, mantissa: int, exponent: int) -> int:
    """``rint(f32(f32(total) * m))`` for m = mantissa x 2^-exponent, the mantissa of exactly 24 bits."""
    kept, dropped = round_significant(abs(total), MANTISSA_BITS)
    product, more = round_significant(kept * mantissa, MANTISSA_BITS)
    places = exponent - dropped - more
    magnitude = round_half_even(product, places) if places >= 0 else product << -places
    return -magnitude if total < 0 else magnitude


class Stages:
    """Registers after each other, each with its enable; names tell values, lanes and stages apart.

    Parameters
    ----------
    m : where they are added
    enables : of each stage, in order
    """

    def __init__(self, m: Module, enables: Sequence[Value]) -> None:
        self._m, self._enables = m, enables

    def keep(self, stage: int, value: Value, name: str) -> Value:
        """`value` behind the register of `stage`."""
        register = Signal(value.shape(), reset_less=True, name=name)
        with self._m.If(self._enables[stage]):
            self._m.d.sync += register.eq(value)
        return register

    def wire(self, value: Value, name: str) -> Value:
        """`value` as a signal: each use of an expression is hardware of its own until synthesis finds them alike."""
        signal = Signal(value.shape(), name=name)
        self._m.d.comb += signal.eq(value)
        return signal

    def delayed(self, values: Mapping[str, Value]) -> "Delayed":
        """Values that move along with all stages but the last."""
        result: dict[str, list[Value]] = {}
        for name, value in values.items():
            result[name] = [value]
            for stage in range(len(self._enables) - 1):
                result[name].append(self.keep(stage, result[name][-1], f"{name}_{stage + 1}"))
        return Delayed(result)

    def scaled(self, lane: int, total: Value, *, mantissa: Sequence[Value], exponent: Value) -> Value:
        """Hardware of `scaled` in stages 0 to 4, up to values that saturate any output of at most 22 bits.

        Parameters
        ----------
        lane : told apart in names
        total : signed, of any width
        mantissa, exponent : of the multiplier, the first behind stages 0 and 1, the second behind stage 0
        """

        def keep(stage: int, value: Value, name: str) -> Value:
            return self.keep(stage, value, f"{name}_{lane}_{stage}")

        total = keep(0, total, "total")
        magnitude = self.wire(Mux(total < 0, -total, total)[: len(total)], f"magnitude_{lane}")
        kept, dropped = self.significant(magnitude, f"dropped_{lane}_1")
        kept, places = keep(1, kept, "kept"), keep(1, (exponent - dropped).as_signed(), "places")
        negative = keep(1, total < 0, "negative")
        product = keep(2, kept * mantissa[1], "product")
        places, negative = keep(2, places, "places"), keep(2, negative, "negative")
        kept, dropped = self.significant(product, f"dropped_{lane}_3")
        kept, places = keep(3, kept, "kept"), keep(3, (places - dropped).as_signed(), "places")
        negative = keep(3, negative, "negative")
        # At places <= 0 anything but zero is at least 2^23, far beyond every output: its exact value does not matter.
        value = Mux(places > 0, rounded(kept, places[:SHIFT_BITS]), Mux(kept == 0, 0, 1 << MANTISSA_BITS))
        return keep(4, Mux(negative, -value, value), "value")

    def significant(self, value: Value, name: str) -> tuple[Value, Value]:
        """Hardware of `round_significant` to 24 bits: (kept, dropped places); `name` is that of the places."""
        if len(value) <= MANTISSA_BITS:
            return value, Const(0)
        dropped: Value = Mux(value[MANTISSA_BITS], 1, 0)
        for excess in range(2, len(value) - MANTISSA_BITS + 1):
            dropped = Mux(value[MANTISSA_BITS + excess - 1], excess, dropped)
        dropped = self.wire(dropped, name)
        return rounded(value, dropped)[: MANTISSA_BITS + 1], dropped


class Delayed:
    """What `Stages.delayed` made."""

    def __init__(self, values: Mapping[str, Sequence[Value]]) -> None:
        self._values = values

    def after(self, name: str, stage: int = -1) -> Value:
        """Value `name` as `stage` registers saw it; by default, in the last stage."""
        return self._values[name][stage]


def rounded(value: Value, places: Value) -> Value:
    """Hardware of `round_half_even` for a variable shift."""
    mask = ((1 << places) - 1)[: len(value)]
    odd = (value >> places)[0] & (places != 0)
    return (value + (mask >> 1) + odd) >> places


def clip(value: Value, low: Value | int, high: Value | int) -> Value:
    """`value`, or the bound that it is beyond."""
    return Mux(value > high, high, Mux(value < low, low, value))
