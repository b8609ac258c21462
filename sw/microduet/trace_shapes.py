"""Slices, sums, concatenations and reshapes of a traced model's values."""

import dataclasses
import math
import typing

import torch.fx

from microduet.trace_values import Activations, BatchSize, Ids, Lookup, Shape, Sizes, Value, Vector, refuse

ALL = slice(None)


def slice_ids(node: torch.fx.Node, ids: Ids, key: object) -> Value:
    """``sparse[:, a]``, ``sparse[:, a:b]``, ``sparse[:, [a, b]]``."""
    if isinstance(key, tuple) and key[:1] == (...,):
        key = (ALL, *key[1:])
    if not (isinstance(key, tuple) and len(key) == 2 and key[0] == ALL) or ids.flat:
        raise refuse(node.name, what=f"{key!r} of sparse", nearest="sparse[:, a] or sparse[:, a:b]")
    column = key[1]
    if isinstance(column, int) and (column >= 0 or ids.columns is not None):
        return Ids(columns=(column if ids.columns is None else _at(node, ids.columns, column),), flat=True)
    if isinstance(column, list) and all(isinstance(c, int) and c >= 0 for c in column):
        return Ids(columns=tuple(c if ids.columns is None else _at(node, ids.columns, c) for c in column), flat=False)
    if isinstance(column, slice) and _plain(column, known=ids.columns is not None):
        if ids.columns is not None:
            return Ids(columns=ids.columns[column], flat=False)
        if column == ALL:
            return ids
        return Ids(columns=tuple(range(column.stop)[column]), flat=False)
    raise refuse(
        node.name,
        what=f"sparse[:, {column!r}]",
        nearest="sparse[:, a:b] with plain numbers; an attribute `lookups` of the module allows open ends",
    )


def _plain(key: slice, *, known: bool) -> bool:
    if any(not (end is None or isinstance(end, int)) for end in (key.start, key.stop, key.step)):
        return False
    return known or key == ALL or (isinstance(key.stop, int) and key.stop >= 0 and (key.start or 0) >= 0)


def _at(node: torch.fx.Node, columns: tuple[int, ...], number: int) -> int:
    if not -len(columns) <= number < len(columns):
        raise refuse(node.name, what=f"column {number} of {len(columns)}", nearest=f"0 to {len(columns) - 1}")
    return columns[number]


def select(node: torch.fx.Node, value: Activations, key: object) -> Value:
    """``z[:, 0]`` of one output, ``softmax(z)[:, 1]`` of two."""
    wanted = 1 if value.chosen else 0
    if isinstance(key, tuple) and key[0] in (ALL, ...) and len(key) == 2:
        (place,), size = key[1:], value.shape[-1]
        if value.shape in ((1,), (2,)) and place in (wanted, wanted - (size or 0)) and (size == 1 or value.chosen):
            return dataclasses.replace(value, shape=())
    raise refuse(node.name, what=f"{key!r} of outputs", nearest="the only output, z[:, 0], or softmax(z)[:, 1] of two")


def sum_lookups(node: torch.fx.Node, value: Value, *, dim: object, keep: bool) -> Value:
    """``rows.sum(1)``: the rows that several columns find in one table."""
    dims = [dim] if isinstance(dim, int) else list(typing.cast("typing.Iterable[int]", dim or []))
    nearest = "rows.sum(1) over the lookups of one table"
    if not isinstance(value, Vector) or len(value.shape) != 2 or dims not in ([1], [-2]):
        raise refuse(node.name, what=f"a sum over dimension {dim!r}", nearest=nearest)
    lookups = [piece for piece in value.pieces if isinstance(piece, Lookup)]
    if len(lookups) < len(value.pieces) or len({id(piece.table) for piece in lookups}) > 1:
        raise refuse(node.name, what="a sum of several tables", nearest=nearest)
    columns = tuple(sorted(column for piece in lookups for column in piece.columns))
    summed = Lookup(table=lookups[0].table, columns=columns, size=lookups[0].size)
    return Vector(pieces=(summed,), shape=(1, summed.size) if keep else (summed.size,))


