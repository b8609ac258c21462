"""A plan line by line, its figures and its record; what becomes of it where rows end in a check word."""

import io
import json

import pytest
from rich.console import Console

from microduet import boards
from microduet.errors import InputError, PlacementError
from microduet.placement import Plan, PlannedSource, place
from microduet.planner.checked import with_room
from microduet.planner.command import PlanOptions, checked, main
from microduet.planner.figures import figures
from microduet.planner.make import Made
from microduet.planner.report import show
from microduet.versions import versions
from microduet_hw.config import Part, Precision, Source, SourceKind
from tests.sw.command_line import TINY
from tests.sw.plans import SMALL, shape

HBM, DDR, ONCHIP = SourceKind.HBM, SourceKind.DDR, SourceKind.ONCHIP
FIXED16 = Precision.FIXED16
MODEL = shape([(10, 4, 1), (200_000, 40, 1), (1000, 16, 2)])


def source(channel: str, kind: SourceKind, *parts: Part, beats: float = 1.0) -> PlannedSource:
    size = max(part.end for part in parts)
    return PlannedSource(channel=channel, source=Source(kind=kind, parts=parts), beats=beats, size=size)


def part(table: int, rows: int, columns: int, **more: int) -> Part:
    return Part(feature=table, rows=rows, columns=columns, **{"base": 0, "stride_log2": 5, **more})


TABLES = shape([(1000, 32, 1), (600, 4, 4), (50, 8, 1), (20, 8, 1)])
SHOWN = Plan(
    model="t",
    board="mine",
    precision=FIXED16,
    mode="rule",
    products=((2, 3),),
    planned=(
        source("hbm00", HBM, part(0, 1000, 16, stride_log2=6), part(2, 1000, 16, base=64_000)),
        source("hbm01", HBM, part(0, 500, 16, column_first=16, row_first=1, row_step_log2=1)),
        source("ddr0", DDR, part(0, 400, 16, column_first=16, row_first=100)),
        source("onchip0", ONCHIP, part(1, 600, 4, lookups=1)),
        source("onchip1", ONCHIP, part(1, 600, 4, lookup_first=1, lookups=3)),
        source("onchip2", ONCHIP, *[part(2, 1, 16, row_first=k, base=32 * k) for k in range(8)]),
        source("onchip3", ONCHIP, *[part(2, 1000, 16, base=32_000 * k) for k in range(7)]),
    ),
)


def printed(plan: Plan, proof: str = "") -> list[str]:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    found = figures(plan, TABLES)
    show(Made(plan=plan, seconds=2.25, proof=proof), found, TABLES, console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_plan_is_shown_channel_by_channel() -> None:
    lines = printed(SHOWN, proof="It is so.")
    assert lines[0] == "rule: t on mine, fixed16"
    assert lines[1].split() == ["channel", "tables", "bytes", "reads", "beats", "ns"]
    rows = [" ".join(line.split()) for line in lines[2:9]]
    eight = ", ".join(f"2x3 (rows {k}-{k})" for k in range(6))
    seven = ", ".join(["2x3"] * 7)
    assert rows == [
        "hbm00 0 (columns 0-15), 2x3 96 kB 2 2 186.7 ████████████████",
        "hbm01 0 (columns 16-31, rows 1 mod 2) 16 kB 1 1 137.8 ████████████",
        "ddr0 0 (columns 16-31, rows 100-499) 12.8 kB 1 1 106.6 █████████",
        "onchip0 1 (lookup 0) 19.2 kB 1 1 11.2 █",
        "onchip1 1 (lookups 1-3) 19.2 kB 3 3 15.7 █",
        f"onchip2 {eight} and 2 more 256 B 8 8 26.8 ██",
        f"onchip3 {seven} 224 kB 7 7 24.5 ██",
    ]
    assert lines[9] == (
        "21 tables after 1 products, splits and copies: 4 in DRAM, 17 on chip; rounds 2; overhead "
        "368.787 % of the elements; slowest channel 186.7 ns; 2.2 s"
    )
    assert lines[10:] == ["It is so."]
    assert "It is so." not in printed(SHOWN)


def test_figures_count_every_part() -> None:
    found = figures(SHOWN, TABLES)
    assert (found.physical_tables, found.dram_tables, found.onchip_tables, found.rounds) == (21, 4, 17, 2)
    assert found.slowest_channel_ns == 186.7
    assert found.stored_bytes == 64_000 + 32_000 + 16_000 + 12_800 + 2 * 19_200 + 256 + 7 * 32_000
    elements = {"0": 32_000, "1": 2400, "2": 400, "3": 160}
    copies = [(16_000 + 8000 + 6400) / 32_000, 4800 / 2400, (1000 + 8 + 7000) / 1000]
    extra = 32_000 * (copies[0] - 1) + 2400 * (copies[1] - 1) + 16_000 * copies[2]
    assert found.overhead_percent == pytest.approx(100 * extra / sum(elements.values()))


def test_a_checked_plan_says_where_it_came_from(tmp_path) -> None:
    plan = place(MODEL, precision=FIXED16, board=boards.find("u280"))
    path = tmp_path / "plan.json"
    plan.save(path)
    made = checked(path, MODEL, boards.find("u280"), None)
    assert (made.plan, made.optimal, made.gap, made.proof) == (plan, None, None, "")
    assert 0 <= made.seconds < 60
    assert checked(path, MODEL, boards.find("u280"), FIXED16).plan == plan
    with pytest.raises(InputError) as raised:
        checked(path, MODEL, boards.find("u280"), Precision.INT8)
    assert str(raised.value) == f"{path} is for precision fixed16, not int8"
    with pytest.raises(PlacementError) as wrong:
        checked(path, MODEL, SMALL, None)
    assert str(wrong.value) == f"{path}: the plan is for t on u280, not t on mine"


def test_a_record_has_every_figure(capsys, tmp_path) -> None:
    out = tmp_path / "plan.json"
    options = PlanOptions(mode="rule", json=True, out=out, seed=5, board="u55c", precision="int8")
    assert main(TINY, options) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert 0 <= found.pop("seconds") < 60
    plan = Plan.read(out)
    assert found == {
        "model": plan.model,
        "board": "u55c",
        "precision": "int8",
        "mode": "rule",
        "physical_tables": 2,
        "products": 0,
        "dram_tables": 1,
        "onchip_tables": 1,
        "rounds": 1,
        "overhead_percent": 0.0,
        "slowest_channel_ns": 137.8,
        "stored_bytes": 50 * 32 + 400_000 * 32,
        "optimal": None,
        "gap": None,
        "seed": 5,
        "versions": versions(),
    }
    assert main(TINY, PlanOptions(check=out, board="u55c")) == 0
    shown = capsys.readouterr().out
    assert " ".join(shown.split()).endswith(f"{out}: every row is reached once, nothing overlaps")
    assert "rule: " in shown


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "0.0"), (-1.0, "-1.0")])
def test_time_must_be_given(seconds: float, said: str) -> None:
    with pytest.raises(InputError) as raised:
        main(TINY, PlanOptions(seconds=seconds))
    assert str(raised.value) == f"seconds must be above 0, not {said}"


