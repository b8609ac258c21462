"""Single bits of a vector, chosen by a signal."""

from amaranth.hdl import Array, Value
from amaranth.hdl._ast import Statement


def bit(vector: Value, number: Value) -> Value:
    """Bit `number` of `vector`, as a choice among bits: a shift would be as wide as the vector."""
    return Array(vector)[number]


def flip(vector: Value, number: Value) -> Statement:
    """The assignment that flips bit `number` of `vector`."""
    return vector.bit_select(number, 1).eq(~bit(vector, number))
