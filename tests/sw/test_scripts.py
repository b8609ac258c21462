"""Scripts only cover commands: they pass arguments on and give the command's exit status back."""

import subprocess

import pytest

from tests.support.environment import REPOSITORY
from tests.sw.command_line import TINY

SCRIPTS = sorted(path for path in (REPOSITORY / "scripts").iterdir() if not path.suffix and path.is_file())


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / "scripts" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.name for path in SCRIPTS])
def test_scripts_are_sound(path):
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    assert "set -euo pipefail" in path.read_text()


def test_generate_verilog_passes_arguments_on(tmp_path):
    assert script("generate-verilog", TINY, "-o", str(tmp_path / "k")).returncode == 0
    assert (tmp_path / "k" / "map.json").is_file()


def test_generate_verilog_gives_the_status_back():
    answer = script("generate-verilog", "nothing", "-o", "k")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)


def test_run_benches_covers_make():
    answer = script("run-benches", "--dry-run", "DUT=drain", "SIM=icarus")
    assert answer.returncode == 0
    assert "SIM=icarus" in answer.stdout
    assert "-k drain" in answer.stdout


def test_paper_table_fails_with_its_runs():
    answer = script("paper-table", "--items", "0")
    assert answer.returncode == 2
    assert answer.stdout.count("\n") == 2
    assert answer.stderr.count("items must be at least 1, not 0") == 5
