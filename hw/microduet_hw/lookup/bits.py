"""Single bits of a vector, chosen by a signal: as shifts, one line of Verilog for any width; sums of bits."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Mux, Value, ValueLike


def bit(vector: Value, number: Value) -> Value:
    """Bit `number` of `vector`."""
    return (vector >> number)[0]


def product(columns: Sequence[int], value: Value, *, bits: int) -> Value:
    """The sum, modulo 2, of the columns, of `bits` bits, where `value` has a bit: a tree of XOR gates per bit of it."""
    chosen = [sum((column >> k & 1) << place for place, column in enumerate(columns)) for k in range(bits)]
    return Cat((value & Const(places, len(columns))).xor() for places in chosen)


def mask(width: int, number: Value, *, enable: ValueLike = 1) -> Value:
    """`width` bits, all 0 but bit `number`, and that one too unless `enable`."""
    return (Mux(enable, Const(1, width), Const(0, width)) << number)[:width]
