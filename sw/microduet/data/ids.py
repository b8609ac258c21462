"""From the values of a categorical column to the rows of a table."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.data.store import Store
from microduet.errors import DataError

Values = npt.NDArray[np.integer]


class Appearances:
    """Different values of a column in the order in which they first appear; takes the memory of these."""

    def __init__(self) -> None:
        self._known: Values = np.zeros(0, np.int64)
        self._ordered: list[Values] = [self._known]

    def add(self, block: Values) -> None:
        """See the next values of the column."""
        values, first = np.unique(block.astype(np.int64), return_index=True)
        new = ~np.isin(values, self._known, assume_unique=True, kind="sort")
        self._ordered.append(values[new][np.argsort(first[new])])
        self._known = np.sort(np.concatenate([self._known, values[new]]), kind="stable")

    def values(self) -> Values:
        """All that were seen, int64."""
        return np.concatenate(self._ordered)


class Index:
    """Numbers values by their place in `values`, which are kept in the folder `source`."""

    def __init__(self, values: Values, source: Path) -> None:
        self._source = source
        self._order = np.argsort(values)
        self._sorted = values[self._order]

    def __len__(self) -> int:
        return len(self._order)

    def ids(self, values: Values) -> npt.NDArray[np.int64]:
        """Places of `values`; raises DataError if one of them is unknown."""
        places = np.minimum(np.searchsorted(self._sorted, values), len(self) - 1)
        if (self._sorted[places] != values).any():
            raise DataError(f"{self._source}: a value is not in its index; remove the folder")
        return self._order[places]


class Hashed:
    """Values modulo a stated number of rows, as DLRM's --max-ind-range."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def ids(self, values: Values) -> npt.NDArray[np.int64]:
        """Rows of `values`, which are not negative: 0 to rows - 1."""
        if self._rows > np.iinfo(values.dtype).max:
            return values.astype(np.int64)
        return (values % values.dtype.type(self._rows)).astype(np.int64)


Numbering = Index | Hashed


def numberings(
    store: Store, streams: Iterable[str], names: Sequence[str], rows: int | None, *, prefix: str = "index"
) -> list[Numbering]:
    """How columns become ids: modulo `rows`, or numbered by first appearance in `streams` if that is None.

    `names` are columns of the store; NAME/K is column K of matrix NAME.
    """
    if rows is not None:
        return [Hashed(rows) for _ in names]

    def make() -> Mapping[str, Values]:
        seen = {name: Appearances() for name in names}
        wanted = sorted({name.partition("/")[0] for name in names})
        for stream in streams:
            for columns in store.read(stream, first=0, count=store.rows(stream), names=wanted):
                for name in names:
                    column, _, place = name.partition("/")
                    seen[name].add(columns[column][:, int(place)] if place else columns[column])
        return {name: found.values() for name, found in seen.items()}

    found = store.derived([f"{prefix}-{name.replace('/', '-')}" for name in names], lambda: list(make().values()))
    return [Index(values, store.folder) for values in found]


def text_value(text: str) -> int:
    """63 bits that stand for a text; two of 10^8 texts share them with a chance of 0.05 %."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
