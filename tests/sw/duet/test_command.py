"""`microduet models`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from microduet.duet import zoo
from tests.sw.command_line import run
from tests.sw.duet.test_shape import SMALL


def test_prints_one_object_with_a_row_per_model_and_split(capsys: pytest.CaptureFixture) -> None:
    assert run("models", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["split"]) for row in result["rows"]] == [
        (name, split) for name in zoo.NAMES for split in ("duet", "exact")
    ]
    exact = next(row for row in result["rows"] if (row["model"], row["split"]) == ("rm4", "exact"))
    assert (exact["payload_bytes"], exact["lossless_bytes"]) == (10_240, 12_800)
    assert exact["payload_us"] == pytest.approx(3413.3, abs=0.1)
    assert result["versions"]["torch"]


def test_shows_tables_of_one_model(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run("models", "microrec-small", "--split", "exact", "--mbps", "12") == 0
    text = capsys.readouterr().out
    assert "1,015,808 -> 745,472 MACs" in text
    assert "2731" in text  # 4,096 bytes at half the speed
    assert "duet" not in text


def test_takes_a_description(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_bytes(SMALL.to_json())
    assert run("models", file, "--split", "duet", "--json") == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert row["parts"]["user_top"] == [4 + 2 + 8, 12, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rm9",), "model must be rm1, rm2, rm3, rm4, rm5, microrec-small or a description (.json), not 'rm9'"),
        (("rm1", "--split", "none"), "split must be all, duet or exact, not 'none'"),
        (("rm1", "--mbps", "0"), "speed must be above 0 Mb/s, not 0.0"),
        (("missing.json",), "missing.json: No such file"),
    ],
)
def test_refuses_in_one_line(capsys: pytest.CaptureFixture, arguments: tuple, message: str) -> None:
    assert run("models", *arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_loads_no_torch_to_show_tables() -> None:
    program = (
        "import sys; from microduet.duet import command\n"
        "command.main('rm1', command.ModelsOptions()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0
