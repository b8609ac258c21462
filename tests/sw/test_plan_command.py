"""`microduet plan` and board files, as a user meets them."""

import json

import pytest

from microduet import boards
from microduet.errors import MicroduetError
from microduet.placement import Plan
from microduet_hw.config import SourceKind
from tests.sw.command_line import TINY, run
from tests.sw.plans import BOARD

KEYS = {
    "model", "board", "precision", "mode", "physical_tables", "products", "dram_tables", "onchip_tables", "rounds",
    "overhead_percent", "slowest_channel_ns", "stored_bytes", "optimal", "gap", "seconds", "seed", "versions",
}  # fmt: skip


def record(capsys, *arguments: object) -> dict:
    assert run("plan", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_prints_one_json_object(capsys):
    found = record(capsys, "microrec-small", "--mode", "paper-built")
    assert found.keys() == KEYS
    assert (found["physical_tables"], found["dram_tables"], found["rounds"]) == (42, 34, 1)
    assert round(found["overhead_percent"], 3) == 3.167
    assert found["optimal"] is None


def test_best_is_the_default_and_says_what_is_proven(capsys):
    assert run("plan", "microrec-small") == 0
    shown = capsys.readouterr().out
    assert "best: microrec-small on u280, fixed16" in shown
    assert "137.8" in shown
    assert " ".join(shown.split()).count("proven") == 2
    assert "█" in shown


def test_plans_a_users_own_module(capsys):
    assert record(capsys, TINY, "--precision", "int8")["precision"] == "int8"


def test_writes_a_plan_that_can_be_checked(tmp_path, capsys):
    path = tmp_path / "plan.json"
    made = record(capsys, "microrec-large", "--board", "u55c", "--mode", "paper-built", "--out", path)
    checked = record(capsys, "microrec-large", "--board", "u55c", "--check", path)
    same = KEYS - {"seconds"}
    assert {key: made[key] for key in same} == {key: checked[key] for key in same}
    assert run("plan", "microrec-large", "--board", "u55c", "--check", path) == 0
    assert "every row is reached once, nothing overlaps" in " ".join(capsys.readouterr().out.split())


def test_a_plan_edited_into_an_overlap_is_one_line_that_names_both_parts(tmp_path, capsys):
    path = tmp_path / "plan.json"
    record(capsys, "microrec-large", "--mode", "paper-built", "--out", path)
    plan = Plan.read(path)
    edited = [
        p.replace(source=p.source.replace(parts=tuple(part.replace(base=0) for part in p.source.parts)))
        for p in plan.planned
    ]
    plan.replace(planned=tuple(edited)).save(path)
    assert run("plan", "microrec-large", "--check", path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "plan.json: part 0 (table " in error
    assert ") of hbm00 and part 1 (table " in error
    assert "overlap: bytes 0 to" in error


BAD = [
    ("plan nothing", "model must be microrec-small"),
    ("plan rmc2-8 --board vu9p", "board must be u280, u55c or a .toml file, not 'vu9p'"),
    ("plan rmc2-8 --board missing.toml", "missing.toml: cannot be read: No such file or directory"),
    ("plan rmc2-8 --mode worst", "worst"),
    ("plan rmc2-8 --precision fp16", "precision must be fixed16, fixed32, int8, not 'fp16'"),
    ("plan rmc2-8 --seconds 0", "seconds must be above 0, not 0"),
    ("plan rmc2-8 --check missing.json", "missing.json: not a plan file"),
    ("plan rmc2-8 --out /nowhere/plan.json", "/nowhere/plan.json: No such file or directory"),
    ("plan microrec-large --mode paper-literal --board u55c", "table 97 (100000000 x 32 in fixed16) needs 6.4 GB; the"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_bad_input_is_one_line_and_status_2(line, message, capsys):
    assert run(*line.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_plan_of_another_precision_or_model_is_refused(tmp_path, capsys):
    path = tmp_path / "plan.json"
    record(capsys, "rmc2-8", "--mode", "rule", "--out", path)
    assert run("plan", "rmc2-8", "--precision", "int8", "--check", path) == 2
    assert "plan.json is for precision fixed16, not int8" in capsys.readouterr().err
    assert run("plan", "rmc2-12", "--check", path) == 2
    assert "the plan is for rmc2-8 on u280, not rmc2-12 on u280" in capsys.readouterr().err


def test_a_board_from_a_file(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(BOARD)
    board = boards.find(str(path))
    assert [(c.name, c.kind, c.size) for c in board.channels] == [
        ("hbm00", SourceKind.HBM, 512 << 20),
        ("hbm01", SourceKind.HBM, 512 << 20),
        ("ddr0", SourceKind.DDR, 8 << 30),
    ]
    assert (board.dsp, board.bram36, board.uram, board.onchip_uram) == (2000, 500, 64, 32)
    assert record(capsys, "rmc2-8", "--board", path)["board"] == "mine"


BROKEN = [
    ("name = ", "is not a board: "),
    (BOARD.replace("uram = 64\n", ""), "missing required field `uram`"),
    (BOARD.replace("uram", "urams"), "unknown field `urams`"),
    (BOARD.replace("dsp = 2000", "dsp = -1"), r"Expected `int` >= 0 - at `\$.dsp`"),
    (BOARD.replace("count = 2", "count = 0"), r"Expected `int` >= 1 - at `\$.channels\[0\].count`"),
    (BOARD.replace("mebibytes = 512", "mebibytes = 0.5"), "mebibytes"),
    (BOARD.replace("count = 2\n", ""), "missing required field `count`"),
    (BOARD.replace('"ddr"', '"flash"'), "Invalid enum value 'flash'"),
    (BOARD.replace('"ddr"', '"lpddr"'), "Invalid enum value 'lpddr'"),
    (BOARD.replace("onchip_share = 0.5", "onchip_share = 2"), "<= 1"),
    (BOARD.replace('"mine"', '"u280"'), "name must be another than the built-in boards', not 'u280'"),
    ('name = "x"\ndsp = 1\nbram36 = 1\nuram = 1\nchannels = []\n', "channels"),
]


@pytest.mark.parametrize("kind", [SourceKind.LPDDR, SourceKind.ONCHIP])
def test_a_board_has_no_channels_that_engines_do_not_use(kind):
    channels = (boards.Channel(name="x0", kind=kind, size=1 << 30),)
    with pytest.raises(MicroduetError, match=f"phone: a board's channels must be hbm or ddr, not {kind}"):
        boards.Board(name="phone", channels=channels)


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_board_file_with_a_mistake_is_one_line(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(MicroduetError, match=r"mine\.toml: .*" + message) as caught:
        boards.find(str(path))
    assert "\n" not in str(caught.value)
