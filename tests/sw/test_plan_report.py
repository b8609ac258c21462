"""What is printed of a plan and of a search."""

import io

from rich.console import Console

from microduet import boards, plan_report, search, zoo
from microduet.placement import place
from microduet_hw.config import Precision

SHAPE = zoo.find("microrec-small").shape
U280 = boards.find("u280")


def printed(show: object, subject: object) -> str:
    console = Console(file=io.StringIO(), width=140)
    show(subject, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_search_shows_the_winner_its_rivals_and_the_rule() -> None:
    result = search.search(SHAPE, precision=Precision.FIXED16, board=U280)
    text = printed(plan_report.show_search, result)
    rows = [line for line in text.splitlines() if "x" in line and "[" in line]
    assert rows[0].split()[:4] == ["256x18[0,1,2]", "223", str(result.chosen.latency), "4608"]
    assert len(rows) == plan_report.SHOWN
    assert "within 2% of the fewest cycles; 4608 multipliers cannot do better than 220.4" in text


def test_plan_shows_each_kind_of_memory() -> None:
    text = printed(plan_report.show_plan, place(SHAPE, precision=Precision.FIXED16, board=U280))
    assert [line.split()[:3] for line in text.splitlines()[2:]] == [
        ["hbm", "29", "29"],
        ["ddr", "1", "1"],
        ["onchip", "1", "17"],
    ]
