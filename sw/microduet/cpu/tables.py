"""Embedding tables on a processor: float32, float16, or int8 with a scale per row."""

import typing
from collections.abc import Sequence

import torch

from microduet.duet.shape import DlrmShape

TableKind = typing.Literal["float32", "float16", "int8"]
TABLE_KINDS: tuple[TableKind, ...] = typing.get_args(TableKind)

_BYTES: dict[TableKind, float] = {"float32": 4, "float16": 2, "int8": 1}
_ROW_BYTES = 8
"""Scale and bias of an int8 row, float32 each."""


def table_bytes(shape: DlrmShape, features: Sequence[int], kind: TableKind = "float32") -> int:
    """Bytes of the tables that `features` look up."""
    tables = {shape.features[number].table for number in features}
    extra = _ROW_BYTES if kind == "int8" else 0
    return int(sum(shape.tables[k].rows * (shape.tables[k].dim * _BYTES[kind] + extra) for k in tables))


class EmbeddingBags(torch.nn.Module):
    """Sums of features' rows, by the embedding kernels that PyTorch has for inference.

    Rows are random: what they hold does not matter to the time that they take.

    Parameters
    ----------
    shape : whose features these are
    features : numbers of those that are looked up
    kind : how the tables are stored
    """

    def __init__(self, shape: DlrmShape, features: Sequence[int], *, kind: TableKind, seed: int = 0) -> None:
        super().__init__()
        self.kind: TableKind = kind
        self._lookups = [shape.features[number].lookups for number in features]
        self._tables = [shape.features[number].table for number in features]
        self._stored = {number: _table(shape, number, kind, seed) for number in sorted(set(self._tables))}

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        """float32 (items, elements) of ids int64 (items, lookups of the features, in their order)."""
        ids = sparse.split(self._lookups, 1)
        return torch.cat([self._sum(self._stored[t], one) for t, one in zip(self._tables, ids, strict=True)], 1)

    def _sum(self, table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        if self.kind == "int8":
            offsets = torch.arange(0, ids.numel() + 1, ids.shape[1])
            kernel = torch.ops.quantized.embedding_bag_byte_rowwise_offsets
            return kernel(table, ids.contiguous().view(-1), offsets, include_last_offset=True)
        return torch.nn.functional.embedding_bag(ids.contiguous(), table, mode="sum").float()


def _table(shape: DlrmShape, number: int, kind: TableKind, seed: int) -> torch.Tensor:
    size = shape.tables[number]
    generator = torch.Generator().manual_seed(seed + number)
    rows = torch.empty(size.rows, size.dim).uniform_(-0.1, 0.1, generator=generator)
    match kind:
        case "float32":
            return rows
        case "float16":
            return rows.half()
        case "int8":
            return torch.ops.quantized.embedding_bag_byte_prepack(rows)
