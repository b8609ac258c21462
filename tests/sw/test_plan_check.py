"""Plans that were edited by hand: every mistake is one line that names the parts."""

import dataclasses
from collections.abc import Callable

import pytest

from microduet import boards, zoo
from microduet.errors import PlacementError
from microduet.placement import Plan, PlannedSource
from microduet.planner.check import check
from microduet_hw.config import Part, Precision, Source, SourceKind
from tests.sw.plans import planned, shape

MODEL = shape([(100_000, 16, 1), (50_000, 16, 1), (200, 4, 1), (6000, 16, 4)])
BOARD = boards.find("u280")


def source(channel: str, *parts: Part, kind: SourceKind = SourceKind.HBM) -> PlannedSource:
    return PlannedSource(channel=channel, source=Source(kind=kind, parts=parts), beats=0, size=0)


def part(table: int, rows: int, *, columns: int = 16, base: int = 0, stride_log2: int = 5, **more: int) -> Part:
    return Part(feature=table, rows=rows, columns=columns, base=base, stride_log2=stride_log2, **more)


GOOD = (
    source("hbm00", part(0, 100_000, base=0), part(1, 50_000, base=3_200_000)),
    source("onchip0", part(2, 200, columns=4), kind=SourceKind.ONCHIP),
    source("hbm01", part(3, 6000, lookups=2)),
    source("hbm02", part(3, 6000, lookup_first=2, lookups=2)),
)


def plan(*planned_sources: PlannedSource, **changes: object) -> Plan:
    return Plan(model="t", board="u280", precision=Precision.FIXED16, planned=planned_sources).replace(**changes)


def test_a_plan_written_by_hand():
    check(plan(*GOOD), MODEL, BOARD)


def test_rows_in_steps_columns_and_holes():
    halves = [part(0, 50_000, row_first=k, row_step_log2=1, hole_log2=13, hole_bits=1) for k in (0, 1)]
    other = part(1, 50_000, base=1 << 13, hole_log2=13, hole_bits=1)
    check(plan(source("hbm00", halves[0], other), source("hbm03", halves[1]), *GOOD[1:]), MODEL, BOARD)


def first(*parts: Part) -> tuple[PlannedSource, ...]:
    return (source("hbm00", *parts), *GOOD[1:])


