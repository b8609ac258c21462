"""What run, bench and check print: the promised names, the same for the same seed, and status 1 for a wrong score."""

import json

import pytest

from microduet.device import Device
from tests.sw.command_line import TINY, run

COSTS = ("multipliers", "dsp", "bram36", "uram")
TIMES = ("cycles_per_item", "idle_latency_cycles", "p50_latency_cycles", "p99_latency_cycles", "lookup_latency_ns")
RUN = ("model", "precision", "config", "row_check", "memory", "seed", "items", "mismatches")
FIGURES = (*RUN, *COSTS, *TIMES, "multiplier_use", "clock_mhz", "memory_clock_mhz")
RATIOS = ("floor_ratio", "driver_ratio", "warm_start_s", "peak_rss_mb")
SPEEDS = ("model", "precision", "cycles_per_second", "simd_floor_cycles_per_second", *RATIOS)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "{model}", "--items", "50", "--json"],
        ["bench", "engine", "--model", "{model}", "--items", "50", "--json"],
    ],
    ids=["run", "bench engine"],
)
@pytest.mark.parametrize("precision", ["fixed16", "int8"])
def test_figures_have_the_promised_names(capsys, command, precision):
    arguments = [word.format(model=TINY) for word in command]
    assert run(*arguments, "--precision", precision, "--seed", "7") == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(FIGURES) <= set(figures)
    assert (figures["model"], figures["precision"], figures["memory"]) == ("Tiny", precision, "dram")
    assert (figures["items"], figures["seed"], figures["mismatches"]) == (50, 7, 0)
    assert figures["p99_latency_cycles"] >= figures["p50_latency_cycles"] > figures["cycles_per_item"] > 0
    assert (figures["clock_mhz"], figures["memory_clock_mhz"]) == (120, 450)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["run", TINY], id="run", marks=pytest.mark.nightly),
        pytest.param(["bench", "engine", "--model", TINY], id="bench engine"),
    ],
)
def test_rows_are_checked_if_wanted(capsys, command):
    """Another engine, whose scores are the golden model's too."""
    digests = {}
    for options, checked in ((["--row-check"], True), ([], False)):
        assert run(*command, "--items", "40", "--json", *options) == 0
        figures = json.loads(capsys.readouterr().out)
        assert (figures["row_check"], figures["mismatches"]) == (checked, 0)
        digests[checked] = figures["config_digest"]
    assert digests[True] != digests[False]


def test_figures_repeat_with_their_seed(capsys):
    printed = []
    for seed in ("3", "3", "4"):
        assert run("run", TINY, "--items", "40", "--json", "--seed", seed) == 0
        figures = json.loads(capsys.readouterr().out)
        printed.append({name: figures[name] for name in TIMES})
    assert printed[0] == printed[1] != printed[2]


def test_run_shows_tables_and_the_placement(capsys):
    assert run("run", TINY, "--items", "40", "--traffic", "zipf") == 0
    printed = capsys.readouterr()
    for words in ("cycles per item", "idle latency", "multiplier use", "paper", "ddr"):
        assert words in printed.out.lower()
    assert "Traceback" not in printed.err


def test_speeds_have_the_promised_names(capsys):
    assert run("bench", "sim", "--model", TINY, "--items", "50", "--no-cold", "--json") == 0
    assert set(SPEEDS) <= set(json.loads(capsys.readouterr().out))


def test_run_takes_ids_from_a_file_and_writes_waves_and_a_trace(capsys, tmp_path):
    (tmp_path / "ids.txt").write_text("0 0\n49 3999\n")
    files = ["--traffic", tmp_path / "ids.txt", "--trace", tmp_path / "t.json", "--wave", tmp_path / "w.vcd"]
    assert run("run", TINY, "--items", "5", "--json", *map(str, files), "--window", "0:50") == 0
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert (tmp_path / "w.vcd").read_text().count("#") > 50


def test_check_prints_one_json_object(capsys):
    assert run("check", TINY, "--items", "200", "--json") == 0
    assert {row["precision"] for row in json.loads(capsys.readouterr().out)["precisions"]} == {
        "fixed16",
        "fixed32",
        "int8",
    }


def test_mismatches_are_status_1(capsys, monkeypatch):
    correct = Device.run

    def wrong(device, *arguments, **options):
        batch = correct(device, *arguments, **options)
        batch.logits[2:3] += 1
        return batch

    monkeypatch.setattr(Device, "run", wrong)
    assert run("run", TINY, "--items", "20", "--json", "--seed", "9") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["mismatches"] == 3
    assert "seed 9: item 2: logit expected" in printed.err
