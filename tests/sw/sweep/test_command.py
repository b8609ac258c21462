"""`microduet sweep` in this process: what it prints and draws, and its one-line errors."""

import json
import shutil
import time

import pytest

from microduet.sweep import results
from tests.support.environment import REPOSITORY
from tests.sw.command_line import TINY, run

ENGINE = """
[sweep]
name = "tiny"
output = "tiny.parquet"
measure = "engine"

[axes]
model = "{model}"
channels = {channels}
memory_mhz = {memory_mhz}
memory = "simple"
items = 16
"""


def test_example_of_the_documentation(tmp_path, capsys):
    config = tmp_path / "sweep.toml"
    shutil.copy(REPOSITORY / "docs/sweep.toml", config)
    assert run("sweep", config, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["points"], printed["done"], printed["failures"]) == (9, 9, [])
    front = printed["front"]["microrec-small"]
    assert [one["cycles"] for one in front] == sorted(one["cycles"] for one in front)
    assert all(one["predicted"] for one in front)
    picture = (tmp_path / "sweep-front.svg").read_text()
    assert all(text in picture for text in ("DSP slices", "cycles per item, predicted", "fixed16", "int8"))
    assert run("sweep", config) == 0
    assert "9 points: 0 done, 9 done before, 0 failed" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "sweep-front.svg").read_text() == picture


def test_simulates_engines_and_records_what_cannot_be_built(tmp_path, capsys):
    config = tmp_path / "tiny.toml"
    config.write_text(ENGINE.format(model=TINY, channels=[2], memory_mhz=[450, 225]))
    assert run("sweep", config, "--workers", 2, "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"] == 2
    rows = list(results.read(tmp_path / "tiny.parquet").values())
    fast, slow = (next(r.outcome.figures for r in rows if r.point.memory_mhz == mhz) for mhz in (450, 225))
    assert not fast.predicted
    assert fast.cycles > 0
    assert slow.lookup_ns > fast.lookup_ns
    assert fast.lookup_p50_ns <= fast.lookup_p99_ns
    assert fast.counters["latency_p50"] > 0


def test_failed_points_are_named_and_give_status_1(tmp_path, capsys):
    config = tmp_path / "tiny.toml"
    config.write_text(
        '[sweep]\nname="a"\noutput="a.parquet"\nmeasure="search"\nretries=0\n'
        '[axes]\nmodel="microrec-small"\narrays=["256x18[0,1,2]", "3x3[0,1,2]"]\n'
    )
    assert run("sweep", config, "--workers", 1) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "failed: microrec-small, arrays 3x3[0,1,2]: SearchError: arrays 3x3[0,1,2]: an array has an even" in printed
    assert "2 points: 1 done, 0 done before, 1 failed" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--address", "127.0.0.1:1"], "give --engine ray"),
        (["--engine", "ray", "--address", "nowhere"], "address must be HOST:PORT, not 'nowhere'"),
        (
            ["--engine", "ray", "--address", "127.0.0.1:1"],
            "Ray cluster 127.0.0.1:1 is out of reach: Connection refused",
        ),
        (["--engine", "slurm"], "slurm"),
        (["--workers", "0"], "workers"),
        (["--plot", "/no/folder/a.svg"], "/no/folder"),
    ],
)
def test_one_line_for_what_is_wrong(eight, capsys, arguments, message):
    begun = time.monotonic()
    assert run("sweep", eight, *arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert time.monotonic() - begun < 20
    assert not eight.with_name("out.parquet").exists()
