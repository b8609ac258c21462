"""The command line: exit status, one line of error, and nothing heavy loaded to answer."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from microduet.errors import DeviceError
from microduet_sim import tools
from microduet_sim.cache import CacheError
from microduet_sim.card import SimulationError
from microduet_sim.compiler import BuildError
from tests.sw.command_line import TINY, run

TINY_FILE = TINY.partition(":")[0]


@pytest.mark.parametrize("arguments", [["no-such-command"], ["doctor", "--no-such-option"], ["doctor", "3"]])
def test_bad_arguments_are_one_line_and_status_2(capsys, arguments):
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("microduet: ")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "check", "verilog"])
def test_help_explains_every_option(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(command, "--help") == 0
    options = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│") and " --" in line]
    assert len(options) >= 6
    assert [line for line in options if re.search(r"--\S+ +(-o )?[A-Za-z-]+ +\[", line)] == []


def test_doctor_names_every_tool(capsys):
    assert run("doctor") == 0
    printed = capsys.readouterr().out
    assert all(tool.name in printed for tool in tools.TOOLS)


def test_doctor_prints_one_json_object(capsys):
    assert run("doctor", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["tools"]
    assert [row["tool"] for row in rows] == [tool.name for tool in tools.TOOLS]
    assert all(bool(row["install"]) is not row["found"] for row in rows)


@pytest.mark.parametrize(("name", "status"), [("verilator", 1), ("ccache", 0)])
def test_doctor_fails_only_for_what_every_run_needs(monkeypatch, capsys, name, status):
    shown = tools.find

    def find(wanted):
        finding = shown(wanted)
        return tools.Finding(tool=finding.tool, path=None, version=None) if wanted == name else finding

    monkeypatch.setattr(tools, "find", find)
    assert run("doctor", "--json") == status
    (row,) = [row for row in json.loads(capsys.readouterr().out)["tools"] if row["tool"] == name]
    assert row["install"].startswith("make setup")


def test_starts_without_torch_and_amaranth():
    code = "import sys, microduet.cli; print({'torch', 'amaranth', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def _one_line(capsys, arguments, message):
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("microduet: ")
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.out


BAD = [
    # arguments ({0} is a folder, {1} the file of the tiny model), what is said
    ("run microrec-tiny", "model must be microrec-small, microrec-large, rmc2-8, rmc2-12, microrec-huge, rm1, rm2"),
    ("run rm5-duet", "rm5-duet ranks items for users: microduet bench query"),
    ("run {0}/none.pt", "there is no such checkpoint"),
    ("run {0}/none.py:Tiny", "none.py: no such file"),
    ("run {1}:Huge", "Huge"),
    ("run {1}:empty", "empty"),
    ("run {1}:Odd", "tanh"),
    ("run rmc2-8 --dim 3", "dim must be 4 to 64, not 3"),
    ("run {1}:Tiny --precision fixed8", "precision must be fixed16, fixed32, int8, not 'fixed8'"),
    ("run {1}:Tiny --config mine", "config must be default or microrec-paper, not 'mine'"),
    ("run {1}:Tiny --config microrec-paper", "microrec-paper has 3 hidden layers, Tiny has 1"),
    ("run {1}:Tiny --board vu9p", "board must be u280, u55c or a .toml file, not 'vu9p'"),
    ("run {1}:Tiny --memory ideal", "ideal"),
    ("run rm5-edge --row-check", "rm5-edge takes --items, --seed, --json only, not --row-check"),
    ("verilog rm5-edge -o {0}/k --row-check", "rm5-edge takes --output only, not --row-check"),
    ("run {1}:Tiny --items 0", "items must be at least 1, not 0"),
    ("run {1}:Tiny --items many", "many"),
    ("run {1}:Tiny --traffic {0}/none.txt", "there is no file"),
    ("run {1}:Tiny --traffic {0}/words.txt", "words.txt: is not a table of ids"),
    ("run {1}:Tiny --traffic {0}/large.txt", "large.txt: sparse[1, 0] must be 0 to 49"),
    ("run {1}:Tiny --traffic {0}/narrow.txt", "narrow.txt: sparse must have shape (items, 2)"),
    ("run {1}:Tiny --window 5", "window must be FIRST:END in engine cycles"),
    ("run {1}:Tiny --window 9:5", "window must be FIRST:END in engine cycles"),
    ("run {1}:Tiny --wave {0}/w.txt", "wave must end in .vcd or .fst, not 'w.txt'"),
    ("run {1}:Tiny --wave {0}/none/w.vcd", "w.vcd: cannot be written"),
    ("run {1}:Tiny --trace {0}/none/t.json", "t.json: cannot be written"),
    ("bench query --trace {0}/none/t.json", "t.json: cannot be written"),
    ("bench query --trace {0}", "cannot be written: it is a folder"),
    ("bench query --trace-plot {0}/p.svg", "--trace-plot draws the timeline that --trace writes: give both"),
    ("bench query --trace {0}/t.json --trace-plot {0}/p.png", "--trace-plot must end in .svg, not"),
    ("bench engine --model none", "model must be microrec-small"),
    ("bench engine --model {1}:Tiny --items -1", "items must be at least 1, not -1"),
    ("bench sim --model {1}:Tiny --items 0", "items must be at least 1, not 0"),
    ("bench sim --model none --no-cold", "model must be microrec-small"),
    ("check none", "model must be microrec-small"),
    ("check {1}:Tiny --data {0}/none.npz", "none.npz"),
    ("verilog none -o {0}/k", "model must be microrec-small"),
    ("verilog {1}:Tiny", "output"),
    ("verilog {1}:Tiny -o {1}", "tiny_model.py: exists and was not written by this command"),
    ("verilog {1}:Tiny -o {1}/k", "cannot be written"),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line for line, _ in BAD])
def test_bad_input_is_one_line_and_status_2(capsys, tmp_path, line, message):
    for name, text in {"words": "1 2\n1 x\n", "large": "1 2\n50 2\n", "narrow": "1\n2\n"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    _one_line(capsys, line.format(tmp_path, TINY_FILE).split(), message)


def test_changed_byte_of_a_bundle_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))
    assert run("verilog", TINY, "-o", str(tmp_path / "k")) == 0
    (weights,) = (tmp_path / "cache").glob("bundles/*/weights.npz")
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(data)
    capsys.readouterr()
    _one_line(capsys, ["run", TINY], "weights.npz: SHA-256 must be")


def test_full_disk_is_one_line_and_leaves_nothing(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))
    write = Path.write_text

    def full(path, text, **options):
        if path.suffix == ".v":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    _one_line(capsys, ["run", TINY, "--json"], "the disk is full; free space there, or set MICRODUET_CACHE")
    assert [path for path in (tmp_path / "cache" / "verilog").iterdir() if path.suffix != ".lock"] == []


def test_missing_compiler_names_the_command_that_installs_it(tmp_path):
    environment = os.environ | {"PATH": str(tmp_path), "MICRODUET_CACHE": str(tmp_path / "cache")}
    command = [
        sys.executable,
        "-c",
        "import sys; from microduet.cli import main; main(sys.argv[1:])",
        "run",
        TINY,
        "--json",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 2
    assert answer.stderr.startswith("microduet: g++ not found")
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == ""


RAISED = [
    (SimulationError("nothing moved\nfor 9 cycles"), "microduet: nothing moved for 9 cycles\n"),
    (BuildError("Verilator refuses x.v"), "microduet: Verilator refuses x.v\n"),
    (CacheError("cannot build in x"), "microduet: cannot build in x\n"),
    (tools.MissingToolError("make not found"), "microduet: make not found\n"),
    (PermissionError(errno.EACCES, "Permission denied", "t.json"), "microduet: t.json: Permission denied\n"),
    (DeviceError("the device is closed"), "microduet: the device is closed\n"),
]


@pytest.mark.parametrize(("error", "line"), RAISED, ids=[type(error).__name__ for error, _ in RAISED])
def test_every_error_ends_in_one_line(capsys, monkeypatch, error, line):
    def fail(*_):
        raise error

    monkeypatch.setattr("microduet.job.main", fail)
    assert run("run", "microrec-small") == 2
    assert capsys.readouterr().err == line