ROOM = [
    # columns of 16 bits, stride, base -> stride and base with room for a check word, and the beats of an item
    ([(16, 5, 0)], [(6, 0)], 2),
    ([(15, 5, 0)], [(5, 0)], 1),
    ([(14, 5, 0)], [(5, 0)], 1),
    ([(14, 5, 64)], [(5, 64)], 1),
    ([(32, 6, 0), (16, 5, 6400)], [(7, 0), (6, 12_800)], 5),
    ([(16, 5, 0), (32, 6, 3200)], [(7, 0), (6, 12_800)], 5),
    ([(30, 6, 0), (14, 5, 6400)], [(6, 0), (5, 6400)], 3),
]


@pytest.mark.parametrize(("held", "expected", "beats"), ROOM)
def test_rows_that_fill_their_stride_get_twice_of_it(held: list, expected: list, beats: int) -> None:
    parts = [part(k, 100, columns, stride_log2=stride, base=base) for k, (columns, stride, base) in enumerate(held)]
    before = sum(-(-columns * 16 // 256) for columns, _, _ in held)
    bank = source("onchip0", ONCHIP, part(9, 10, 16))
    planned = (source("hbm00", HBM, *parts, beats=before), bank)
    plan = Plan(model="t", board="mine", precision=FIXED16, planned=planned)
    found = with_room(plan, SMALL)
    assert found.planned[1] == bank
    its = found.planned[0]
    if [(one.stride_log2, one.base) for one in parts] == expected:
        assert its.source.parts == tuple(parts)
    assert [(one.stride_log2, one.base) for one in its.source.parts] == expected
    assert its.size == max(one.end for one in its.source.parts)
    assert (its.channel, its.beats) == ("hbm00", beats)


def test_what_has_no_room_for_check_words_names_the_channel() -> None:
    full = source("hbm01", HBM, part(0, 20_000, 16))
    holed = source("hbm01", HBM, part(0, 100, 16, hole_log2=13, hole_bits=1))
    for planned, said in (
        (full, "hbm01: rows and their check words need 1280000 bytes of its 1048576"),
        (holed, "hbm01: rows in chosen banks have no room for a check word; use mode 'rule'"),
    ):
        with pytest.raises(PlacementError) as raised:
            with_room(Plan(model="t", board="mine", precision=FIXED16, planned=(planned,)), SMALL)
        assert str(raised.value) == said
    fits = source("hbm01", HBM, part(0, 1 << 14, 16))
    assert (
        with_room(Plan(model="t", board="mine", precision=FIXED16, planned=(fits,)), SMALL).planned[0].size == 1 << 20
    )
