"""Adder trees, and int8 products two at a time."""

from amaranth.hdl import Value

PACKED_BITS = 18
"""Bits between the two products of a packed one."""

PACKED_LANES = 4
"""Lanes that are added before their products are taken apart: 4 x 255 x 128 still fits in 18 bits."""


def add_tree(terms: list[Value]) -> Value:
    """Sum of `terms` as a balanced tree; the result is as wide as it needs to be."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + ([terms[-1]] if len(terms) % 2 else [])
    return terms[0]


def unpack(packed: int) -> tuple[int, int]:
    """`low` and `high` of ``(high << 18) + low``, -2^17 <= low < 2^17; of integers or arrays of them."""
    low = (packed + (1 << PACKED_BITS - 1)) % (1 << PACKED_BITS) - (1 << PACKED_BITS - 1)
    return low, packed - low >> PACKED_BITS


def unpacked(packed: Value) -> tuple[Value, Value]:
    """The hardware of `unpack`: a negative lower sum has borrowed one from the upper one, which is given back."""
    low = packed[:PACKED_BITS].as_signed()
    return low, packed[PACKED_BITS:].as_signed() + low[-1]


def packed_sums(x: Value, weights: tuple[Value, Value], *, lanes: int) -> tuple[Value, Value]:
    """The int8 lanes' sums of both elements of a pair, of operands that they share, by one multiplier per lane.

    ``((w1 << 18) + w0) x`` is w1 x above w0 x.
    """
    products = [_packed_product(x, weights, lane) for lane in range(lanes)]
    totals = [add_tree(products[k : k + PACKED_LANES]) for k in range(0, lanes, PACKED_LANES)]
    low, high = zip(*(unpacked(total) for total in totals), strict=True)
    return add_tree(list(low)), add_tree(list(high))


def _packed_product(x: Value, weights: tuple[Value, Value], lane: int) -> Value:
    w0, w1 = (row.word_select(lane, 8).as_signed() for row in weights)
    # As wide as the port of a DSP48E2 that it enters by.
    return ((w1 << PACKED_BITS) + w0)[:27].as_signed() * x.word_select(lane, 8)
