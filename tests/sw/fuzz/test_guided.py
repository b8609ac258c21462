"""Files that libFuzzer makes, led by the branches of the parsers that they reach."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import REPOSITORY

CANARY = """
from tests.support import guided

@guided.atheris_of.instrument_func
def read(data):
    if data[:2] == b"gp":
        data[len(data)]

guided.targets = lambda: [("canary", b"good", read)]
guided.main("100000", "1", "{folder}")
"""


def guided(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("cases", "seed"), [(1_000, 1), pytest.param(100_000, 2, marks=pytest.mark.nightly)], ids=["some", "many"]
)
def test_every_parser_reads_or_refuses_what_it_is_led_to(cases: int, seed: int, tmp_path: Path) -> None:
    done = guided("-m", "tests.support.guided", str(cases), str(seed), str(tmp_path))
    print(done.stdout, done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"Done {cases} runs" in done.stderr
    assert "engine: manifest.json" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_parser_that_breaks_is_found_and_its_file_kept(tmp_path: Path) -> None:
    done = guided("-c", CANARY.format(folder=tmp_path))
    assert done.returncode == 77, done.stderr[-2000:]
    assert "IndexError" in done.stdout + done.stderr
    (file,) = tmp_path.iterdir()
    assert file.read_bytes()[:3] == b"\0gp"
