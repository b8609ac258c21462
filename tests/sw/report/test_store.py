"""Kept results: what is measured once is kept, what is stale is measured again, what is damaged is left alone."""

import json
from pathlib import Path

import pytest

from microduet.errors import InputError
from microduet.report import store as module
from microduet.report.catalogue import catalogue
from microduet.report.command import ReportOptions, entry_of, main
from microduet.report.store import Result, Store
from tests.sw.command_line import run
from tests.sw.report.outputs import outputs

COMMAND = ("models", "--split", "duet")


def test_a_command_runs_by_itself_and_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    assert store.find(COMMAND) is None
    result = store.measure(COMMAND)
    assert result.output is not None
    assert {row["model"] for row in result.output["rows"]} >= {"rm1", "rm5"}
    assert store.find(COMMAND) == result
    assert not result.stale


def test_a_command_that_fails_is_kept_with_its_cause(tmp_path: Path) -> None:
    result = Store(tmp_path).measure(("models", "rm9"))
    assert result.output is None
    assert result.failed.startswith("exit status 2: ")
    assert "rm9" in result.failed


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with results of all commands, made up."""
    for command, output in outputs().items():
        own = Result(
            command=command, sources=module.sources(), when="2026-01-01T00:00:00+00:00", seconds=1, output=output
        )
        Store(tmp_path / "results").keep(own)
    return tmp_path


def test_what_was_measured_is_not_measured_again(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "measure", lambda *_: pytest.fail("measured again"))
    assert main(ReportOptions(folder=filled)) == 0
    found = json.loads((filled / "report.json").read_text())
    assert {item["name"] for item in found["items"]} == set(catalogue())
    assert not any(item["stale"] or item["verdict"] == "unmeasured" for item in found["items"])


def test_results_of_other_sources_are_stale_and_measured_again(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "sources", lambda: "others")
    measured: list[tuple[str, ...]] = []

    def measure(self: Store, command: tuple[str, ...]) -> Result:
        measured.append(command)
        return Result(command=command, sources="others", when="now", seconds=0, output=outputs()[command])

    monkeypatch.setattr(Store, "measure", measure)
    assert main(ReportOptions(folder=filled, cached=True)) == 0
    assert measured == []
    assert all(item["stale"] for item in json.loads((filled / "report.json").read_text())["items"])
    assert main(ReportOptions(folder=filled, names=("duet-table-4",))) == 0
    assert measured == [("bench", "edge")]


def test_a_failed_command_fails_the_report_but_not_other_items(filled: Path) -> None:
    command = ("bench", "edge")
    Store(filled / "results").keep(
        Result(command=command, sources=module.sources(), when="now", seconds=0, failed="exit status 1: 3 differ")
    )
    assert main(ReportOptions(folder=filled, cached=True)) == 1
    found = {item["name"]: item for item in json.loads((filled / "report.json").read_text())["items"]}
    assert found["duet-table-4"]["verdict"] == "unmeasured"
    assert "3 differ" in found["duet-table-4"]["why"]
    assert found["duet-table-2"]["verdict"] == "reproduced"


def test_an_item_without_results_says_which_command_is_missing() -> None:
    entry = entry_of(catalogue()["duet-table-4"], {})
    assert (entry.finding.verdict, entry.measured) == ("unmeasured", "")
    assert "microduet bench edge --json" in entry.finding.why


@pytest.mark.parametrize("text", ["{", '{"format": 2, "command": [], "sources": "", "when": "", "seconds": 0}'])
def test_a_damaged_or_foreign_result_is_refused_and_left(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    store.measure(COMMAND)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.raises(InputError, match="remove it to measure again"):
        store.find(COMMAND)
    assert path.read_text() == text


def test_a_full_disk_is_one_line_and_loses_nothing(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in (filled / "results").iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        main(ReportOptions(folder=filled, cached=True))
    assert before == {path: path.read_bytes() for path in (filled / "results").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("duet-figure-99", "--cached"), "there is no 'duet-figure-99' in the report; there are microrec-table-1"),
        ((), "name tables or figures, like microrec-table-5, or give --all"),
        (("duet-table-1", "--all"), "name tables or figures, like microrec-table-5, or give --all"),
    ],
)
def test_unknown_items_are_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", *arguments, "--folder", tmp_path / "report") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
