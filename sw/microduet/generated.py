"""Tables that are computed, not stored: one integer hash of (seed, table, row, column), here in numpy."""

import numpy as np
import numpy.typing as npt

from microduet_hw.config import Frozen

SEED_FACTOR = 0x9E3779B97F4A7C15
TABLE_FACTOR = 0xBF58476D1CE4E5B9
ROW_FACTOR = 0x94D049BB133111EB
COLUMN_FACTOR = 0xD6E8FEB86659FD93
MASK = (1 << 64) - 1
VALUE_BITS = 24
"""Bits of one generated value: exact in float32."""


class GeneratedTable(Frozen, frozen=True, kw_only=True):
    """The rule of one table.

    ``z = seed A + table B + row C + column D`` modulo 2^64, mixed by the finaliser of SplitMix64 (Steele, Lea,
    Flood: Fast splittable pseudorandom number generators, 2014); its upper 24 bits, as a signed number h, give the
    value ``h * 2 ** (-23 - amplitude_log2)``, which lies in [-2^-amplitude_log2, 2^-amplitude_log2).
    """

    rows: int
    dim: int
    seed: int = 0
    table: int = 0
    amplitude_log2: int = 0

    @property
    def fraction(self) -> int:
        """Fraction bits of the value: ``h * 2 ** -fraction``."""
        return VALUE_BITS - 1 + self.amplitude_log2

    def integers(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """h of every column of rows `ids`: int64 (..., dim), |h| <= 2^23."""
        offset = (self.seed * SEED_FACTOR + self.table * TABLE_FACTOR) & MASK
        with np.errstate(over="ignore"):
            rows = np.asarray(ids).astype(np.uint64)[..., None] * np.uint64(ROW_FACTOR)
            columns = np.arange(self.dim, dtype=np.uint64) * np.uint64(COLUMN_FACTOR)
            z = rows + columns + np.uint64(offset)
            z ^= z >> np.uint64(30)
            z *= np.uint64(0xBF58476D1CE4E5B9)
            z ^= z >> np.uint64(27)
            z *= np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        return (z >> np.uint64(64 - VALUE_BITS)).astype(np.int64) - (1 << (VALUE_BITS - 1))

    def values(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Rows `ids` as float32 (..., dim), exact."""
        return np.ldexp(self.integers(ids).astype(np.float32), -self.fraction)
