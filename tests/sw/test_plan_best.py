"""Mode best: what is proven, what it chooses, and that every plan holds what it must on random models."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microduet import boards, zoo
from microduet.errors import MicroduetError, PlacementError
from microduet.placement import table_bytes
from microduet.planner.check import check
from microduet.planner.figures import figures
from microduet.planner.make import MODES, make
from microduet.planner.physical import physical_shape
from microduet.presets import engine_config
from microduet_hw.config import Array, Precision, SourceKind
from tests.sw.plans import planned, shape

# model, board, precision, slowest channel (ns), GB stored
PROVEN = [
    ("microrec-small", "u280", "fixed16", 137.8, 0.727),
    ("microrec-small", "u280", "fixed32", 137.8, 1.415),
    ("microrec-small", "u280", "int8", 137.8, 0.407),
    ("microrec-large", "u280", "fixed16", 143.91, 7.588),
    ("microrec-large", "u280", "fixed32", 148.91, 15.108),
    ("microrec-large", "u280", "int8", 143.91, 4.068),
    ("microrec-large", "u55c", "fixed16", 150.02, 7.588),
    ("rmc2-8", "u280", "fixed16", 142.8, 1.024),
    ("rmc2-12", "u280", "fixed16", 148.91, 1.536),
]


@pytest.mark.parametrize(("model", "board", "precision", "ns", "gigabytes"), PROVEN)
def test_is_proven_for_the_models_of_the_zoo(model, board, precision, ns, gigabytes):
    spec, card = zoo.find(model).shape, boards.find(board)
    made = make(spec, precision=Precision(precision), board=card, seconds=30)
    found = figures(made.plan, spec)
    assert (made.optimal, made.gap) == (True, 0)
    assert "proven" in made.proof
    assert found.slowest_channel_ns == ns
    assert found.stored_bytes / 1e9 == pytest.approx(gigabytes, abs=0.001)
    array = Array(pes=16, lanes=8, drain=8, layers=tuple(range(len(spec.hidden))))
    engine_config(
        physical_shape(spec, made.plan.products), precision=Precision(precision), arrays=(array,), plan=made.plan
    )


@pytest.mark.parametrize("model", ["microrec-small", "microrec-large"])
def test_is_never_slower_than_the_other_modes(model):
    slowest = {mode: planned(zoo.find(model).shape, mode)[1].slowest_channel_ns for mode in MODES}
    assert slowest["best"] == min(slowest.values())


def test_finds_the_same_plan_again():
    model = zoo.find("microrec-large").shape
    assert planned(model, "best")[0] == planned(model, "best")[0]


def test_copies_a_pooled_table_once_per_lookup_where_channels_are_idle():
    plan, found = planned([(500_000, 16, 4)] * 2, "best")
    assert found.rounds == 1
    assert {part.lookups for p in plan.planned for part in p.source.parts} == {1}


def test_interleaves_rows_of_a_table_too_large_for_any_channel():
    plan, _ = planned([(100_000_000, 32, 1)], "best", board="u55c")
    assert len(plan.planned) >= 16
    assert {part.row_step_log2 for p in plan.planned for part in p.source.parts} <= {3, 4, 5}


def board_file(tmp_path, *, hbm: int, mebibytes: int = 256, uram: int = 0) -> str:
    path = tmp_path / "board.toml"
    path.write_text(
        f'name = "small"\ndsp = 1\nbram36 = 1\nuram = {uram}\n'
        f'[[channels]]\nkind = "hbm"\ncount = {hbm}\nmebibytes = {mebibytes}\n'
    )
    return str(path)


def test_joins_tables_where_channels_are_scarce(tmp_path):
    plan, found = planned([(100, 8, 1)] * 8, "best", board=board_file(tmp_path, hbm=4))
    assert len(plan.products) == 4
    assert (found.rounds, found.slowest_channel_ns) == (1, 137.8)


def test_separates_tables_of_a_channel_by_banks_where_products_are_too_large(tmp_path):
    plan, found = planned([(1_000_000, 8, 1)] * 4, "best", board=board_file(tmp_path, hbm=2))
    assert plan.products == ()
    assert found.slowest_channel_ns == 143.91
    assert {part.hole_bits for p in plan.planned for part in p.source.parts} == {1}


def test_tables_that_fill_a_channel_share_banks(tmp_path):
    _, found = planned([(5_000_000, 16, 1), (1_000_000, 16, 1)], "best", board=board_file(tmp_path, hbm=1))
    assert found.slowest_channel_ns == 186.7


def test_keeps_to_the_on_chip_share(tmp_path):
    plan, found = planned([(4096, 16, 1)] * 6, "best", board=board_file(tmp_path, hbm=8, uram=32))
    words = sum(p.size for p in plan.planned if p.source.kind is SourceKind.ONCHIP) // 32
    assert words <= 2 * 4096  # 8 URAM of 32
    assert found.dram_tables >= 4


MISFITS = [
    ([(10, 4, 1), (1_000_000_000, 64, 1)], "u55c", r"table 1 .*needs 128 GB; the largest channel of u55c, hbm00, has"),
    ([(100_000_000, 32, 4)], "u55c", r"table 0 \(100000000 x 32 in fixed16\) needs 6.4 GB; the largest channel"),
    ([(200_000_000, 32, 1)] * 3, "u280", "no plan was found: the 3 tables need 38.4 GB"),
    (
        [(8_000_000, 32, 1)] * 40,
        "u55c",
        r"the 40 tables need 20.5 GB in fixed16, .* 32 channels of u55c have 17.2 GB, the largest, hbm00, 537 MB",
    ),
]


@pytest.mark.parametrize(("tables", "board", "message"), MISFITS)
def test_explains_what_does_not_fit(tables, board, message):
    with pytest.raises(PlacementError, match=message):
        planned(tables, "best", board=board, seconds=3)


@pytest.mark.parametrize("tables", [[(6713, 81, 2)] * 16, [(1, 1, 1), (1, 48, 1), (1239, 33, 2), (16013, 1, 2)] * 16])
def test_keeps_to_the_share_of_uram_where_rows_are_longer_on_chip_than_off(tables):
    plan, _ = planned(tables, "best", seconds=1)
    banks = [source.parts for source in plan.sources if source.kind == "onchip"]
    # A bank's words of 32 bytes fill whole columns of 4 URAM with 4,096 words; the U280 has 960, a quarter for tables.
    columns = sum(-(-sum(part.rows << part.stride_log2 for part in parts) // (32 * 4096)) for parts in banks)
    assert 0 < 4 * columns <= 240


def test_knows_its_modes():
    with pytest.raises(MicroduetError, match="mode must be best, paper-built, paper-hbm, paper-literal, rule"):
        planned([(10, 4, 1)], "worst")


TABLE = st.tuples(st.integers(1, 2_000_000), st.integers(1, 100), st.sampled_from([1, 1, 1, 2, 5]))


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tables=st.lists(TABLE, min_size=1, max_size=25),
    times=st.sampled_from([1, 4, 16]),
    board=st.sampled_from([*boards.BOARDS]),
    precision=st.sampled_from(list(Precision)),
)
def test_every_row_is_reached_once_within_each_channels_size(mode, tables, times, board, precision):
    model, card = shape(tables * times), boards.find(board)
    try:
        made = make(model, precision=precision, board=card, mode=mode, seconds=1)
    except PlacementError:
        sizes = [table_bytes(feature, precision) for feature in model.features]
        if mode == "spread" and min(feature.rows for feature in model.features) < 32:
            return  # a row for each channel
        assert max(sizes) > 0.5 * card.largest_channel.size or sum(sizes) > 0.3 * sum(c.size for c in card.channels)
        return
    check(made.plan, model, card)
    array = Array(pes=16, lanes=8, drain=8, layers=(0,))
    physical = physical_shape(model, made.plan.products)
    engine_config(physical, precision=precision, arrays=(array,), plan=made.plan)  # the gateware's own rules
    assert figures(made.plan, model).physical_tables >= len(model.features) - len(made.plan.products)
