"""Whole models of DLRM's form on their simulated engine: every score is the golden model's."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet import boards, search
from microduet.device import Device
from microduet.duet.engine_shape import whole_shape
from microduet.errors import InputError
from microduet.locate import locate
from microduet.planner.make import make
from microduet.presets import engine_config
from microduet_hw.config import EngineConfig, Precision
from tests.support.environment import require_tool
from tests.sw.duet.engines import SMALL, batch, whole
from tests.sw.duet.test_compile import BOARD


def small_engine(precision: str, board: str) -> EngineConfig:
    """Few multipliers, so that it is built soon; tables over four channels."""
    shape, card = whole_shape(SMALL), boards.find(board)
    chosen = search.search(shape, precision=Precision(precision), board=card, budget=48).chosen
    plan = make(shape, precision=Precision(precision), board=card, mode="spread").plan
    return engine_config(shape, precision=Precision(precision), arrays=chosen.arrays, plan=plan)


@pytest.fixture(scope="module", params=["fixed16", pytest.param("int8", marks=pytest.mark.nightly),
                                        pytest.param("fixed32", marks=pytest.mark.nightly)])  # fmt: skip
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    require_tool("verilator")
    folder: Path = tmp_path_factory.mktemp("whole")
    (folder / "four.toml").write_text(BOARD)
    board = str(folder / "four.toml")
    config = small_engine(request.param, board)
    bundle = md.compile(whole(SMALL).module, board=board, precision=request.param, config=config, out=folder / "bundle")
    with md.open(bundle) as opened:
        assert isinstance(opened, Device)
        yield opened


def test_every_score_is_the_golden_models_under_random_stalls(device: Device) -> None:
    sparse, dense = batch(SMALL, 150, seed=1)
    expected = device.bundle.golden().run(sparse, dense)
    device.set_stalls(0.2, seed=1)
    np.testing.assert_array_equal(device.infer(sparse, dense, raw=True), expected.logits)
    device.set_stalls(0.0, seed=1)
    np.testing.assert_array_equal(device.infer(sparse, dense), expected.scores)


def test_items_take_the_cycles_that_the_search_predicts_and_one_per_layer_at_most(device: Device) -> None:
    config = device.bundle.config
    sparse, dense = batch(SMALL, 150, seed=2)
    device.run(sparse, dense)
    board = device.bundle.manifest.board
    predicted = search.weigh(whole_shape(SMALL), config.arrays, precision=config.precision, board=board).cycles
    assert device.batch is not None
    turns = len(config.arrays[0].layers)  # these layers are of few steps: whose turn it is may be seen a cycle late
    assert predicted - 0.5 < device.batch.cycles_per_item < predicted + turns + 0.5


def test_nothing_is_found_where_nothing_is_wrong(device: Device) -> None:
    assert locate(device, *batch(SMALL, 1, seed=3)) is None


@pytest.mark.parametrize(("layer", "neuron"), [(0, 2), (1, 3), (2, 9)])
def test_a_changed_neuron_is_found_where_the_next_layer_reads_it(
    device: Device, layer: int, neuron: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = device.bundle.model
    changed = model.layers[layer]
    bias = changed.bias.copy()
    bias[neuron] += 1 << 30 if changed.multiplier is not None else 1 << (changed.shift + 15)
    layers = list(model.layers)
    layers[layer] = dataclasses.replace(changed, bias=bias)
    wrong = dataclasses.replace(device.bundle, model=dataclasses.replace(model, layers=tuple(layers)))
    monkeypatch.setattr(device, "bundle", wrong)
    fault = locate(device, *batch(SMALL, 1, seed=3))
    assert fault is not None
    features = device.bundle.shape.feature_elements if layer == 1 else 0
    assert (fault.layer, fault.element) == (layer + 1, features + neuron)


def test_refuses_items_without_their_dense_inputs(device: Device) -> None:
    sparse, _ = batch(SMALL, 3)
    with pytest.raises(InputError, match=r"dense must be float32 of shape \(3, 8\), not None"):
        device.infer(sparse)
    with pytest.raises(InputError, match="must be finite"):
        device.infer(sparse, np.full((3, 8), np.nan, np.float32))
