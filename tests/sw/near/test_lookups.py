"""A query's lookups as rows of channels: each one once, in its sum, wherever tables lie."""

from collections import Counter

import numpy as np
import pytest

from microduet.duet.shape import DlrmShape, Lookups, TableShape
from microduet.errors import InputError
from microduet.near.lookups import SPREADS, Server, Spread, gathers, row_bytes
from microduet_sim.dram.near_memory import Gather
from microduet_sim.dram.parameters import built_in

DIMM = built_in("ddr4-2400-dimm")
ROWS = (7, 40, 3)
N = 9
SHAPE = DlrmShape(
    name="three",
    tables=tuple(TableShape(rows=rows, dim=18) for rows in ROWS),
    features=(Lookups(table=0, lookups=4), Lookups(table=1), Lookups(table=2, lookups=5), Lookups(table=1, lookups=2)),
    top=(1,),
)
ALL = (0, 1, 2, 3)
STRIDE = 128
"""72 bytes of 18 elements, at the next power of two."""


def server(channels: int) -> Server:
    return Server(channel=DIMM, channels=channels)


def channels_of(spread: Spread, channels: int, features: tuple[int, ...] = ALL) -> list[Gather | None]:
    return list(gathers(SHAPE, features, server(channels), n=N, spread=spread, seed=1))


def looked_up(found: list[Gather | None], spread: Spread) -> Counter[tuple[int, int]]:
    """How often each row of each table is read, from where it lies."""
    result: Counter[tuple[int, int]] = Counter()
    for channel, gather in enumerate(found):
        first = 0
        for table, rows in enumerate(ROWS):
            here = -(-rows // len(found)) if spread == "rows" else rows if table % len(found) == channel else 0
            for place in [] if gather is None else (gather.addresses // STRIDE).tolist():
                if first <= place < first + here:
                    number = int(place - first)
                    result[table, number * len(found) + channel if spread == "rows" else number] += 1
            first += here
    return result


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_every_lookup_is_one_row_of_one_channel(spread: Spread, channels: int) -> None:
    found = channels_of(spread, channels)
    assert all((gather.addresses % np.uint64(STRIDE) == 0).all() for gather in found if gather is not None)
    assert {gather.bytes for gather in found if gather is not None} == {72}
    rows = looked_up(found, spread)
    assert rows.total() == N * SHAPE.lookups == sum(len(gather) for gather in found if gather is not None)
    assert all(row < ROWS[table] for table, row in rows)
    assert rows == looked_up(channels_of("tables", 1), "tables"), "the same rows wherever tables lie"


@pytest.mark.parametrize("spread", SPREADS)
def test_rows_of_a_sum_follow_each_other(spread: Spread) -> None:
    per_channel = [Counter(gather.sums.tolist()) for gather in channels_of(spread, 2) if gather is not None]
    for sums, gather in zip(per_channel, channels_of(spread, 2), strict=True):
        assert gather is not None
        assert gather.sums.tolist() == sorted(gather.sums.tolist())
        assert sorted(sums) == list(range(len(sums)))
    if spread == "tables":
        # Tables 0 and 2 are in channel 0, table 1 in channel 1, which has two features of it.
        assert per_channel[0] == Counter({number: (4, 5)[number % 2] for number in range(2 * N)})
        assert per_channel[1] == Counter({number: (1, 2)[number % 2] for number in range(2 * N)})
    else:
        assert sum(sums.total() for sums in per_channel) == N * SHAPE.lookups


def test_an_items_rows_are_those_of_the_whole_model() -> None:
    whole, item = (looked_up(channels_of("rows", 4, features), "rows") for features in (ALL, (2, 3)))
    assert item <= whole
    assert item.total() == N * 7


def test_a_channel_without_a_table_has_nothing_to_do() -> None:
    assert [gather is None for gather in channels_of("tables", 8)] == [False] * 3 + [True] * 5


def test_another_seed_asks_for_other_rows() -> None:
    one, other = (list(gathers(SHAPE, ALL, server(1), n=N, spread="rows", seed=seed)) for seed in (1, 2))
    assert one[0] is not None
    assert other[0] is not None
    assert one[0].addresses.tolist() != other[0].addresses.tolist()


def test_tables_that_do_not_fit_are_refused() -> None:
    large = SHAPE.replace(tables=(TableShape(rows=1 << 27, dim=18), *SHAPE.tables[1:]))
    message = "three: tables must fit into channels of 17,179,869,184 bytes, not take 17,179,874,688"
    with pytest.raises(InputError, match=message):
        list(gathers(large, ALL, server(1), n=1, spread="rows", seed=0))


def test_rows_of_two_widths_are_refused() -> None:
    mixed = SHAPE.replace(tables=(TableShape(rows=9, dim=4), *SHAPE.tables[1:]))
    with pytest.raises(InputError, match=r"three: tables must have rows of one width, not of \[4, 18\] elements"):
        row_bytes(mixed)
