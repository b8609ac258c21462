"""Which edge unit belongs to which model."""

import pytest

from microduet.duet import zoo
from microduet.duet.configure import edge_config, histories, steps
from microduet.duet.shape import DlrmShape
from microduet.duet.split import duet_split, exact_split
from microduet.errors import ModelError
from microduet_hw.edge.config import EdgeConfig, History
from tests.sw.duet.test_shape import SMALL


def configured(name: str, **options: object) -> EdgeConfig:
    shape = zoo.shape_of(name)
    split = zoo.split_of(shape, "duet")
    assert split is not None
    return edge_config(shape, split, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "groups", "array", "counted"),
    [
        ("rm1", (History(dims=(32,) * 6, slots=80),), (4, 32), 408),
        ("rm2", (History(dims=(64,) * 24, slots=120),), (4, 32), 1236),
        ("rm3", (History(dims=(32,) * 7, slots=20),), (4, 32), 1344),
        ("rm4", (History(dims=(32,) * 7, slots=20),), (4, 32), 15_360),
        ("rm5", (History(dims=(18,), slots=1), History(dims=(18, 18), slots=200)), (6, 18), 60),
    ],
)
def test_histories_and_arrays_of_the_zoo(name: str, groups: tuple, array: tuple, counted: int) -> None:
    config = configured(name)
    assert config.histories == groups
    assert (config.top.pes, config.top.lanes) == array
    assert steps(config.top) == counted


@pytest.mark.parametrize(
    ("name", "scratchpad", "payload"),
    [("rm1", 61_440, 48), ("rm2", 737_280, 48), ("rm3", 17_920, 192), ("rm4", 17_920, 768), ("rm5", 28_872, 120)],
)
def test_scratchpads_are_those_of_table_4(name: str, scratchpad: int, payload: int) -> None:
    assert configured(name).scratchpad_bytes == scratchpad
    assert configured(name, element_bits=16).scratchpad_bytes == scratchpad // 2
    assert configured(name).payload_bytes == payload


@pytest.mark.parametrize("name", zoo.RM)
@pytest.mark.parametrize("streamed", [False, True])
def test_multipliers_stay_within_the_budget(name: str, streamed: bool) -> None:
    config = configured(name, top_streamed=streamed)
    assert config.top.multipliers <= 128
    assert config.top.streamed == streamed
    assert config.dynamic is None or config.dynamic.multipliers == 32
    assert config.static is None or (config.static.streamed and config.static.multipliers == 16)


def test_a_streamed_row_is_whole_beats_even_if_the_array_gets_narrower() -> None:
    stack = configured("rm5", top_streamed=True).top
    assert stack.pes * stack.lanes % 32 == 0
    assert (stack.pes, stack.lanes, steps(stack)) == (64, 2, 54)


def test_rm5s_rows_are_wide_although_narrower_ones_would_save_a_few_steps() -> None:
    wide = configured("rm5").top
    narrow = wide.replace(pes=42, lanes=3)
    assert (wide.pes, wide.lanes) == (6, 18)
    assert (steps(wide), steps(narrow)) == (60, 54)


def test_neighbours_of_equal_length_are_one_history() -> None:
    same = SMALL.replace(features=tuple(feature.replace(lookups=5) for feature in SMALL.features))
    assert histories(SMALL, duet_split(SMALL)) == (History(dims=(4,), slots=5), History(dims=(2,), slots=1))
    assert histories(same, duet_split(same)) == (History(dims=(4, 2), slots=5),)


def test_survives_json_with_equal_bytes() -> None:
    config = configured("rm5")
    assert EdgeConfig.from_json(config.to_json()) == config


def test_refuses_an_exact_split() -> None:
    with pytest.raises(ModelError, match="an edge unit computes a duet split, not 'exact'"):
        edge_config(SMALL, exact_split(SMALL))


def test_refuses_other_elements() -> None:
    with pytest.raises(ModelError, match="rm1: element_bits must be 16 or 32, not 8"):
        configured("rm1", element_bits=8)


def test_refuses_rows_that_no_streamed_array_can_have() -> None:
    odd: DlrmShape = SMALL.replace(tables=tuple(table.replace(dim=1) for table in SMALL.tables))
    assert edge_config(odd, duet_split(odd)).top.lanes == 1
    config = edge_config(odd, duet_split(odd), top_streamed=True)
    assert config.top.pes % 32 == 0
