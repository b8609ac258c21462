"""An embedding without storage."""

import torch

from microduet import zoo
from microduet.generated import COLUMN_FACTOR, MASK, ROW_FACTOR, SEED_FACTOR, TABLE_FACTOR, VALUE_BITS, GeneratedTable


class GeneratedEmbedding(torch.nn.Module):
    """An embedding table whose rows are computed from a hash, in place of `torch.nn.Embedding`.

    A table of any size opens at once and takes no memory. `microduet.generated.GeneratedTable` has the formula.

    Parameters
    ----------
    rows, dim : shape of the table
    seed, table : what the hash starts from; tables of one model differ in `table`
    amplitude_log2 : values lie in [-2^-amplitude_log2, 2^-amplitude_log2)
    """

    def __init__(self, rows: int, dim: int, seed: int = 0, table: int = 0, *, amplitude_log2: int = 0) -> None:
        if rows < 1 or dim < 1:
            raise ValueError(f"rows and dim must be at least 1, not {rows!r} and {dim!r}")
        super().__init__()
        self.rule = GeneratedTable(rows=rows, dim=dim, seed=seed, table=table, amplitude_log2=amplitude_log2)

    def integers(self, ids: torch.Tensor) -> torch.Tensor:
        """h of every column of rows `ids`: int64 (..., dim)."""
        rule = self.rule
        offset = _signed(rule.seed * SEED_FACTOR + rule.table * TABLE_FACTOR)
        columns = torch.arange(rule.dim) * _signed(COLUMN_FACTOR)
        z = ids[..., None] * _signed(ROW_FACTOR) + columns + offset
        z = (z ^ _shift(z, 30)) * _signed(0xBF58476D1CE4E5B9)
        z = (z ^ _shift(z, 27)) * _signed(0x94D049BB133111EB)
        z = z ^ _shift(z, 31)
        return _shift(z, 64 - VALUE_BITS) - (1 << (VALUE_BITS - 1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Rows `ids` (int64, any shape): float32 (..., dim)."""
        return torch.ldexp(self.integers(ids).to(torch.float32), torch.tensor(-self.rule.fraction))

    def extra_repr(self) -> str:
        return f"{self.rule.rows}, {self.rule.dim}, seed={self.rule.seed}, table={self.rule.table}"


def make_table(
    rows: int, dim: int, *, seed: int, number: int, storage: zoo.Storage, amplitude_log2: int = 0
) -> torch.nn.Module:
    """Table `number` of a model: generated, or stored with the values that a generated one has."""
    generated = GeneratedEmbedding(rows, dim, seed, number, amplitude_log2=amplitude_log2)
    if storage == "generated":
        return generated
    stored = torch.nn.Embedding(rows, dim, _weight=torch.empty(rows, dim))
    with torch.no_grad():
        for first in range(0, rows, 1 << 16):  # in slices: the hash needs several times the room of its result
            ids = torch.arange(first, min(rows, first + (1 << 16)))
            stored.weight[first : first + len(ids)] = generated(ids)
    return stored


def _signed(value: int) -> int:
    """`value` modulo 2^64 as the int64 with the same bits: torch has no uint64 arithmetic."""
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def _shift(z: torch.Tensor, bits: int) -> torch.Tensor:
    return (z >> bits) & ((1 << (64 - bits)) - 1)
