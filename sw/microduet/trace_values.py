"""What a node of a traced model stands for."""

import dataclasses

import torch

from microduet.errors import ModelError

Shape = tuple[int | None, ...]
"""Of one item, without the batch; None is a width that only the first Linear layer tells."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Lookup:
    """The summed rows of one table that `columns` of `sparse` point to."""

    table: torch.nn.Module
    columns: tuple[int, ...]
    size: int


@dataclasses.dataclass(eq=False)
class Dense:
    """The dense features."""

    width: int | None = None

    @property
    def size(self) -> int | None:
        """Elements, if known."""
        return self.width


Piece = Lookup | Dense


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """``x.shape`` of a value."""

    what = "a shape"
    shape: Shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchSize:
    """``x.shape[0]``."""

    what = "the number of items"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ids:
    """Columns of `sparse`; `columns` None: all of them, however many."""

    what = "columns of sparse"
    columns: tuple[int, ...] | None
    flat: bool
    """One column as (items,) rather than (items, 1)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vector:
    """Pieces in row-major order of a per-item shape."""

    what = "an embedding"
    pieces: tuple[Piece, ...]
    shape: Shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Activations:
    """The outputs of the last of `linears`, applied to `vector`."""

    what = "activations"
    vector: Vector
    linears: tuple[torch.nn.Linear, ...]
    relus: tuple[bool, ...]
    shape: Shape
    sigmoid: bool = False
    chosen: bool = False
    """Softmax over two outputs was taken, of which the second is the score."""


Value = Sizes | BatchSize | Ids | Vector | Activations | int | None


def refuse(where: object, *, what: str, nearest: str) -> ModelError:
    """The error for something that is not supported."""
    return ModelError(f"{where}: {what} is not supported; the nearest that is: {nearest}")
