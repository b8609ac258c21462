"""Mode `spread`: rows of every table over all HBM channels, clear of each other; what does not fit is named."""

from pathlib import Path

import pytest

from microduet import boards
from microduet.errors import PlacementError
from microduet.planner.check import check
from microduet.planner.spread import spread_plan
from microduet.presets import engine_config
from microduet_hw.config import Array, Precision, SourceKind
from tests.sw.plans import BOARD, Tables, planned, shape


def spread(tables: Tables, *, board: str = "u280", precision: str = "fixed16"):
    model = shape(tables)
    plan = spread_plan(model, precision=Precision(precision), board=boards.find(board))
    check(plan, model, boards.find(board))
    return plan


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize(
    "tables",
    [[(4_000_000, 32, 80)] * 2, [(500_000, 64, 120)] * 8, [(32, 3, 1), (1000, 100, 7), (77, 64, 2), (33, 1, 1)]],
)
def test_the_engine_takes_it_as_spread_over_all_channels(tables: Tables, precision: Precision) -> None:
    model = shape(tables)
    plan, figures = planned(model, "spread", precision=precision)
    array = Array(pes=16, lanes=8, drain=8, layers=(0,))
    config = engine_config(model, precision=precision, arrays=(array,), plan=plan)
    assert config.spread == 5
    assert figures.dram_tables == 32 * len(tables)
    assert {source.source.kind for source in plan.planned} == {SourceKind.HBM}
    per_item = sum(lookups * max(1, -(-dim * precision.width // 256)) for _, dim, lookups in tables)
    assert sum(source.beats for source in plan.planned) == pytest.approx(per_item)


def test_channels_are_the_largest_power_of_two(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(BOARD.replace("count = 2", "count = 7"))
    plan = spread([(5000, 16, 3)], board=str(tmp_path / "mine.toml"))
    assert [source.channel for source in plan.planned] == ["hbm00", "hbm01", "hbm02", "hbm03"]
    assert [part.row_numbers[:2] for source in plan.planned for part in source.source.parts] == [
        range(k, k + 8, 4) for k in range(4)
    ]


def test_rows_lie_alike_in_every_channel_and_fill_it() -> None:
    size = 256 << 20
    per_channel = size // 64
    plan = spread([(32 * per_channel - 32 * 16, 32, 2), (32 * 8, 64, 2)])
    assert {tuple(part.base for part in source.source.parts) for source in plan.planned} == {(1024, 0)}
    assert max(source.size for source in plan.planned) == size


WRONG = [
    ([(5000, 16, 3), (31, 4, 2)], "table 1 has 31 rows and is not spread over 32 channels"),
    ([(5000, 2049, 1)], "table 0: a row must have at most 4096 bytes, not 8192"),
    ([(100_000_000, 32, 1), (60_000_000, 32, 4)], r"table 1 \(60000000 x 32, .* in fixed16\) has no room beside"),
]


@pytest.mark.parametrize(("tables", "message"), WRONG)
def test_what_cannot_be_spread_is_named(tables: Tables, message: str) -> None:
    with pytest.raises(PlacementError, match=message):
        spread(tables)


def test_a_board_needs_hbm(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(BOARD.replace("count = 2", "count = 1"))
    with pytest.raises(PlacementError, match="at least 2 HBM channels; mine has 1"):
        spread([(5000, 16, 3)], board=str(tmp_path / "mine.toml"))
