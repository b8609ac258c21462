"""The bench of an engine that ranks for users: what it measures, and that it sees a wrong result."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import microduet as md
from microduet import timing
from microduet.measure import Job
from microduet.queries.device import QueryDevice
from microduet.queries.engine_bench import QUERIES, measure_users
from microduet.queries.questions import Reply
from microduet.shape import ModelShape
from tests.support.environment import require_tool
from tests.sw.duet.engines import SMALL, split_model
from tests.sw.duet.test_compile import BOARD
from tests.sw.queries.systems import small_config

ITEMS = 64


@pytest.fixture(scope="module", params=["duet", "exact"])
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryDevice]:
    require_tool("verilator")
    folder: Path = tmp_path_factory.mktemp("engine")
    (folder / "four.toml").write_text(BOARD)
    board, model = str(folder / "four.toml"), split_model(SMALL, request.param)
    bundle = md.compile(model, board=board, config=small_config(board, split=request.param), out=folder / "engine")
    with QueryDevice(bundle) as opened:
        yield opened


def test_results_are_the_golden_models_and_come_as_fast_as_the_arrays_allow(device: QueryDevice) -> None:
    config = device.bundle.config
    found = measure_users(Job(bundle=device.bundle, items=ITEMS), device)
    figures = found.figures
    assert (figures["mismatches"], found.mismatches) == (0, [])
    assert (figures["items"], figures["queries"]) == (ITEMS, QUERIES)
    assert figures["macs_per_item"] == sum(layer.inputs * layer.outputs for layer in config.hidden)
    assert config.user is not None
    assert figures["user_multipliers"] == config.user.multipliers
    least = timing.Estimate(ModelShape.of(config), arrays=config.arrays, precision=config.precision).cycles_per_item()
    assert float(str(figures["cycles_per_item"])) >= least
    assert float(str(figures["idle_latency_cycles"])) > float(str(figures["lookup_latency_ns"])) * 0.12


def test_progress_ends_with_all_items(device: QueryDevice) -> None:
    told: list[tuple[str, int, int]] = []
    measure_users(Job(bundle=device.bundle, items=3), device, progress=lambda *what: told.append(what))
    last = {what: (done, of) for what, done, of in told}
    assert last == {"saturated": (3, 3), "idle": (3, 3)}


@pytest.mark.parametrize("wrong", ["own", "logits", "tags"])
def test_one_wrong_result_is_named(device: QueryDevice, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    correct, batches = QueryDevice.ask, itertools.count()

    def changed(opened: QueryDevice, *arguments: object, **options: object) -> list[Reply]:
        replies = correct(opened, *arguments, **options)  # type: ignore[arg-type]
        if next(batches) == 0:
            values = getattr(replies[1], wrong).copy()
            values[(2, 0) if wrong == "own" else 2] += 1
            replies[1] = dataclasses.replace(replies[1], **{wrong: values})
        return replies

    monkeypatch.setattr(QueryDevice, "ask", changed)
    found = measure_users(Job(bundle=device.bundle, items=ITEMS), device)
    assert found.figures["mismatches"] == 1
    (one,) = found.mismatches
    assert one.expected + 1 == one.actual
    assert one.item == ITEMS // QUERIES + (2 if wrong == "own" else 0)
    assert one.what == {"own": "logit", "logits": "logits of best item 2", "tags": "tags of best item 2"}[wrong]
