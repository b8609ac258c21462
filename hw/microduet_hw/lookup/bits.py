"""Single bits of a vector, chosen by a signal: as shifts, which stay one line of Verilog for any width."""

from amaranth.hdl import Const, Mux, Value, ValueLike


def bit(vector: Value, number: Value) -> Value:
    """Bit `number` of `vector`."""
    return (vector >> number)[0]


def mask(width: int, number: Value, *, enable: ValueLike = 1) -> Value:
    """`width` bits, all 0 but bit `number`, and that one too unless `enable`."""
    return (Mux(enable, Const(1, width), Const(0, width)) << number)[:width]
