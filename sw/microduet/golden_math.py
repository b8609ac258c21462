"""Exact integer arithmetic of the golden model, on torch tensors."""

import torch

from microduet.generated import COLUMN_FACTOR, MASK, ROW_FACTOR, SEED_FACTOR, TABLE_FACTOR, GeneratedTable

LIMB = 16
"""Bits of a limb of a 32-bit operand."""
WORD = 32
LOW = (1 << WORD) - 1
SINGLE_BITS = 24
"""Significant bits of single precision."""


def shift_half_even(values: torch.Tensor, places: int) -> torch.Tensor:
    """`values` (int64) / 2^places, rounded to the nearest integer, ties to even."""
    if places == 0:
        return values
    floor = values >> places
    rest = values - (floor << places)
    half = 1 << (places - 1)
    return floor + ((rest > half) | ((rest == half) & (floor & 1 == 1))).to(torch.int64)


def scaled(values: torch.Tensor, multiplier: torch.Tensor) -> torch.Tensor:
    """``rint(f32(f32(value) * multiplier))`` in integers: int64 of the shape of `values`.

    The value is rounded to 24 significant bits, multiplied by the multiplier's mantissa, rounded to 24 significant
    bits again and shifted, always half to even: single precision, whatever the machine's own does.

    Parameters
    ----------
    values : int64, below 2^52 in magnitude
    multiplier : float32 that broadcasts to `values`, 2^-60 <= m < 1
    """
    fractions, exponents = torch.frexp(multiplier)  # m = fraction 2^exponent, 1/2 <= fraction < 1
    mantissa = torch.ldexp(fractions, torch.tensor(SINGLE_BITS)).to(torch.int64)
    kept, dropped = _significant(values.abs())
    product, more = _significant(kept * mantissa)
    places = SINGLE_BITS - exponents - dropped - more
    rounded = _shift_each(product, places.clamp(min=0)) << (-places).clamp(min=0)
    return torch.where(values < 0, -rounded, rounded)


def _significant(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Non-negative `values` rounded half to even to 24 significant bits, as (kept, dropped places)."""
    _, lengths = torch.frexp(values.double())
    dropped = (lengths.to(torch.int64) - SINGLE_BITS).clamp(min=0)
    return _shift_each(values, dropped), dropped


def _shift_each(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """`shift_half_even` of non-negative `values` below 2^53 with a number of places each."""
    places = places.clamp(max=60)
    odd = (values >> places) & (places > 0)
    return (values + (((1 << places) - 1) >> 1) + odd) >> places


def saturate(values: torch.Tensor, bounds: tuple[int, int]) -> torch.Tensor:
    """`values` cut to the range `bounds`."""
    return values.clamp(bounds[0], bounds[1])


class ExactProduct:
    """``x W^T + b`` in exact integers by float64 matrix products whose partial sums stay below 2^53.

    Parameters
    ----------
    weights, bias : int64 (outputs, inputs) and (outputs,)
    limbs : split 32-bit operands into two limbs of 16 bits, the upper one signed
    """

    def __init__(self, weights: torch.Tensor, bias: torch.Tensor, *, limbs: bool) -> None:
        self._bias = bias
        if limbs:
            self._high = (weights >> LIMB).double().T.contiguous()
            self._low = (weights & ((1 << LIMB) - 1)).double().T.contiguous()
        else:
            self._whole = weights.double().T.contiguous()

    def single(self, values: torch.Tensor) -> torch.Tensor:
        """Sums of operands of at most 16 bits: int64 (items, outputs)."""
        return self.products(values) + self._bias

    def products(self, values: torch.Tensor) -> torch.Tensor:
        """The same without the bias."""
        return (values.double() @ self._whole).to(torch.int64)

    def shifted(self, values: torch.Tensor, places: int) -> torch.Tensor:
        """Sums of 32-bit operands, rounded half to even after division by 2^places (0 to 63).

        A sum may have 80 bits: it is a pair (upper, lower) that stands for ``upper 2^32 + lower``, 0 <= lower < 2^32.
        Results beyond 2^32 in magnitude are cut there: they saturate in any case.
        """
        high, low = (values >> LIMB).double(), (values & ((1 << LIMB) - 1)).double()
        outer = (high @ self._high).to(torch.int64)
        middle = (high @ self._low).to(torch.int64) + (low @ self._high).to(torch.int64)
        inner = (low @ self._low).to(torch.int64)
        lower = ((middle & 0xFFFF) << LIMB) + (inner & LOW) + (self._bias & LOW)
        upper = outer + (middle >> LIMB) + (inner >> WORD) + (self._bias >> WORD) + (lower >> WORD)
        return _shift_pair(upper, lower & LOW, places)


def _shift_pair(upper: torch.Tensor, lower: torch.Tensor, places: int) -> torch.Tensor:
    """``(upper 2^32 + lower) / 2^places``, rounded half to even, in 64 bits.

    An upper word of 2^places already saturates, so it is cut at twice that. Then `kept` bits of the lower word fit
    beside it; the others matter only by being zero or not, which one sticky bit says.
    """
    limit = 1 << min(places + 1, 61)
    kept = max(0, min(WORD, 60 - places))
    dropped = WORD - kept
    sticky = (lower & ((1 << dropped) - 1) != 0).to(torch.int64)
    joined = (upper.clamp(-limit, limit - 1) << kept) | (lower >> dropped)
    return shift_half_even((joined << 1) | sticky, places - dropped + 1)


def sigmoid_scores(logits: torch.Tensor, fraction: int) -> torch.Tensor:
    """Scores as fractions of 2^16 of 16-bit signed logits with `fraction` fraction bits.

    4,097 knots of the logistic function, 16 logits apart, rounded to 16 bits; between two of them a straight line,
    rounded down.
    """
    ends = torch.arange(-32768, 32768 + 16, 16, dtype=torch.float64)
    knots = torch.floor(65536 * torch.sigmoid(torch.ldexp(ends, torch.tensor(-fraction))) + 0.5).clamp(0, 65535)
    table = knots.to(torch.int64)
    place = logits + 32768
    index, rest = place >> 4, place & 15
    return table[index] + (((table[index + 1] - table[index]) * rest) >> 4)


def generated_rows(table: GeneratedTable, ids: torch.Tensor) -> torch.Tensor:
    """The 24-bit integers of rows `ids` of a generated table: int64 (..., dim)."""
    start = _wrapped(table.seed * SEED_FACTOR + table.table * TABLE_FACTOR)
    z = ids.unsqueeze(-1) * _wrapped(ROW_FACTOR) + torch.arange(table.dim) * _wrapped(COLUMN_FACTOR) + start
    z = (z ^ _logical(z, 30)) * _wrapped(0xBF58476D1CE4E5B9)
    z = (z ^ _logical(z, 27)) * _wrapped(0x94D049BB133111EB)
    return _logical(z ^ _logical(z, 31), 40) - (1 << 23)


def _wrapped(value: int) -> int:
    return ((value & MASK) ^ (1 << 63)) - (1 << 63)


def _logical(z: torch.Tensor, places: int) -> torch.Tensor:
    return (z >> places) & ((1 << (64 - places)) - 1)
