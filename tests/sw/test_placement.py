"""The fixed placement rule: what goes on chip, what is split, what balances, what fits nowhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet import boards, placement, zoo
from microduet.errors import MicroduetError, PlacementError
from microduet.presets import engine_config
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import Array, Precision, SourceKind

PRECISIONS = st.sampled_from(list(Precision))
ALL = [(model, board, precision) for model in zoo.NAMES for board in boards.BOARDS for precision in Precision]


def shape(tables: list[tuple[int, int, int]]) -> ModelShape:
    layers = perceptron(sum(dim for _, dim, _ in tables), (16, 1))
    return ModelShape(name="t", features=concatenated(tables), hidden=layers[:-1], output=layers[-1])


def place(tables: list[tuple[int, int, int]], *, board: str = "u280", precision: str = "fixed16") -> placement.Plan:
    return placement.place(shape(tables), precision=Precision(precision), board=boards.find(board))


@pytest.mark.parametrize(("model", "board", "precision"), ALL)
def test_every_model_of_the_zoo_fits_every_board(model: str, board: str, precision: Precision) -> None:
    spec, card = zoo.find(model).shape, boards.find(board)
    plan = placement.place(spec, precision=precision, board=card)
    array = Array(pes=16, lanes=8, drain=8, layers=tuple(range(len(spec.hidden))))
    engine_config(spec, precision=precision, arrays=(array,), plan=plan)  # checks that all is stored exactly once
    sizes = {channel.name: channel.size for channel in card.channels}
    for planned in plan.planned:
        if planned.source.kind is not SourceKind.ONCHIP:
            assert planned.size <= sizes[planned.channel]


@pytest.mark.parametrize("precision", list(Precision))
def test_parts_of_one_source_do_not_overlap(precision: Precision) -> None:
    for planned in placement.place(
        zoo.find("microrec-large").shape, precision=precision, board=boards.find("u280")
    ).planned:
        end = 0
        for part in planned.source.parts:
            assert part.base >= end
            assert part.base % 32 == 0
            end = part.base + (part.rows << part.stride_log2)
        assert end == planned.size


def test_small_model_reads_each_channel_once() -> None:
    plan = placement.place(zoo.find("microrec-small").shape, precision=Precision.FIXED16, board=boards.find("u280"))
    onchip = [planned for planned in plan.planned if planned.source.kind is SourceKind.ONCHIP]
    assert [len(bank.source.parts) for bank in onchip] == [17]
    assert all(len(p.source.parts) == 1 for p in plan.planned if p not in onchip)
    assert [p.channel for p in plan.planned if p.source.kind is SourceKind.DDR] == ["ddr0"]  # only it holds 640 MB


def test_tables_up_to_3000_rows_lie_on_chip() -> None:
    plan = place([(3000, 4, 1), (3001, 4, 1)])
    kinds = {part.feature: p.source.kind for p in plan.planned for part in p.source.parts}
    assert kinds == {0: SourceKind.ONCHIP, 1: SourceKind.HBM}


def test_a_bank_serves_an_item_in_less_than_one_read_of_a_channel() -> None:
    plan = place([(100, 4, 1)] * 100)
    assert [p.beats for p in plan.planned] == [34, 33, 33]


def test_small_tables_beyond_the_on_chip_share_go_to_channels() -> None:
    plan = place([(3000, 2048, 1)] * 3)
    kinds = [p.source.kind for p in plan.planned]
    assert SourceKind.HBM in kinds


def test_a_table_too_large_is_split_by_columns() -> None:
    plan = place([(10_000_000, 32, 1)], board="u55c")
    assert [(p.source.parts[0].column_first, p.source.parts[0].columns) for p in plan.planned] == [(0, 16), (16, 16)]


def test_a_table_whose_narrowest_columns_are_too_large_is_split_by_rows() -> None:
    plan = place([(100_000_000, 32, 1)], board="u55c")
    parts = [p.source.parts[0] for p in plan.planned]
    assert len(parts) == 12
    assert all(part.columns == 32 for part in parts)
    assert sum(part.rows for part in parts) == 100_000_000
    assert sum(p.beats for p in plan.planned) == pytest.approx(2)


def test_large_tables_balance_beats_not_tables() -> None:
    plan = place([(200_000, 64, 1)] * 2 + [(100_000, 16, 1)] * 66)
    assert max(p.beats for p in plan.planned) == 4  # the two wide rows alone take four beats


def test_rows_wider_than_a_beat_have_power_of_two_strides() -> None:
    part = place([(5000, 48, 1)]).planned[0].source.parts[0]
    assert part.stride_log2 == 7  # 96 bytes


def test_plan_file_survives_a_round_trip(tmp_path: Path) -> None:
    plan = place([(5000, 48, 1), (10, 3, 2)])
    plan.save(tmp_path / "plan.json")
    assert placement.Plan.read(tmp_path / "plan.json") == plan


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "model": 3}', "[1, 2]"])
def test_rejects_a_file_that_is_no_plan(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(PlacementError, match=r"p\.json: not a plan file"):
        placement.Plan.read(tmp_path / "p.json")


def test_rejects_a_plan_of_another_format(tmp_path: Path) -> None:
    place([(10, 4, 1)]).replace(format=99).save(tmp_path / "p.json")
    with pytest.raises(PlacementError, match="format must be 1, not 99"):
        placement.Plan.read(tmp_path / "p.json")


TABLE = st.tuples(st.integers(1, 3_000_000), st.integers(1, 200), st.integers(1, 8))


@given(tables=st.lists(TABLE, min_size=1, max_size=60), board=st.sampled_from([*boards.BOARDS]), precision=PRECISIONS)
def test_stores_every_row_once_within_each_channels_size(tables: list, board: str, precision: Precision) -> None:
    model = shape(tables)
    try:
        plan = placement.place(model, precision=precision, board=boards.find(board))
    except PlacementError:
        total = sum(placement.table_bytes(feature, precision) for feature in model.features)
        assert total > 0.5 * sum(channel.size for channel in boards.find(board).channels)
        return
    array = Array(pes=16, lanes=8, drain=8, layers=(0,))
    engine_config(model, precision=precision, arrays=(array,), plan=plan)  # raises if anything is stored twice or not
    for planned in plan.planned:
        ends = [part.end for part in planned.source.parts]
        for part, before in zip(planned.source.parts, [0, *ends], strict=False):
            assert before <= part.base < before + (1 << part.stride_log2)
            assert part.base % (1 << part.stride_log2) == 0  # so that no row crosses 4 KiB
        assert (
            ends[-1]
            == planned.size
            <= {c.name: c.size for c in boards.find(board).channels}.get(planned.channel, 1 << 40)
        )


def test_names_the_table_that_fits_nowhere() -> None:
    with pytest.raises(
        PlacementError, match=r"table 1 \(1000000000 x 64, .* MiB in fixed16\).*largest, hbm00, has 512"
    ):
        place([(10, 4, 1), (1_000_000_000, 64, 1)], board="u55c")


def test_a_pooled_table_is_not_split_by_rows() -> None:
    with pytest.raises(PlacementError, match="being pooled, cannot be split by rows"):
        place([(100_000_000, 32, 4)], board="u55c")


def test_names_the_boards_when_one_is_unknown() -> None:
    with pytest.raises(MicroduetError, match=r"board must be u280, u55c or a \.toml file, not 'vck190'"):
        boards.find("vck190")
