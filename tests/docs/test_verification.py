"""The ledger: the committed page is what the sources give, nothing is unowned, and every test can fail."""

from pathlib import Path

import pytest

from tests.support import ledger, ledger_sources
from tests.support.environment import REPOSITORY
from tests.support.meta import tests_that_cannot_fail as cannot_fail
from tests.support.proof_record import joined

HELPERS = sorted(path for path in (REPOSITORY / "tests").rglob("*.py") if not path.name.startswith("test_"))


def test_the_page_is_what_the_generator_gives():
    assert ledger.PAGE.read_text() == ledger.page(), "docs/verification.md is old; run make ledger"


def test_nothing_of_the_gateware_is_unowned():
    assert ledger.unowned() == []


def test_what_does_not_apply_is_said_of_components_that_exist():
    names = {one.name for one in ledger_sources.components()}
    for name, entry in ledger.reasons().items():
        assert name in names
        assert entry["reason"].endswith("."), name
        for file in entry.get("elsewhere", []):
            assert (REPOSITORY / file).is_file(), file


def test_a_component_that_nothing_runs_is_unowned(monkeypatch):
    """The edge unit is inside of nothing: without its bench and its entry it would be found."""
    name, files = "edge.unit.EdgeUnit", ledger_sources.bench_files
    monkeypatch.setattr(ledger, "reasons", dict)
    assert name not in ledger.unowned()
    monkeypatch.setattr(ledger_sources, "bench_files", lambda one: [] if one.name == name else files(one))
    assert name in ledger.unowned()


def test_figures_of_a_changed_source_are_stale(monkeypatch):
    name, points = ledger_sources.components()[0].name, dict.fromkeys(ledger.KINDS, 10)
    none = dict.fromkeys(ledger.KINDS, 0)
    for source, stale in ((ledger.source_hash(name), False), ("0" * 12, True)):
        one = ledger.coverage_merge.Covered(
            source=source, reached=points, total=points, waived=none, missed=[], own_benches=[], other_benches=[]
        )
        monkeypatch.setattr(ledger.coverage_merge, "read_kept", lambda one=one: {name: one})
        line, branch, toggle = ledger.coverage_text(name)
        assert (ledger.STALE in line) == stale
        assert (line.startswith("100.0 %"), branch, toggle) == (True, "100.0 %", "100.0 %")


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        pytest.param("same", {"first": ["bmc", 9], "second": ["prove", 2], "third": ["bmc", 8]}, id="same source"),
        pytest.param("new", {"second": ["prove", 2], "third": ["bmc", 8]}, id="source has changed"),
    ],
)
def test_proofs_that_ran_join_those_of_the_same_source(source: str, kept: dict[str, list[object]]):
    other = {"source": "x", "proofs": {"z": ["bmc", 4]}}
    old = {"b.B": other, "a.A": {"source": "same", "proofs": {"first": ["bmc", 9], "second": ["bmc", 7]}}}
    ran = {"a.A": {"source": source, "proofs": {"third": ["bmc", 8], "second": ["prove", 2]}}}
    assert joined(old, ran) == {"a.A": {"source": source, "proofs": kept}, "b.B": other}
    assert list(joined(old, ran)) == ["a.A", "b.B"]


def test_every_component_has_a_whole_contract():
    missing = {one.name: set(ledger_sources.SECTIONS) - set(one.contract) for one in ledger_sources.components()}
    assert {name: parts for name, parts in missing.items() if parts} == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Adds.\n\n    Latency: a cycle.\n    Reset: none.\n", ("Latency", "Reset")),
        ("Adds.\n\n    Latency, Throughput, Back-pressure, Reset: as `Other`.\n", ledger_sources.SECTIONS),
        ("Adds.\n\n    Latency: a cycle. Throughput: one.\n", ("Latency",)),  # what does not begin a line is not seen
        ("Adds.\n\n    Latency, Area: as `Other`.\n", ()),
        ("Adds: without Latency.\n\n    Latency\n    latency: none.\n", ()),
        ("", ()),
    ],
)
def test_a_contract_is_read_from_what_begins_a_line(text: str, said: tuple[str, ...]):
    assert ledger_sources.contract_of(text) == said


@pytest.mark.parametrize("path", ledger_sources.tests(), ids=lambda path: str(path.relative_to(REPOSITORY / "tests")))
def test_every_test_can_fail(path: Path):
    assert cannot_fail(path, support=HELPERS) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def test_a():\n    print(1)\n", ["test_a"]),
        ("@cocotb.test()\nasync def runs(dut):\n    await dut.go()\n", ["runs"]),
        ("def test_a():\n    helper()\ndef helper():\n    print(1)\n", ["test_a"]),
        ("def test_a():\n    assert 1\n", []),
        ("def test_a():\n    helper()\ndef helper():\n    assert 1\n", []),
        ("def test_a():\n    run_bench(Part(), module=__name__)\n", []),
        ("def test_a():\n    with pytest.raises(ValueError):\n        f()\n", []),
        ("def test_a():\n    np.testing.assert_allclose(1, 2)\n", []),
        ("def helper():\n    print(1)\n", []),
    ],
)
def test_tests_without_a_check_are_found(tmp_path: Path, text: str, found: list[str]):
    (tmp_path / "test_x.py").write_text(text)
    assert cannot_fail(tmp_path / "test_x.py", support=[]) == found