def concatenate(node: torch.fx.Node, values: list[Value], *, dim: int, stack: bool) -> Value:
    """``torch.cat`` and ``torch.stack`` of embeddings and dense features."""
    vectors = [value for value in values if isinstance(value, Vector)]
    if len(vectors) < len(values) or not vectors:
        raise refuse(
            node.name, what="a concatenation of anything but embeddings and dense", nearest="torch.cat of those"
        )
    if stack:
        rank = len(vectors[0].shape) + 2
        axis = (dim if dim >= 0 else dim + rank) - 1
        vectors = [Vector(pieces=v.pieces, shape=(*v.shape[:axis], 1, *v.shape[axis:])) for v in vectors if axis >= 0]
    else:
        axis = (dim if dim >= 0 else dim + len(vectors[0].shape) + 1) - 1
    shapes = {(*v.shape[:axis], *v.shape[axis + 1 :]) for v in vectors} if axis >= 0 else set()
    if len(shapes) != 1 or axis >= len(vectors[0].shape) or any(size != 1 for size in vectors[0].shape[:axis]):
        raise refuse(node.name, what=f"a concatenation along dimension {dim}", nearest="torch.cat(pieces, 1)")
    sizes = [v.shape[axis] for v in vectors]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    first = vectors[0].shape
    shape = (*first[:axis], total, *first[axis + 1 :])
    return Vector(pieces=tuple(piece for v in vectors for piece in v.pieces), shape=shape)


def reshape(node: torch.fx.Node, value: Value, name: str, arguments: list[Value]) -> Value:
    """flatten, reshape, view, squeeze, unsqueeze: the order of an item's elements never changes."""
    if isinstance(value, Ids):
        return _reshape_ids(node, value, name, arguments)
    if not isinstance(value, Vector | Activations):
        raise refuse(node.name, what=f"{name} of a number", nearest="of embeddings")
    arguments = [size for a in arguments for size in ((BatchSize(), *a.shape) if isinstance(a, Sizes) else (a,))]
    shape = _reshaped(value.shape, name, arguments)
    if shape is None:
        shown = ", ".join("items" if isinstance(a, BatchSize) else str(a) for a in arguments)
        raise refuse(node.name, what=f"{name}({shown}) of (items, {value.shape})", nearest="one that keeps items apart")
    return dataclasses.replace(value, shape=shape)


def _reshape_ids(node: torch.fx.Node, ids: Ids, name: str, arguments: list[Value]) -> Value:
    one = ids.columns is not None and len(ids.columns) == 1
    if name == "unsqueeze" and ids.flat and arguments in ([1], [-1]):
        return dataclasses.replace(ids, flat=False)
    if (
        one
        and not ids.flat
        and ((name == "squeeze" and arguments in ([1], [-1])) or (name == "flatten" and not arguments))
    ):
        return dataclasses.replace(ids, flat=True)
    raise refuse(node.name, what=f"{name} of sparse", nearest="sparse[:, a] or sparse[:, a:b]")


def _reshaped(shape: Shape, name: str, arguments: list[Value]) -> Shape | None:
    """The new shape of an item, or None if that would mix items."""
    rank = len(shape) + 1
    numbers = [a for a in arguments if isinstance(a, int)]
    match name:
        case "flatten":
            start, stop = ([*numbers, 0, -1][:2] if numbers else (0, -1)) if len(numbers) != 1 else (numbers[0], -1)
            start, stop = start % rank, stop % rank
            if start == 0:
                whole = stop == rank - 1 and all(size == 1 for size in shape)
                return shape if stop == 0 else () if whole else None
            inside = shape[start - 1 : stop]
            return (*shape[: start - 1], None if None in inside else math.prod(s or 0 for s in inside), *shape[stop:])
        case "squeeze":
            places = [number % rank for number in numbers] or [k + 1 for k, size in enumerate(shape) if size == 1]
            return tuple(size for k, size in enumerate(shape) if not (k + 1 in places and size == 1))
        case "unsqueeze" if len(numbers) == 1 and (place := numbers[0] % (rank + 1)) > 0:
            return (*shape[: place - 1], 1, *shape[place - 1 :])
        case "view" | "reshape" if arguments:
            return _viewed(shape, arguments)
        case _:
            return None


def _viewed(shape: Shape, arguments: list[Value]) -> Shape | None:
    batch, *sizes = arguments
    if any(not (size is None or isinstance(size, int)) for size in sizes):
        return None
    wanted = [size for size in sizes if isinstance(size, int) or size is None]
    if None in shape:  # an unknown width: only what surely leaves it alone
        return shape if isinstance(batch, BatchSize) and wanted in ([-1], list(shape)) and len(shape) == 1 else None
    elements = math.prod(size or 0 for size in shape)
    if batch == -1 and not sizes:  # every element on its own: an item must be one
        return () if elements == 1 else None
    free = [size for size in wanted if size == -1]
    known = math.prod(size or 0 for size in wanted if size != -1)
    if len(free) > 1 or (free and (batch == -1 or not known or elements % known)) or (not free and known != elements):
        return None
    if not isinstance(batch, BatchSize) and batch != -1:
        return None
    return tuple(elements // known if size == -1 else size for size in wanted)
