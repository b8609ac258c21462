"""Where the elements of a group stand among its coded bytes."""

from amaranth.hdl import Const, Module, Signal, Value

from microduet_hw.user_code import GROUP


def mask_places(m: Module, mask: Value) -> tuple[list[Signal], Signal]:
    """For each bit of a group's mask how many below it are set, and how many are set in all."""
    below, total = _below([mask[k] for k in range(GROUP)])
    places = [Signal(range(max(2, k + 1)), name=f"place_{k}") for k in range(GROUP)]
    count = Signal(range(GROUP + 1))
    m.d.comb += [count.eq(total), *(place.eq(value) for place, value in zip(places, below, strict=True))]
    return places, count


def _below(bits: list[Value]) -> tuple[list[Value], Value]:
    """The same of any number of bits; no sum is deeper than the logarithm of their number."""
    if len(bits) == 1:
        return [Const(0, 1)], bits[0]
    half = len(bits) // 2
    (low, before), (high, behind) = _below(bits[:half]), _below(bits[half:])
    return [*low, *(before + place for place in high)], before + behind
