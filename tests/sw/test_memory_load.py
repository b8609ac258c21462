"""`microduet memory load`: a table, one JSON object, a picture; bad arguments named in one line."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from microduet.cli import main
from microduet_sim.dram.load import OUTSTANDING
from microduet_sim.dram.parameters import built_in_text

SETS = ("--config", "hbm2-u280", "--config", "ddr4-2400")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as raised:
        main(["memory", "load", *map(str, arguments)])
    captured = capsys.readouterr()
    assert isinstance(raised.value.code, int)
    return raised.value.code, captured.out, captured.err


def test_json_is_one_object_with_a_point_per_set_size_and_load(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, *SETS, "--bytes", "32,64", "--json")
    figures = json.loads(out)
    assert status == 0
    assert [(point["config"], point["bytes"], point["outstanding"]) for point in figures["points"]] == [
        (config, size, outstanding)
        for config in ("hbm2-u280", "ddr4-2400")
        for size in (32, 64)
        for outstanding in OUTSTANDING
    ]
    wanted = {"config", "bytes", "outstanding", "gigabytes_per_s", "peak_share", "mean_ns", "p50_ns", "p99_ns"}
    assert all(set(point) == wanted for point in figures["points"])
    assert figures["sets"]["ddr4-2400"]["delay_ns"] == 56.0


def test_the_table_has_a_line_per_point(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.toml"
    quiet.write_text(built_in_text("hbm2-u280").replace('refresh = "all-bank"', 'refresh = "off"'))
    status, out, _ = run(capsys, "--config", quiet, "--bytes", 64)
    lines = [line.split() for line in out.splitlines() if line.strip().startswith("64 ")]
    assert status == 0
    assert [int(line[1]) for line in lines] == list(OUTSTANDING)
    # Two misses in two groups: 49 cycles of 1.111 ns.
    assert lines[0][-2:] == ["54.4", "54.4"]


def test_the_picture_is_the_same_every_time(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pictures = [tmp_path / "one.svg", tmp_path / "other.svg"]
    for picture in pictures:
        assert run(capsys, *SETS, "--bytes", "256,64", "--plot", picture)[0] == 0
    one, other = (picture.read_text() for picture in pictures)
    assert one == other
    said = [element.text for element in ElementTree.fromstring(one).iter("{http://www.w3.org/2000/svg}text")]
    assert {"64 B", "256 B", "hbm2-u280, median", "ddr4-2400, 99th percentile"} <= set(said)


BAD = [
    (("--bytes", "64,many"), "--bytes must be numbers with commas between them, not '64,many'"),
    (("--bytes", ""), "--bytes must be numbers with commas between them, not ''"),
    (("--bytes", "64,0"), "--bytes must be different numbers of 1 to 4096, not '64,0'"),
    (("--bytes", "64,64"), "--bytes must be different numbers of 1 to 4096, not '64,64'"),
    (("--config", "hbm3"), "hbm3: no such file; built-in sets are"),
    (("--config", "ddr4-2400", "--config", "ddr4-2400"), "--config must name a set once"),
    (("--plot", "load.png"), "--plot must end in .svg, not 'load.png'"),
    (("--bytes", "64", "--plot", "/nonexistent/load.svg"), "/nonexistent/load.svg: cannot be written"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_bad_argument_is_named_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
