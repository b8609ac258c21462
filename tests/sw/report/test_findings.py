"""Findings: every item makes one of its commands' results, and verdicts follow the numbers."""

import copy

import pytest

from microduet.report import duet, microrec
from microduet.report.catalogue import catalogue
from microduet.report.charts import chart
from microduet.report.findings import MEANINGS, Finding, Plot, Table, judged, paper
from tests.sw.report.outputs import outputs


def found(name: str, results: dict[tuple[str, ...], dict[str, object]] | None = None) -> Finding:
    return catalogue()[name].find(paper()[name], outputs() if results is None else results)


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_item_has_a_finding_with_numbers(name: str) -> None:
    finding = found(name)
    assert finding.verdict in MEANINGS
    assert finding.verdict != "unmeasured"
    assert finding.tables
    assert all(table.rows for table in finding.tables)
    assert finding.why
    assert paper()[name]["place"].startswith("MicroRec" if name.startswith("microrec") else "Duet")


def test_every_item_of_the_papers_is_there() -> None:
    assert set(catalogue()) <= set(paper())
    wanted = {f"microrec-table-{k}" for k in range(1, 7)} | {"microrec-figure-3", "microrec-figure-7", "microrec-cost"}
    wanted |= {f"duet-table-{k}" for k in range(1, 5)} | {f"duet-figure-{k}" for k in (2, 9, 10, 11, 12, 13)}
    assert wanted <= set(catalogue())


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [
        ([1.0, 0.95, 1.08], "reproduced"),
        ([1.5, 4.0], "beaten"),
        ([1.5, 0.95], "beaten"),
        ([1.5, 0.5], "short"),
        ([0.2], "short"),
    ],
)
def test_a_verdict_follows_the_worst_number(factors: list[float], verdict: str) -> None:
    assert judged(factors, what="x")[0] == verdict


def test_a_slower_engine_is_short_of_the_paper() -> None:
    results = copy.deepcopy(outputs())
    assert found("microrec-table-2", results).verdict == "beaten"
    results[microrec.ENGINE["small", "fixed16"]]["cycles_per_item"] = 800.0
    assert found("microrec-table-2", results).verdict == "short"


def test_another_number_of_tables_contradicts_table_3() -> None:
    results = copy.deepcopy(outputs())
    results[microrec.PLAN["small", "with"]]["physical_tables"] = 43
    assert found("microrec-table-3", results).verdict == "contradicted"


def test_another_scratchpad_contradicts_table_4() -> None:
    results = copy.deepcopy(outputs())
    assert found("duet-table-4", results).verdict == "reproduced"
    results[duet.EDGE]["rows"][0]["scratchpad_bytes"] += 1024
    assert found("duet-table-4", results).verdict == "contradicted"


def test_tables_and_plots_have_a_value_for_every_place() -> None:
    with pytest.raises(ValueError, match="every row of 't' must have 2 cells"):
        Table(title="t", header=("a", "b"), rows=((1,),))
    with pytest.raises(ValueError, match="every series of 'p' must have 2 values"):
        Plot(title="p", unit="x", kind="bars", x=("a", "b"), series={"one": (1.0,)})


@pytest.mark.parametrize("kind", ["bars", "lines"])
@pytest.mark.parametrize("log", [False, True])
def test_a_chart_shows_every_value_and_survives_a_missing_one(kind: str, log: bool) -> None:
    plot = Plot(
        title="t", unit="ms", kind=kind, log=log, x=("a", "b"), series={"one": (0.02, None), "two": (5.0, 30.0)}
    )
    text = chart(plot, name="n")
    assert text.count("<title>") == 3
    assert 'role="img"' in text
    assert "nan" not in text
