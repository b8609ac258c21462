"""`microduet train`."""

import json
from pathlib import Path

import msgspec
import pytest

import microduet as md
from microduet.data.generated import GeneratedLog
from microduet.train.bootstrap import Interval
from microduet.train.command import sentence
from microduet.train.compare import Change, Comparison, Figure
from microduet.train.metrics import NAMES
from tests.sw.command_line import run
from tests.sw.duet.test_shape import SMALL

FEW = ("--rows", 3000, "--batch", 32, "--seeds", 2, "--test-rows", 2000, "--replicates", 20, "--data", "generated")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    path.write_bytes(SMALL.to_json())
    return path


def test_judges_base_split_and_int8_on_the_same_rows(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert run("train", model, *FEW, "--out", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["test_rows"], found["seeds"]) == (3000, 2000, [0, 1])
    assert list(found["figures"]) == ["base", "split", "int8"]
    for figures in found["figures"].values():
        for name in NAMES:
            figure = figures[name]
            assert figure["interval"]["low"] <= figure["mean"] <= figure["interval"]["high"]
            assert figure["mean"] == pytest.approx(sum(figure["seeds"]) / 2)
        assert 0.5 < figures["auc"]["mean"] < found["best_auc"]
    for change in found["changes"]:
        first, second = (found["figures"][change[name]]["auc"]["mean"] for name in ("first", "second"))
        assert change["figures"]["auc"]["mean"] == pytest.approx(first - second)
    assert sorted(path.name for path in out.iterdir()) == [
        "curves.svg", "result.json",
        "small-base-0.pt", "small-base-1.pt", "small-duet-0.pt", "small-duet-1.pt",
    ]  # fmt: skip
    kept = msgspec.json.decode((out / "result.json").read_bytes(), type=Comparison)
    assert kept.figures["int8"]["auc"].mean == found["figures"]["int8"]["auc"]["mean"]
    assert "AUC on validation rows" in (out / "curves.svg").read_text()
    assert md.compile_edge(str(out / "small-duet-0.pt"), out=tmp_path / "bundle").config.name == "small-edge"


def test_an_exact_split_loses_nothing(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("train", model, *FEW, "--out", tmp_path / "out", "--split", "exact", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    [change] = found["changes"]
    assert (change["first"], change["second"]) == ("base", "split")
    assert abs(change["figures"]["auc"]["mean"]) < 1e-5
    assert abs(change["figures"]["log_loss"]["mean"]) < 1e-6


def test_shows_a_table_and_what_may_be_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))
    assert run("train", model, *FEW, "--table-rows", 20) == 0
    text = capsys.readouterr().out
    assert "3,000 rows learnt, 2,000 test rows, seeds 0, 1" in text
    assert "best possible AUC of these rows" in text
    assert "base less split: " in text
    assert len(list((tmp_path / "cache" / "trained").iterdir())) == 1


def test_reads_the_test_rows_once_for_all_models(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    chunks = GeneratedLog.chunks
    monkeypatch.setattr(GeneratedLog, "chunks", lambda log, part, **own: read.append(part) or chunks(log, part, **own))
    assert run("train", model, *FEW, "--out", tmp_path / "out", "--json") == 0
    assert read.count("test") == 2  # one of them for a look at whether the part can be judged at all


FAR = "base is 0.050 of AUC below the best possible, so this says how far two trainings got"


@pytest.mark.parametrize(
    ("low", "high", "within", "short", "verdict"),
    [
        (-0.001, 0.002, True, 0.0, "no difference can be told from these rows"),
        (0.0001, 0.002, True, 0.009, "told by these rows, but smaller than base differs from seed to seed"),
        (0.0001, 0.002, False, 0.0, "more than base differs from seed to seed"),
        (0.0001, 0.002, False, 0.05, FAR),
    ],
)
def test_says_no_more_than_the_rows_allow(low: float, high: float, within: bool, short: float, verdict: str) -> None:
    figure = Figure(mean=0.0005, seeds=(0.0005,), interval=Interval(low=low, high=high))
    change = Change(first="base", second="split", figures={"accuracy": figure}, within_seed_spread={"accuracy": within})
    expected = f"base less split: 0.050 points of accuracy ({100 * low:.3f} to 0.200): {verdict}"
    assert sentence(change, short=short) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nothing"), "nothing"),
        (("--data", "generated:0"), "rows must be 1 to"),
        (("--data", "generated", "--seeds", 0), "seeds must be at least 1, not 0"),
        (("--data", "generated", "--table-rows", -1), "table-rows must be at least 1, not -1"),
        (("--data", "generated:100", "--precision", "half"), "precision must be auto, bfloat16, float32, not 'half'"),
        (("--data", "generated:100", "--epochs", 0), "epochs must be at least 1, not 0"),
    ],
)
def test_refuses_in_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: tuple, message: str
) -> None:
    assert run("train", model, "--out", tmp_path / "out", *arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_refuses_an_unknown_model(capsys: pytest.CaptureFixture) -> None:
    assert run("train", "rm9", "--data", "generated") == 2
    assert "model must be rm1, rm2, rm3, rm4, rm5, microrec-small" in capsys.readouterr().err
