"""A trained split as edge unit and engine compute it: over the test part in integers, a sample in RTL."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from microduet.queries.golden import GoldenSystem
from microduet.queries.ranking import QueryStatus, Ranking
from microduet.train.gateware import GROUP, tops
from microduet.train.gateware_sample import CANDIDATES, run_sample
from tests.support.environment import require_tool
from tests.sw.command_line import run
from tests.sw.duet.test_shape import SMALL
from tests.sw.queries.systems import Small, small_system

RISING = np.arange(GROUP)


@pytest.mark.parametrize(
    ("floats", "logits", "same", "members"),
    [
        (RISING, RISING, 1, 1),
        (RISING, -RISING, 0, 0),
        (RISING, np.where(RISING == 99, 98, np.where(RISING == 98, 99, RISING)), 0, 1),
        (RISING, np.where(RISING == 99, -1, RISING), 0, 0.9),
        (RISING * 0, RISING * 0, 1, 1),
        (np.tile(RISING, 2), np.concatenate([RISING, -RISING]), 0.5, 0.5),
        (np.tile(RISING, 2)[:-1], np.concatenate([RISING, -RISING])[:-1], 1, 1),
        (RISING[:-1], RISING[:-1], None, None),
    ],
    ids=["same", "reversed", "two-swapped", "one-missing", "all-equal", "two-groups", "rest-left-out", "too-few"],
)
def test_ten_best_of_a_hundred_rows_are_compared(
    floats: np.ndarray, logits: np.ndarray, same: float | None, members: float | None
) -> None:
    assert tops(floats.astype(np.float32), logits.astype(np.int64)) == (same, members)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Small:
    require_tool("verilator")
    return small_system(tmp_path_factory.mktemp("gateware"))


def rows_of(system: Small, rng: np.random.Generator, *, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a log whose users' histories are of any length, none included."""
    shape = system.model.spec.shape
    sparse = np.concatenate(
        [rng.integers(0, shape.tables[f.table].rows, (count, f.lookups)) for f in shape.features], 1
    )
    for number in shape.user.features:
        columns = np.arange(sparse.shape[1])[shape.columns(number)]
        sparse[np.ix_(range(0, count, CANDIDATES), columns[rng.integers(0, len(columns)) :])] = -1
    return sparse, rng.normal(0, 1, (count, shape.dense)).astype(np.float32)


def test_rows_of_a_log_go_through_unit_and_engine_bit_for_bit(system: Small, rng: np.random.Generator) -> None:
    rows = rows_of(system, rng, count=3 * CANDIDATES + 1)
    found = run_sample(system.edge, system.engine, system.model, rows, progress=lambda *_: None)
    assert (found.queries, found.items, found.mismatches) == (3, 3 * CANDIDATES, 0)


def test_a_wrong_user_vector_is_a_mismatch(system: Small, rng: np.random.Generator) -> None:
    golden = GoldenSystem(system.edge, system.engine)
    request = system.question(5, rng)
    assert request.user is not None
    user = request.user.payload
    best = golden.best(user, request.sparse, top_k=3)
    right = Ranking(
        tags=best.tags,
        logits=best.logits,
        scores=(best.scores16 / 65536).astype(np.float32),
        status=QueryStatus.OK,
        payload=user,
    )
    assert not golden.differs(right, user, request.sparse, k=3)
    changes = (
        {"payload": user ^ 1},
        {"tags": best.tags[::-1]},
        {"logits": best.logits + 1},
        {"scores": right.scores / 2},
        {"status": QueryStatus.TIMEOUT},
        {"payload": None},
        {"own": np.zeros((5, 3), np.int64)},
    )
    for change in changes:
        assert golden.differs(dataclasses.replace(right, **change), user, request.sparse, k=3), change


@pytest.mark.nightly
def test_trained_weights_rank_in_rtl_as_in_the_golden_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require_tool("verilator")
    model = tmp_path / "small.json"
    model.write_bytes(SMALL.to_json())
    few = (
        "--data",
        "generated",
        "--rows",
        3000,
        "--test-rows",
        2000,
        "--seeds",
        1,
        "--replicates",
        20,
        "--gateware",
        3,
    )
    assert run("train", model, *few, "--out", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)["gateware"]
    assert (found["rows"], found["sample"], found["sample_items"], found["mismatches"]) == (2000, 3, 48, 0)
    assert abs(found["auc_integer"] - found["auc_float"]) < 0.01
    assert found["top_10_members"] > 0.8


def test_a_sample_of_a_model_that_is_not_split_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "small.json"
    model.write_bytes(SMALL.to_json())
    assert (
        run("train", model, "--data", "generated", "--split", "none", "--gateware", 1, "--out", tmp_path / "out") == 2
    )
    assert "--gateware needs --split duet, not none" in capsys.readouterr().err


def test_a_precision_without_engines_for_users_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--data", "generated", "--gateware", 1, "--engine-precision", "fixed32", "--out", tmp_path / "out")
    assert run("train", "rm1", *arguments) == 2
    assert "--engine-precision must be fixed16 or int8, not 'fixed32'" in capsys.readouterr().err
