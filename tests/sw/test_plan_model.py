"""The channel model, banks, pieces and products: the planner's arithmetic on small cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet.boards import Channel
from microduet.errors import PlacementError
from microduet.planner import pieces
from microduet.planner.model import banks, joint_load, load, part_load
from microduet.planner.physical import check_products, physical_ids, physical_shape, vector_order
from microduet_hw.config import Feature, Part, Precision, SourceKind
from microduet_hw.part_rules import overlap
from tests.sw.plans import shape

HBM = Channel(name="hbm00", kind=SourceKind.HBM, size=256 << 20)
DDR = Channel(name="ddr0", kind=SourceKind.DDR, size=16 << 30)

# kind, parts as (reads, beats), groups, ns
TIMES = [
    (SourceKind.HBM, [], 0, 0),
    (SourceKind.HBM, [(1, 1)], 1, 137.8),
    (SourceKind.HBM, [(1, 2)], 1, 137.8 + 6.11 - 1.11),
    (SourceKind.HBM, [(1, 8)], 1, 137.8 + 7 * 2.28),
    (SourceKind.HBM, [(1, 1)] * 2, 2, 137.8 + 6.11),
    (SourceKind.HBM, [(1, 1)] * 2, 1, 137.8 + 48.9),
    (SourceKind.HBM, [(1, 8)] * 3, 3, 137.8 + 23 * 2.28),
    (SourceKind.HBM, [(1, 1), (1, 2), (1, 2)], 2, 137.8 + 6.11 + 48.9 + 2 * 1.4),
    (SourceKind.HBM, [(2, 2)], 1, 137.8 + 48.9),
    (SourceKind.HBM, [(4, 4)], 1, 137.8 + 48.9),
    (SourceKind.HBM, [(4, 8)], 1, 137.8 + 2 * 48.9 + 4 * 1.4),
    (SourceKind.HBM, [(230, 230)], 1, 137.8 + 229 * 6.11),
    (SourceKind.DDR, [(1, 2)], 1, 106.6 + 2.22),
    (SourceKind.DDR, [(1, 1)] * 2, 1, 106.6 + 46.7),
    (SourceKind.ONCHIP, [(1, 1)] * 17, 1, 9 + 17 * 2.22),
]


@pytest.mark.parametrize(("kind", "parts", "groups", "ns"), TIMES)
def test_time_of_a_source(kind, parts, groups, ns):
    asked = joint_load(kind, [part_load(kind, reads, beats) for reads, beats in parts], groups)
    assert asked.ps(kind) == round(ns * 1000)


def test_nothing_waits_for_a_bank_on_chip():
    parts = [part_load(SourceKind.ONCHIP, 1, 2)] * 3
    assert joint_load(SourceKind.ONCHIP, parts, 1) == (3, 6, 0, 0)


def part(rows: int, *, base: int = 0, stride: int = 5, hole: tuple[int, int] = (0, 0)) -> Part:
    return Part(feature=0, rows=rows, columns=8, base=base, stride_log2=stride, hole_log2=hole[0], hole_bits=hole[1])


# rows of 32 bytes, base, hole, banks
BANKS = [
    (1, 0, (0, 0), {0}),
    (64, 0, (0, 0), {0}),
    (65, 0, (0, 0), {0, 1}),
    (64, 1024, (0, 0), {0, 1}),
    (1 << 20, 0, (0, 0), set(range(8))),
    (1 << 20, 0, (13, 1), {0, 1, 2, 3}),
    (1 << 20, 1 << 13, (13, 1), {4, 5, 6, 7}),
    (1 << 20, 3 << 12, (12, 2), {6, 7}),
    (1 << 20, 5 << 11, (11, 3), {5}),
    (1 << 20, 0, (10, 1), set(range(8))),
]


@pytest.mark.parametrize(("rows", "base", "hole", "expected"), BANKS)
def test_banks_that_a_part_touches(rows, base, hole, expected):
    assert banks(part(rows, base=base, hole=hole)) == expected


@given(st.integers(1, 5000), st.integers(0, 600), st.sampled_from([(0, 0), (11, 3), (12, 2), (13, 1), (12, 1)]))
def test_banks_are_those_of_every_row(rows, base, hole):
    chosen = part(rows, base=base << (hole[0] if hole[1] else 5), hole=hole)
    assert banks(chosen) == {chosen.offset(row) >> 11 & 7 for row in range(rows)}


TABLE = st.tuples(st.integers(1, 4_000_000), st.integers(1, 1000))


@given(st.lists(TABLE, min_size=1, max_size=14), st.sampled_from([HBM, DDR]))
def test_what_is_placed_fits_and_does_not_overlap(sizes, channel):
    tables = [Feature(rows=rows, dim=dim, position=0) for rows, dim in sizes]
    held = [pieces.whole(number, table, Precision.FIXED16) for number, table in enumerate(tables)]
    source = pieces.place(channel, held, tables=tables, precision=Precision.FIXED16)
    total = sum(piece.size for piece in held)
    if source is None:
        assert total > channel.size
        return
    parts = source.source.parts
    assert all(found.end <= channel.size and found.base % (1 << found.stride_log2) == 0 for found in parts)
    assert not any(overlap(a, b) for k, a in enumerate(parts) for b in parts[:k])
    assert all(found.stride_log2 <= found.hole_log2 for found in parts if found.hole_bits)


@pytest.mark.parametrize(
    ("rows", "groups", "bits"),
    [
        ([100, 100], 2, {1}),
        ([100] * 4, 4, {2}),
        ([100] * 3, 3, {1, 2}),
        ([100] * 8, 8, {3}),
        ([100] * 12, 8, {3}),
        ([4_000_000, 100, 100], 3, {1, 2}),  # 128 MB take half of the banks
        ([5_000_000, 100], 1, {0}),  # 160 MB leave less than half
    ],
)
def test_tables_share_a_channel_in_different_banks(rows, groups, bits):
    tables = [Feature(rows=count, dim=16, position=0) for count in rows]
    held = [pieces.whole(number, table, Precision.FIXED16) for number, table in enumerate(tables)]
    source = pieces.place(HBM, held, tables=tables, precision=Precision.FIXED16)
    assert source is not None
    alone = [part_load(SourceKind.HBM, 1, 1)] * len(rows)
    assert load(source.source, tables, Precision.FIXED16) == joint_load(SourceKind.HBM, alone, groups)
    assert {found.hole_bits for found in source.source.parts} == bits


def test_rows_of_4_kib_lie_in_shares_of_at_least_two_banks():
    tables = [Feature(rows=100, dim=2048, position=0)] * 8
    held = [pieces.whole(number, table, Precision.FIXED16) for number, table in enumerate(tables)]
    source = pieces.place(HBM, held, tables=tables, precision=Precision.FIXED16)
    assert source is not None
    assert {found.hole_bits for found in source.source.parts} == {0}  # eight of them do not fit in quarters


def test_rows_are_dealt_out_to_pieces_one_by_one():
    whole = pieces.whole(0, Feature(rows=10, dim=4, position=0), Precision.FIXED16)
    found = pieces.row_pieces(whole, 2)
    assert [list(piece.part(0).row_numbers) for piece in found] == [[0, 4, 8], [1, 5, 9], [2, 6], [3, 7]]


def test_lookups_are_dealt_out_to_copies():
    whole = pieces.whole(0, Feature(rows=10, dim=4, lookups=7, position=0), Precision.FIXED16)
    assert [(piece.lookup_first, piece.lookups) for piece in pieces.replicas(whole, 7, 3)] == [(0, 2), (2, 2), (4, 3)]


def test_a_product_stands_where_its_first_factor_was():
    model = shape([(10, 2, 1), (20, 3, 1), (30, 4, 1), (40, 5, 1)])
    joined = physical_shape(model, ((3, 0),))
    assert [(table.rows, table.dim, table.position) for table in joined.features] == [
        (20, 3, 0),
        (30, 4, 3),
        (400, 7, 7),
    ]
    assert vector_order(model, ((3, 0),)).tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1]


def test_dense_features_keep_their_place_among_tables():
    model = shape([(10, 2, 1), (20, 3, 1), (30, 4, 1)])
    features = tuple(f.replace(position=f.position + 5 * (k > 0)) for k, f in enumerate(model.features))
    model = model.replace(features=features, dense=5, dense_position=2, hidden=(model.hidden[0].replace(inputs=14),))
    joined = physical_shape(model, ((1, 0),))
    assert [table.position for table in joined.features] == [5, 10]
    assert joined.dense_position == 0
    assert sorted(vector_order(model, ((1, 0),)).tolist()) == list(range(14))


def test_ids_of_a_product_number_its_rows():
    model = shape([(10, 2, 2), (20, 3, 1), (30, 4, 2)])
    sparse = np.array([[1, 2, 3, 4, 5]])
    assert physical_ids(model, ((0, 2),), sparse).tolist() == [[1 * 30 + 4, 2 * 30 + 5, 3]]


BAD = [
    (((0, 4),), "a product's factors must be 0 to 3, not 4"),
    (((0, 0),), "feature 0 is in two products or twice in one"),
    (((0, 1), (1, 2)), "feature 1 is in two products or twice in one"),
    (((0, 3),), r"factors of a product must have equal lookups, not 1 \(feature 0\) and 2 \(feature 3\)"),
    (((1, 2),), r"the product of features 1 and 2 has more than 2\^32 rows"),
]


@pytest.mark.parametrize(("products", "message"), BAD)
def test_refuses_products_that_cannot_be_formed(products, message):
    model = shape([(10, 2, 1), (100_000, 3, 1), (100_000, 4, 1), (10, 2, 2)])
    with pytest.raises(PlacementError, match=message):
        check_products(model, products)
