"""What a processing element multiplies its weights with: activations, or numbers that tell changed weights."""

from amaranth.hdl import Cat, Value

from microduet_hw.config import Precision
from microduet_hw.pe import PeShape


def operands(pe: PeShape, word: Value) -> Value:
    """Operands of a word of activations: itself, or in fixed32 each lane's limbs and their sum."""
    if pe.precision is not Precision.FIXED32:
        return word
    lanes: list[Value] = []
    for lane in range(pe.lanes):
        value = word[lane * 32 : (lane + 1) * 32]
        lanes += [value, (value[16:].as_signed() + value[:16])[:18]]
    return Cat(*lanes)


def check_numbers(pe: PeShape) -> list[int]:
    """What the lanes multiply with in a check: odd numbers, each its own up to 128 lanes in int8, 16,384 otherwise.

    A changed bit b of lane k's weight changes the sum by ``2^b (2k + 1)``. No two of these differ only in sign, so the
    changes of two bits never make up for each other.
    """
    numbers = 1 << (8 if pe.precision is Precision.INT8 else 15)
    return [(2 * lane + 1) % numbers for lane in range(pe.lanes)]


def check_operand(pe: PeShape) -> int:
    """The operand word of `check_numbers`, lane 0 lowest."""
    # In fixed32 the high limb is 0, so the limbs' sum is the low one.
    words = [number | number << 32 if pe.precision is Precision.FIXED32 else number for number in check_numbers(pe)]
    return sum(word << lane * pe.operand_bits for lane, word in enumerate(words))
