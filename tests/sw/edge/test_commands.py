"""The command line of edge units."""

import json
from pathlib import Path

import pytest

from tests.sw.command_line import run


def test_run_compares_every_payload(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "rm5-edge", "--items", 30, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["model"] == "rm5-edge"
    assert figures["queries"] > 5
    assert figures["mismatches"] == 0


def test_run_shows_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "rm5-edge", "--items", 10) == 0
    shown = capsys.readouterr().out
    assert "context in to payload out" in shown
    assert "at 1,000 MHz a query takes" in shown


def test_bench_has_a_row_per_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "edge", "--model", "rm5-edge", "--sessions", 1, "--actions", 20, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    (row,) = result["rows"]
    assert row["model"] == "rm5"
    assert row["cycles"] <= row["aim_cycles"] == 118
    assert row["scratchpad_bytes"] == (1 + 200 + 200) * 18 * 4
    assert row["multipliers"] == {"top": 108}
    assert row["requantisers"] == {"top": 6, "quantiser": 18}
    assert row["stream_buffer_bytes"] == 0
    assert (row["payload_bytes"], row["mismatches"], row["sessions"]) == (120, 0, 1)
    assert 16 < row["sent_bytes"] < 120
    assert row["payload_us"] == round(row["sent_bytes"] * 8 / 24, 1)
    wanted = {"model", "cycles", "bottom_macs", "top_macs", "multipliers", "payload_bytes", "click_cycles"}
    wanted |= {"pooled_read_cycles", "scratchpad_bytes", "running_sum_bytes", "weight_bytes", "sessions", "mismatches"}
    assert wanted <= set(row)


@pytest.mark.parametrize(
    "arguments", [("run", "rm9-edge"), ("verilog", "rm9-edge", "-o", "x"), ("bench", "edge", "--model", "rm9")]
)
def test_an_unknown_unit_is_one_line_and_status_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "edge unit must be rm1-edge" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "rm5-edge", "--items", 0), "items must be at least 1, not 0"),
        (("run", "rm5-edge", "--seed", -1), "--seed"),
        (("run", "rm5-edge", "--board", "u55c"), "rm5-edge takes --items, --seed, --json only, not --board"),
        (("run", "rm5-edge", "--wave", "x.vcd"), "only, not --wave"),
        (("verilog", "rm5-edge", "-o", "x", "--vectors", 4), "rm5-edge takes --output only, not --vectors"),
        (("bench", "edge", "--sessions", -1), "--sessions"),
        (("bench", "edge", "--actions", 0), "--actions"),
        (("bench", "edge", "--seed", -1), "--seed"),
        (("run", "microrec-small", "--seed", -1), "--seed"),
    ],
)
def test_options_that_mean_nothing_are_one_line_and_status_2(
    arguments: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_verilog_comes_with_a_map_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verilog", "rm5-edge", "-o", tmp_path / "unit") == 0
    assert "rm5-edge: 4 files" in capsys.readouterr().out
    described = json.loads((tmp_path / "unit" / "map.json").read_text())
    text = (tmp_path / "unit" / "edge_unit.v").read_text()
    header = text[text.index("module edge_unit") :].split(";")[0]
    assert all(port in header for port in described["ports"])
    assert described["kinds"]["QUERY"] == 4
    assert described["header"]["kind"] == {"first": 64, "bits": 8}
    assert described["beats"]["entry"] == [2, 4]
    assert run("verilog", "rm5-edge", "-o", tmp_path / "unit") == 0


def test_verilog_leaves_a_folder_of_others_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert run("verilog", "rm5-edge", "-o", tmp_path) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
