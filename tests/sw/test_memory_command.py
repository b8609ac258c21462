"""`microduet memory`: parameter sets are printed, traces replayed, bad input named in one line."""

import json
import tomllib
from pathlib import Path

import pytest

from microduet.cli import main
from microduet_sim.dram.parameters import BUILT_IN, built_in_text

GOOD = "order,address_hex,bytes\n" + "".join(f"{k},{k * 0x4040 % (1 << 28):x},64\n" for k in range(200))


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(GOOD)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as raised:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert isinstance(raised.value.code, int)
    return raised.value.code, captured.out, captured.err


def test_sets_are_printed_one_by_one_or_together(capsys: pytest.CaptureFixture[str]) -> None:
    for name in BUILT_IN:
        assert run(capsys, "memory", "params", name) == (0, built_in_text(name), "")
    status, out, _ = run(capsys, "memory", "params")
    assert status == 0
    assert set(tomllib.loads(out)) == set(BUILT_IN)


def test_a_replay_prints_one_object_and_writes_every_transaction(
    capsys: pytest.CaptureFixture[str], trace: Path, tmp_path: Path
) -> None:
    out, commands = tmp_path / "out.csv", tmp_path / "commands.csv"
    files = ("--out", out, "--commands", commands)
    status, text, _ = run(capsys, "memory", "replay", "--trace", trace, "--outstanding", 4, *files, "--json")
    figures = json.loads(text)
    assert status == 0
    wanted = {"n", "mean_cycles", "p50_cycles", "p95_cycles", "p99_cycles", "max_cycles", "mean_ns", "p50_ns"}
    assert wanted | {"gigabytes_per_s", "peak_share", "refreshes"} <= set(figures)
    lines = [line.split(",") for line in out.read_text().splitlines()]
    assert lines[0] == ["order", "arrival", "completion", "latency"]
    assert [int(line[0]) for line in lines[1:]] == list(range(200))
    latencies = [int(line[3]) for line in lines[1:]]
    assert all(int(end) - int(start) == int(latency) for _, start, end, latency in lines[1:])
    assert figures["mean_cycles"] == pytest.approx(sum(latencies[64:]) / 136, abs=1e-3)
    assert figures["max_cycles"] == max(latencies[64:])
    assert commands.read_text().startswith("cycle,command,bank,row\n1,ACT,")


def test_options_replace_what_the_set_says(capsys: pytest.CaptureFixture[str], trace: Path) -> None:
    options = ("--no-refresh", "--page", "closed", "--window", 12, "--json")
    _, text, _ = run(
        capsys, "memory", "replay", "--config", "ddr4-2400", "--trace", trace, "--outstanding", 2, *options
    )
    figures = json.loads(text)
    assert (figures["refresh"], figures["page"], figures["window"], figures["refreshes"]) == ("off", "closed", 12, 0)


BAD_LINES = [
    ("", "line 1: must be order,address_hex,bytes"),
    ("address,bytes\n", "line 1: must be order,address_hex,bytes"),
    ("order,address_hex,bytes\n", "must have at least one transaction"),
    ("order,address_hex,bytes\n0,0,64\n1,40\n", "line 3: must have 3 fields, not 2"),
    ("order,address_hex,bytes\n0,xyz,64\n", "line 2: address_hex must be a hexadecimal number, not 'xyz'"),
    ("order,address_hex,bytes\n0,0,many\n", "line 2: order and bytes must be whole numbers"),
    ("order,address_hex,bytes\n0,0,0\n", "line 2: bytes must be 1 to 1048576, not 0"),
    ("order,address_hex,bytes\n1,0,64\n1,40,64\n", "line 3: order must rise, but 1 follows 1"),
    ("order,address_hex,bytes\n0,0,64\n1,fffffe0,64\n", "line 3: 64 bytes at 0xfffffe0 must lie within the channel's"),
    ("order,address_hex,bytes\n0,-40,64\n", "line 2: 64 bytes at -0x40 must lie within"),
]


@pytest.mark.parametrize(("text", "message"), BAD_LINES)
def test_a_bad_trace_is_named_by_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    status, out, err = run(capsys, "memory", "replay", "--trace", path, "--outstanding", 1)
    assert (status, out) == (2, "")
    assert f"{path}" in err
    assert message in err
    assert err.count("\n") == 1


BAD_ARGUMENTS = [
    (("--outstanding", 0), "--outstanding must be at least 1, not 0"),
    (("--outstanding", 1, "--window", 0), "--window must be at least 1"),
    (("--outstanding", 1, "--page", "torn"), "page"),
    (("--outstanding", 1, "--config", "none.toml"), "none.toml: no such file; built-in sets are"),
    (("--outstanding", 1, "--out", "/nonexistent/out.csv"), "/nonexistent/out.csv: cannot be written"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS)
def test_a_bad_argument_is_named_in_one_line(
    capsys: pytest.CaptureFixture[str], trace: Path, arguments: tuple[object, ...], message: str
) -> None:
    status, out, err = run(capsys, "memory", "replay", "--trace", trace, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_an_unknown_set_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "memory", "params", "hbm3")
    assert (status, out) == (2, "")
    assert "lpddr4x-4266, ddr4-2400-dimm or ddr5-4800-dimm, not 'hbm3'" in err
