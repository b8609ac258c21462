"""Physical tables: the model's tables after products were formed."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microduet.errors import PlacementError
from microduet.shape import ModelShape
from microduet_hw.config import Feature

INDEX_BITS = 32
"""Bits of an index in an item packet."""
Products = tuple[tuple[int, int], ...]


def check_products(shape: ModelShape, products: Products) -> None:
    """Raise PlacementError, naming the features, unless `products` can be formed."""
    taken: set[int] = set()
    for first, second in products:
        for number in (first, second):
            if not 0 <= number < len(shape.features):
                raise PlacementError(f"a product's factors must be 0 to {len(shape.features) - 1}, not {number}")
            if number in taken:
                raise PlacementError(f"feature {number} is in two products or twice in one")
            taken.add(number)
        a, b = shape.features[first], shape.features[second]
        if a.lookups != b.lookups:
            raise PlacementError(
                f"factors of a product must have equal lookups, not {a.lookups} (feature {first}) and {b.lookups} "
                f"(feature {second})"
            )
        if a.rows * b.rows > 1 << INDEX_BITS:
            raise PlacementError(f"the product of features {first} and {second} has more than 2^{INDEX_BITS} rows")


def factors(shape: ModelShape, products: Products) -> tuple[tuple[int, ...], ...]:
    """The features of every physical table, in the order of physical tables."""
    firsts = {first: (first, second) for first, second in products}
    seconds = {second for _, second in products}
    return tuple(firsts.get(number, (number,)) for number in range(len(shape.features)) if number not in seconds)


def physical_shape(shape: ModelShape, products: Products) -> ModelShape:
    """The model whose features are the physical tables; its vector is the original one in another order."""
    if not products:
        return shape
    tables = factors(shape, products)
    starts = dict(zip(_order(shape, products), _starts(shape, products), strict=True))
    features = tuple(
        Feature(
            rows=math.prod(shape.features[number].rows for number in members),
            dim=sum(shape.features[number].dim for number in members),
            lookups=shape.features[members[0]].lookups,
            position=starts[members],
        )
        for members in tables
    )
    return shape.replace(features=features, dense_position=starts[()] if shape.dense else shape.dense_position)


def vector_order(shape: ModelShape, products: Products) -> npt.NDArray[np.int64]:
    """For every element of the physical vector, its position in the model's own."""
    pieces: list[npt.NDArray[np.int64]] = []
    for members in _order(shape, products):
        spans = [(shape.features[k].position, shape.features[k].dim) for k in members]
        for position, width in spans or [(shape.dense_position, shape.dense)]:
            pieces.append(np.arange(position, position + width, dtype=np.int64))
    return np.concatenate(pieces)


def physical_ids(shape: ModelShape, products: Products, sparse: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Ids of the physical tables, (items, physical lookups), for the model's ids (items, lookups)."""
    if not products:
        return sparse
    ends = np.cumsum([feature.lookups for feature in shape.features])
    columns = [
        sparse[:, end - feature.lookups : end] for end, feature in zip(ends.tolist(), shape.features, strict=True)
    ]
    tables: list[npt.NDArray[np.int64]] = []
    for first, *second in factors(shape, products):
        ids = columns[first]
        for number in second:
            ids = ids * shape.features[number].rows + columns[number]
        tables.append(ids)
    return np.ascontiguousarray(np.concatenate(tables, axis=1))


def overhead_percent(shape: ModelShape, products: Products, copies: Sequence[float]) -> float:
    """Elements of products and of further copies, in percent of the model's; factors are not taken off, as the paper
    counts.

    Parameters
    ----------
    copies : per physical table, how many whole copies of it there are
    """
    total = sum(feature.rows * feature.dim for feature in shape.features)
    extra = 0.0
    for members, table, count in zip(
        factors(shape, products), physical_shape(shape, products).features, copies, strict=True
    ):
        elements = table.rows * table.dim
        extra += elements * (count - 1 + (len(members) > 1))
    return 100 * extra / total


def _order(shape: ModelShape, products: Products) -> list[tuple[int, ...]]:
    """Physical tables, and () for the dense features, in the order of the physical vector."""
    order: list[tuple[int, tuple[int, ...]]] = [
        (shape.features[members[0]].position, members) for members in factors(shape, products)
    ]
    if shape.dense:
        order.append((shape.dense_position, ()))
    return [members for _, members in sorted(order)]


def _starts(shape: ModelShape, products: Products) -> list[int]:
    widths = [
        sum(shape.features[number].dim for number in members) if members else shape.dense
        for members in _order(shape, products)
    ]
    return [end - width for end, width in zip(itertools.accumulate(widths), widths, strict=True)]