WHOLE, SECOND = part(0, 100_000), part(1, 50_000, base=3_200_000)
HOLED = part(1, 50_000, base=1 << 13, hole_log2=13, hole_bits=1)
WRONG: list[tuple[Callable[[], Plan], str]] = [
    (lambda: plan(*GOOD, model="other"), "the plan is for other on u280, not t on u280"),
    (lambda: plan(*GOOD, board="u55c"), "the plan is for t on u55c, not t on u280"),
    (
        lambda: plan(*first(WHOLE, part(1, 50_000, base=3_199_968))),
        "part 0 (table 0) of hbm00 and part 1 (table 1) of hbm00 overlap: bytes 0 to 3199999 and 3199968 to 4799967",
    ),
    (
        lambda: plan(*first(WHOLE, HOLED)),
        (
            "part 0 (table 0) of hbm00 and part 1 (table 1) of hbm00 overlap: bytes 0 to 3199999 and "
            "8192 to 3205631 with 1 bits of hole at bit 13"
        ),
    ),
    (lambda: plan(*first(WHOLE)), "table 1: of its 50000 rows only 0 can be reached in columns 0 to 15 for lookup 0"),
    (
        lambda: plan(*first(part(0, 99_999), SECOND)),
        "table 0: of its 100000 rows only 99999 can be reached in columns 0 to 15 for lookup 0",
    ),
    (
        lambda: plan(*first(part(0, 100_000, columns=8), SECOND)),
        "table 0: of its 100000 rows only 0 can be reached in columns 8 to 15 for lookup 0",
    ),
    (lambda: plan(*GOOD[:3]), "table 3: of its 6000 rows only 0 can be reached in columns 0 to 15 for lookup 2"),
    (
        lambda: plan(*GOOD, source("hbm05", part(0, 50, row_first=7))),
        ("part 0 (table 0) of hbm00 and part 0 (table 0) of hbm05 hold the same row and column for the same lookup"),
    ),
    (
        lambda: plan(*GOOD, source("hbm05", part(0, 50, row_first=1, row_step_log2=3))),
        ("part 0 (table 0) of hbm00 and part 0 (table 0) of hbm05 hold the same row and column for the same lookup"),
    ),
    (lambda: plan(*first(part(4, 10), SECOND)), "part 0 (table 4) of hbm00: tables are 0 to 3"),
    (
        lambda: plan(*first(part(0, 100_001), SECOND)),
        "part 0 (table 0) of hbm00 must hold at least one of its table's 100000 rows and none beyond",
    ),
    (
        lambda: plan(*first(part(0, 100_000, columns=17), SECOND)),
        "part 0 (table 0) of hbm00 must hold at least one of its table's 16 columns and none beyond",
    ),
    (
        lambda: plan(*first(part(0, 100_000, lookups=2), SECOND)),
        "part 0 (table 0) of hbm00 must hold at least one of its table's 1 lookups and none beyond",
    ),
    (
        lambda: plan(*first(part(0, 100_000, base=-32), SECOND)),
        "part 0 (table 0) of hbm00: base must be at least 0, not -32",
    ),
    (
        lambda: plan(*first(part(0, 100_000, base=16), SECOND)),
        "part 0 (table 0) of hbm00: base must be a multiple of 32, not 16",
    ),
    (
        lambda: plan(*first(part(0, 100_000, base=32, stride_log2=6), SECOND)),
        "part 0 (table 0) of hbm00: base must be a multiple of 64, not 32",
    ),
    (
        lambda: plan(*first(part(0, 100_000, stride_log2=4), SECOND)),
        "part 0 (table 0) of hbm00: a row of 32 bytes needs a stride of that to 4096 bytes, not 16",
    ),
    (
        lambda: plan(*first(part(0, 100_000, stride_log2=-1), SECOND)),
        "part 0 (table 0) of hbm00: a row of 32 bytes needs a stride of that to 4096 bytes, not 0",
    ),
    (
        lambda: plan(*first(part(0, 100_000, hole_log2=4, hole_bits=1), SECOND)),
        (
            "part 0 (table 0) of hbm00: a hole at bit 4 needs a memory channel, a base of whole 16 "
            "bytes, a stride of at most that and the table's first rows"
        ),
    ),
    (
        lambda: plan(*first(part(0, 50_000, row_first=2, row_step_log2=1), SECOND)),
        "part 0 (table 0) of hbm00 must hold at least one of its table's 100000 rows and none beyond",
    ),
    (
        lambda: plan(*first(part(0, 49_999, row_first=2, row_step_log2=1), SECOND)),
        "part 0 (table 0) of hbm00: every 2th row must begin at one of the first 2, not 2",
    ),
    (
        lambda: plan(*first(part(0, 100_000, base=268_435_456 - 32), SECOND)),
        "part 0 (table 0) of hbm00 ends at byte 271635424, hbm00 has 268435456 (268 MB)",
    ),
    (lambda: plan(*GOOD, GOOD[0]), "channel hbm00 is planned twice"),
    (lambda: plan(*GOOD, source("hbm32", SECOND)), "u280 has no channel hbm32; its channels are hbm00 to ddr1"),
    (lambda: plan(*GOOD, source("ddr0", SECOND)), "channel ddr0 of u280 is ddr, not hbm"),
    (lambda: plan(*GOOD, source("hbm09")), "channel hbm09 has no part; leave it out"),
    (
        lambda: plan(*GOOD, source("hbm09", SECOND, kind=SourceKind.ONCHIP)),
        "hbm09 is a hbm channel of u280, not an on-chip bank",
    ),
    (lambda: plan(*GOOD, products=((0, 9),)), "a product's factors must be 0 to 3, not 9"),
    (
        lambda: plan(*GOOD[:2], source("hbm01", part(3, 6000, lookups=2), part(0, 10, base=1 << 20)), *GOOD[3:]),
        ("part 0 (table 0) of hbm00 and part 1 (table 0) of hbm01 hold the same row and column for the same lookup"),
    ),
    (
        lambda: plan(
            source("hbm00", WHOLE),
            source("hbm01", SECOND.replace(base=0), part(3, 6000, base=3_200_000, lookups=2)),
            GOOD[1],
            GOOD[3],
        ),
        (
            "hbm01 and hbm02 share the sums of table 3 and must serve the same tables and columns, not "
            "those of 1, 3 and 3"
        ),
    ),
    (
        lambda: plan(
            *GOOD[:2], source("hbm01", part(3, 6000, columns=8), part(3, 6000, column_first=8, columns=8, base=1 << 20))
        ),
        ("part 0 (table 3) of hbm01 and part 1 (table 3) of hbm01 are of one pooled table: put them on two channels"),
    ),
]


@pytest.mark.parametrize(("made", "message"), WRONG, ids=range(len(WRONG)))
def test_names_what_is_wrong(made, message):
    with pytest.raises(PlacementError) as caught:
        check(made(), MODEL, BOARD)
    assert str(caught.value) == message


def test_on_chip_tables_keep_to_their_share_of_uram():
    whole = (WHOLE, SECOND.replace(base=0), part(2, 200, columns=4), part(3, 6000))
    onchip = [source(f"bank{k}", piece, kind=SourceKind.ONCHIP) for k, piece in enumerate(whole)]
    check(plan(*onchip), MODEL, BOARD)
    small = dataclasses.replace(BOARD, uram=200)
    with pytest.raises(PlacementError, match="the on-chip banks take 164 URAM; tables may take 50 of u280's 200"):
        check(plan(*onchip), MODEL, small)


@pytest.mark.parametrize("mode", ["best", "paper-built", "rule"])
def test_a_plan_survives_a_file(tmp_path, mode):
    model = zoo.find("microrec-small").shape
    made, _ = planned(model, mode)
    made.save(tmp_path / "plan.json")
    again = Plan.read(tmp_path / "plan.json")
    assert again == made
    check(again, model, BOARD)


def test_reads_plans_from_before_there_were_products(tmp_path):
    text = plan(*GOOD).to_json().replace(b' "mode": "rule",\n', b"").replace(b' "products": [],\n', b"")
    assert b"products" not in text
    (tmp_path / "plan.json").write_bytes(text)
    check(Plan.read(tmp_path / "plan.json"), MODEL, BOARD)
