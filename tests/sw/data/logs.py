"""Reading whole parts of a click log in tests."""

import numpy as np

from microduet.data.schema import Chunk, DataSet


def whole(log: DataSet, part: str = "train", *, first: int = 0, count: int | None = None, size: int = 1000) -> Chunk:
    """All rows of a part, read in chunks of `size`, each of them full but the last."""
    chunks = list(log.chunks(part, first=first, count=count, size=size))
    assert all(len(chunk) == size for chunk in chunks[:-1])
    return Chunk(
        labels=np.concatenate([chunk.labels for chunk in chunks]),
        sparse=np.concatenate([chunk.sparse for chunk in chunks]),
        dense=np.concatenate([chunk.dense for chunk in chunks]),
    )


def same(left: Chunk, right: Chunk) -> bool:
    """Whether two chunks agree in types, shapes and every value."""
    pairs = ((left.labels, right.labels), (left.sparse, right.sparse), (left.dense, right.dense))
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)
