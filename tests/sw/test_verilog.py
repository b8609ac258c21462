"""What `microduet verilog` writes: it simulates, it lints, it is the same every time, and nothing else is touched."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from microduet import boards, zoo
from microduet.planner.spread import spread_plan
from microduet.presets import compile_config, engine_config
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import EngineConfig, Part, Precision, Source, SourceKind
from microduet_sim.tools import verilator_environment
from tests.support.environment import REPOSITORY, require_tool
from tests.sw.command_line import TINY, run
from tests.sw.plans import BOARD

MIXED = f"{REPOSITORY}/tests/sw/cases.py:Mixed"
WAIVERS = REPOSITORY / "hw/microduet_hw/verilator.vlt"
ITEMS = 6
PRECISIONS = [str(precision) for precision in Precision]


def tiny_config(*, hidden: tuple[int, ...] = (8,), rows: int = 500) -> EngineConfig:
    features = concatenated([(rows, 4, 1), (300_000, 8, 2)])
    layers = perceptron(12, (*hidden, 1))
    return compile_config(ModelShape(name="tiny", features=features, hidden=layers[:-1], output=layers[-1]))


@pytest.fixture(scope="module", params=PRECISIONS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "kernel"
    assert run("verilog", MIXED, "-o", folder, "--vectors", ITEMS, "--precision", request.param) == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def simulate(folder: Path, *arguments: str, standard: str = "2012") -> str:
    require_tool("iverilog")
    sources = sorted(path.name for path in folder.glob("*.v"))
    build = ["iverilog", f"-g{standard}", "-s", "testbench", "-o", "bench", *sources]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    return subprocess.run(["vvp", "bench", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("standard", "arguments"), [("2005", []), ("2012", ["+fast"])])
def test_testbench_passes(exported: Path, tmp_path: Path, standard: str, arguments: list[str]) -> None:
    shutil.copytree(exported, tmp_path / "k")
    assert f"PASSED: {ITEMS} results" in simulate(tmp_path / "k", *arguments, standard=standard)


def flip(name: str, line: int) -> Callable[[Path], None]:
    """Change the last digit of a line."""

    def edit(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        lines[line] = f"{lines[line][:-1]}{int(lines[line][-1], 16) ^ 1:x}"
        (folder / name).write_text("\n".join(lines) + "\n")

    return edit


BROKEN = [
    # what is changed, what the testbench says of it
    (flip("results.hex", 2), "result 2: expected"),
    (flip("results.hex", ITEMS - 1), f"result {ITEMS - 1}: expected"),
    (flip("m_axi_00_ar.hex", 1), "m_axi_00 read 1: expected"),
    (flip("items.hex", 0), "expected"),
]


@pytest.mark.parametrize(("change", "complaint"), BROKEN, ids=range(len(BROKEN)))
def test_testbench_fails_if_one_value_differs(
    exported: Path, tmp_path: Path, change: Callable[[Path], None], complaint: str
) -> None:
    shutil.copytree(exported, tmp_path / "k")
    change(tmp_path / "k")
    printed = simulate(tmp_path / "k", "+fast")
    assert complaint in printed
    assert "FAILED: " in printed
    assert "PASSED" not in printed


def lint(folder: Path, *arguments: str) -> None:
    answer = subprocess.run(
        ["verilator", "--lint-only", "-Wall", *arguments[:-1], str(WAIVERS), "-y", ".", f"{arguments[-1]}.v"],
        cwd=folder,
        env=verilator_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "%" not in answer.stdout + answer.stderr
    assert answer.returncode == 0


def test_kernel_has_no_warning(exported: Path) -> None:
    lint(exported, json.loads((exported / "map.json").read_text())["module"])


def test_testbench_has_no_warning(exported: Path) -> None:
    lint(exported, "--timing", "--timescale", "1ps/1ps", "--top-module", "testbench", "models.v", "testbench")


def test_map_describes_the_files(exported: Path) -> None:
    described = json.loads((exported / "map.json").read_text())
    hashes = {name: hashlib.sha256(text).hexdigest() for name, text in contents(exported).items()}
    del hashes["map.json"]
    assert described["files"] == hashes
    header = (exported / f"{described['module']}.v").read_text()
    for name, port in described["ports"].items():
        bits = rf"\[{port['bits'] - 1}:0\] " if port["bits"] > 1 else ""
        assert re.search(rf"^  {port['direction']} {bits}{name};$", header, re.MULTILINE), name
    for name in (*described["clocks"], *described["resets"]):
        assert re.search(rf"^  input {name};$", header, re.MULTILINE)
        assert name in (exported / f"{described['module']}.xdc").read_text()


@pytest.mark.parametrize("precision", ["int8"])
def test_hash_seeds_do_not_change_a_byte(tmp_path: Path, precision: str) -> None:
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "MICRODUET_CACHE": str(tmp_path / f"cache{seed}")}
        code = "import sys; from microduet.cli import main; main(sys.argv[1:])"
        arguments = ["verilog", MIXED, "-o", str(tmp_path / seed), "--vectors", "2", "--precision", precision]
        subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True, capture_output=True)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


@pytest.mark.parametrize("hidden", [(8,), ()])
def test_configuration_gets_a_model_with_random_weights(tmp_path: Path, hidden: tuple[int, ...]) -> None:
    config = tiny_config(hidden=hidden)
    (tmp_path / "c.json").write_bytes(config.to_json())
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k", "--vectors", 3) == 0
    assert "PASSED: 3 results" in simulate(tmp_path / "k", "+fast")
    lint(tmp_path / "k", "microduet_tiny_fixed16")


def test_reads_come_in_the_order_of_features_wherever_tables_lie(tmp_path: Path) -> None:
    config = tiny_config(rows=300_000)
    features = [(1, config.features[1], 0), (0, config.features[0], 1 << 24)]
    parts = tuple(
        Part(feature=number, rows=feature.rows, columns=feature.dim, base=base, stride_log2=5)
        for number, feature, base in features
    )
    config = config.replace(sources=(Source(kind=SourceKind.DDR, parts=parts),))
    (tmp_path / "c.json").write_bytes(config.to_json())
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k", "--vectors", 3) == 0
    assert "PASSED: 3 results" in simulate(tmp_path / "k", "+fast")


def test_reads_of_spread_tables_come_in_any_order(tmp_path: Path) -> None:
    features = concatenated([(500, 4, 3), (900, 8, 40)])
    layers = perceptron(12, (8, 1))
    shape = ModelShape(name="tiny", features=features, hidden=layers[:-1], output=layers[-1])
    (tmp_path / "board.toml").write_text(BOARD.replace("count = 2", "count = 4"))
    plan = spread_plan(shape, precision=Precision.FIXED16, board=boards.find(str(tmp_path / "board.toml")))
    config = engine_config(shape, precision=Precision.FIXED16, arrays=compile_config(shape).arrays, plan=plan)
    (tmp_path / "c.json").write_bytes(config.to_json())
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k", "--vectors", 3) == 0
    assert "PASSED: 3 results" in simulate(tmp_path / "k", "+fast")
    lint(tmp_path / "k", "microduet_tiny_fixed16")


def test_rows_are_checked_if_wanted(tmp_path: Path) -> None:
    digests = {}
    for options in ([], ["--row-check"]):
        assert run("verilog", TINY, "-o", tmp_path / "k", "--vectors", 3, *options) == 0
        digests[bool(options)] = json.loads((tmp_path / "k" / "map.json").read_text())["digest"]
    assert digests[False] != digests[True]
    # One table lies in a bank: its words come with their check words, through the backdoor too.
    assert "PASSED: 3 results" in simulate(tmp_path / "k", "+fast")


def test_testbench_is_left_out_without_vectors(tmp_path: Path) -> None:
    config = tiny_config(rows=300_000)  # nothing lies on chip, so there is no large memory either
    (tmp_path / "c.json").write_bytes(config.to_json())
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k") == 0
    stem = "microduet_tiny_fixed16"
    assert sorted(contents(tmp_path / "k")) == sorted(
        ["engine.v", "engine_core.v", f"{stem}.v", f"{stem}.xdc", "map.json", "microduet_crc32.v", "pe_pair_0.v"]
    )


def test_replaces_an_earlier_export_and_keeps_other_files(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(tiny_config().to_json())
    (tmp_path / "k").mkdir()
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k", "--vectors", 1) == 0
    (tmp_path / "k" / "notes.txt").write_text("mine")
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k") == 0
    assert (tmp_path / "k" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "k" / "testbench.v").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "k"]


def foreign(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("kept")


@pytest.mark.parametrize("make", [foreign, lambda path: path.write_text("kept")], ids=["folder", "file"])
def test_leaves_alone_what_it_did_not_write(tmp_path: Path, capsys: pytest.CaptureFixture, make: Callable) -> None:
    (tmp_path / "c.json").write_bytes(tiny_config().to_json())
    make(tmp_path / "k")
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k") == 2
    assert "k: exists and was not written by this command; it is left alone\n" in capsys.readouterr().err
    kept = tmp_path / "k" / "thesis.txt" if (tmp_path / "k").is_dir() else tmp_path / "k"
    assert kept.read_text() == "kept"


def test_full_disk_leaves_the_earlier_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "c.json").write_bytes(tiny_config().to_json())
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k") == 0
    before = contents(tmp_path / "k")
    capsys.readouterr()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k") == 2
    assert capsys.readouterr().err.endswith("k: cannot be written: No space left on device\n")
    assert contents(tmp_path / "k") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "k"]


def with_dense() -> EngineConfig:
    layers = perceptron(14, (8, 1))
    shape = ModelShape(
        name="d",
        features=concatenated([(500, 4, 1), (300_000, 8, 2)]),
        dense=2,
        dense_position=12,
        hidden=layers[:-1],
        output=layers[-1],
    )
    return compile_config(shape)


REFUSED = [
    # configuration, arguments, what is said
    (b"{", [], "c.json: is not a configuration"),
    (b'{"name": "x"}', [], "c.json: is not a configuration"),
    (tiny_config().to_json().replace(b'"outputs": 8', b'"outputs": 9'), [], "c.json: is not a configuration"),
    (tiny_config().to_json(), ["--precision", "int8"], "c.json is for precision fixed16, not 'int8'"),
    (tiny_config().to_json(), ["--config", "microrec-paper"], "config must not be given"),
    (tiny_config().to_json(), ["--row-check"], "it says whether rows are checked, by check_bits"),
    (tiny_config().to_json(), ["--vectors", "-1"], "vectors must be at least 0, not -1"),
    (with_dense().to_json(), ["--vectors", "1"], "c.json has dense features: for vectors give its model"),
    (None, [], "c.json: cannot be read: No such file"),
]


@pytest.mark.parametrize(("text", "arguments", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, text: bytes | None, arguments: list[str], message: str
) -> None:
    if text is not None:
        (tmp_path / "c.json").write_bytes(text)
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k", *arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith("microduet: ")
    assert printed.count("\n") == 1
    assert not (tmp_path / "k").exists()


@pytest.mark.nightly
@pytest.mark.parametrize("model", zoo.NAMES)
def test_full_size_testbench_passes(tmp_path: Path, model: str) -> None:
    assert run("verilog", model, "-o", tmp_path / "k", "--vectors", 2) == 0
    assert "PASSED: 2 results" in simulate(tmp_path / "k", "+fast")
