"""The papers' modes: figures that its authors printed, and what the same rules give on other models and boards."""

import pytest

from microduet import zoo
from microduet.errors import PlacementError
from microduet.planner import allocate
from microduet.planner.physical import physical_shape
from microduet_hw.config import SourceKind
from tests.sw.plans import planned, shape

# model, precision, (physical, DRAM, on chip, rounds, overhead)
BUILT = [
    ("microrec-small", "fixed16", (42, 34, 8, 1, 3.167)),
    ("microrec-small", "fixed32", (42, 34, 8, 1, 3.167)),
    ("microrec-small", "int8", (42, 34, 8, 1, 3.167)),
    ("microrec-large", "fixed16", (84, 68, 16, 2, 1.906)),
    ("microrec-large", "fixed32", (84, 68, 16, 2, 1.906)),
    ("microrec-large", "int8", (84, 68, 16, 2, 1.906)),
    ("rmc2-8", "fixed32", (32, 32, 0, 1, 300)),
    ("rmc2-12", "fixed32", (48, 48, 0, 2, 300)),
]


@pytest.mark.parametrize(("model", "precision", "expected"), BUILT)
def test_what_the_authors_built(model, precision, expected):
    _, figures = planned(zoo.find(model).shape, "paper-built", precision=precision)
    counts = figures.physical_tables, figures.dram_tables, figures.onchip_tables, figures.rounds
    assert (*counts, round(figures.overhead_percent, 3)) == expected


# model, precision, (physical, DRAM, on chip, rounds)
WITHOUT_PRODUCTS = [
    ("microrec-small", "fixed16", (47, 39, 8, 2)),
    ("microrec-small", "fixed32", (47, 39, 8, 2)),
    ("microrec-large", "fixed16", (98, 82, 16, 3)),
    ("microrec-large", "fixed32", (98, 82, 16, 3)),
    ("rmc2-12", "fixed32", (48, 48, 0, 2)),
]


@pytest.mark.parametrize(("model", "precision", "expected"), WITHOUT_PRODUCTS)
def test_what_the_authors_compare_it_with(model, precision, expected):
    plan, figures = planned(zoo.find(model).shape, "paper-hbm", precision=precision)
    assert (figures.physical_tables, figures.dram_tables, figures.onchip_tables, figures.rounds) == expected
    assert plan.mode == "paper-hbm"
    assert not plan.products


def test_without_products_the_smallest_tables_lie_on_chip_and_none_is_split():
    model = zoo.find("microrec-small").shape
    plan, _ = planned(model, "paper-hbm")
    parts = [(p.source.kind, part) for p in plan.planned for part in p.source.parts]
    onchip = [part.rows for kind, part in parts if kind is SourceKind.ONCHIP]
    assert sorted(onchip) == [100] * 4 + [500] * 2 + [1000] * 2
    assert all(
        (part.rows, part.columns) == (f.rows, f.dim) for _, part in parts for f in [model.features[part.feature]]
    )


def test_small_models_products_and_tables_on_chip():
    model = zoo.find("microrec-small").shape
    plan, _ = planned(model, "paper-built")
    tables = physical_shape(model, plan.products).features
    assert sorted((t.rows, t.dim) for t in tables if t.rows in (100_000, 500_000) and t.dim == 8) == (
        [(100_000, 8)] * 14 + [(500_000, 8)] * 2  # ten of them are the model's own
    )
    onchip = [part for p in plan.planned if p.source.kind is SourceKind.ONCHIP for part in p.source.parts]
    assert sorted(tables[part.feature].rows for part in onchip) == [1000] * 4 + [3000] + [10_000] * 3


def test_the_widest_table_of_the_small_model_lies_half_on_each_ddr_channel():
    plan, _ = planned(zoo.find("microrec-small").shape, "paper-built")
    halves = {p.channel: p.source.parts for p in plan.planned if p.source.kind is SourceKind.DDR}
    assert {name: [(part.column_first, part.columns) for part in parts] for name, parts in halves.items()} == {
        "ddr0": [(0, 16)],
        "ddr1": [(16, 16)],
    }


def test_large_models_products_leave_the_tables_that_are_wanted_on_chip():
    model = zoo.find("microrec-large").shape
    plan, _ = planned(model, "paper-built")
    pairs = sorted((model.features[a].rows * model.features[b].rows, a, b) for a, b in plan.products)
    rows = [rows for rows, _, _ in pairs]
    assert rows == [50_000] * 2 + [100_000] * 9 + [250_000] * 2 + [5_000_000]
    onchip = [part.rows for p in plan.planned if p.source.kind is SourceKind.ONCHIP for part in p.source.parts]
    assert sorted(onchip) == [5000] * 14 + [15_000] * 2


# model, (products, DRAM, on chip, rounds, overhead)
LITERAL = [
    ("microrec-small", (5, 34, 8, 1, 1.470)),
    ("microrec-large", (14, 68, 16, 2, 0.477)),
    ("rmc2-8", (0, 8, 0, 4, 0)),
]


@pytest.mark.parametrize(("model", "expected"), LITERAL)
def test_algorithm_1_to_the_letter(model, expected):
    plan, figures = planned(zoo.find(model).shape, "paper-literal", precision="fixed32")
    counts = len(plan.products), figures.dram_tables, figures.onchip_tables, figures.rounds
    assert (*counts, round(figures.overhead_percent, 3)) == expected


def test_rules_taken_literally_join_a_table_that_is_wanted_on_chip():
    model = zoo.find("microrec-large").shape
    plan, _ = planned(model, "paper-literal")
    joined = {model.features[number].rows for pair in plan.products for number in pair}
    assert 5000 in joined
    assert 50_000 not in joined


def test_candidates_are_joined_smallest_with_largest():
    model = shape([(rows, 4, 1) for rows in (10, 20, 30, 40, 50)])
    joined = allocate.join(allocate.by_size(model))
    assert joined is not None
    assert [table.members for table in joined] == [(0, 4), (1, 3), (2,)]


def test_pairs_of_unequal_lookups_or_of_too_many_rows_are_not_joined():
    assert allocate.join(allocate.by_size(shape([(10, 4, 1), (20, 4, 2)]))) is None
    assert allocate.join(allocate.by_size(shape([(100_000, 4, 1), (100_000, 4, 1)]))) is None


def test_reads_of_pooled_tables_count_as_rounds_where_copies_do_not_fit():
    _, figures = planned([(8_000_000, 32, 4)] * 8, "paper-built", precision="fixed32", board="u55c")
    assert figures.rounds == 4


@pytest.mark.parametrize("mode", ["paper-built", "paper-hbm", "paper-literal"])
def test_names_the_table_that_fits_nowhere(mode):
    with pytest.raises(PlacementError, match=r"table 1 \(1000000000 x 64 in fixed16\) needs 128 GB; the largest chan"):
        planned([(10, 4, 1), (1_000_000_000, 64, 1)], mode)


def test_literal_rules_split_no_table():
    with pytest.raises(PlacementError, match=r"table 46 .* needs 640 MB; .*hbm00, has 537 MB \(paper-literal splits"):
        planned(zoo.find("microrec-small").shape, "paper-literal", board="u55c")
