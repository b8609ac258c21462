"""A query's lookups as rows of memory channels: where tables lie, and who sums what."""

import dataclasses
import typing
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from microduet.duet.shape import DlrmShape
from microduet.errors import InputError
from microduet_sim.dram.near_memory import Gather
from microduet_sim.dram.parameters import DramParameters

Spread = typing.Literal["rows", "tables"]
SPREADS: tuple[Spread, ...] = typing.get_args(Spread)
"""rows: each table's rows over all channels, one after the other, so that every channel has a part of every sum.
tables: each table in one channel, the tables dealt out one after the other."""

ELEMENT_BYTES = 4
"""float32, as in the paper."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """The memory of the datacentre's server: so many equal channels."""

    channel: DramParameters
    channels: int

    @property
    def peak_gigabytes_per_s(self) -> float:
        """Of all channels' data buses."""
        return self.channels * self.channel.peak_gigabytes_per_s


def row_bytes(shape: DlrmShape) -> int:
    """Bytes of a table's row; raises InputError if the tables' differ."""
    dims = {table.dim for table in shape.tables}
    if len(dims) > 1:
        raise InputError(f"{shape.name}: tables must have rows of one width, not of {sorted(dims)} elements")
    return ELEMENT_BYTES * dims.pop()


def gathers(
    shape: DlrmShape, features: tuple[int, ...], server: Server, *, n: int, spread: Spread, seed: int
) -> Iterator[Gather | None]:
    """Each channel's rows of a query of `n` candidates, None for a channel without any.

    Ids are uniform, and every candidate has its own, the user's features too: the datacentre serves them one by one, as
    in the paper. Candidates come one after the other, each with its features in their order. Rows lie at multiples of a
    power of two, tables behind each other.

    Raises
    ------
    InputError
        If the tables do not fit, or their rows differ in width.
    """
    size = row_bytes(shape)
    stride = 1 << (size - 1).bit_length()
    firsts = _first_rows(shape, server.channels, spread)
    taken = int(firsts[-1].max()) * stride
    if taken > server.channel.bytes:
        raise InputError(
            f"{shape.name}: tables must fit into channels of {server.channel.bytes:,} bytes, not take {taken:,}"
        )
    lookups = [shape.features[feature].lookups for feature in features]
    ids = np.concatenate([_ids(shape, feature, n, seed) for feature in features], 1)
    tables = np.repeat([shape.features[feature].table for feature in features], lookups)
    sums = np.repeat(np.arange(len(features)), lookups) + len(features) * np.arange(n)[:, None]
    places = ids % server.channels if spread == "rows" else np.broadcast_to(tables % server.channels, ids.shape)
    rows = ids // server.channels if spread == "rows" else ids
    for channel in range(server.channels):
        own = places == channel
        if not own.any():
            yield None
            continue
        numbers = sums[own]
        yield Gather(
            addresses=(firsts[tables, channel] + rows)[own].astype(np.uint64) * np.uint64(stride),
            sums=np.cumsum(np.diff(numbers, prepend=numbers[0]) > 0).astype(np.uint32),
            bytes=size,
        )


def _ids(shape: DlrmShape, feature: int, n: int, seed: int) -> npt.NDArray[np.int64]:
    """int64 (n, lookups), the same whichever other features are looked up."""
    one = shape.features[feature]
    return np.random.default_rng([seed, feature]).integers(0, shape.tables[one.table].rows, (n, one.lookups))


def _first_rows(shape: DlrmShape, channels: int, spread: Spread) -> npt.NDArray[np.int64]:
    """The row at which each table begins in each channel, int64 (tables + 1, channels): the ends come last."""
    counts = np.zeros((len(shape.tables) + 1, channels), np.int64)
    for number, table in enumerate(shape.tables):
        if spread == "rows":
            counts[number + 1] = -(-table.rows // channels)
        else:
            counts[number + 1, number % channels] = table.rows
    return counts.cumsum(0)
