"""A wrong score is traced to the operand in which it began."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet.device import Device
from microduet.locate import locate
from microduet.measure import compare
from microduet_hw.quantised import QuantisedModel
from tests.support.environment import require_tool
from tests.sw.cases import Mixed, batch


@pytest.fixture(
    scope="module",
    params=["fixed16", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("fixed32", "int8"))],
)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    require_tool("verilator")
    out: Path = tmp_path_factory.mktemp("locate") / "bundle"
    with md.open(md.compile(Mixed(), precision=request.param, out=out)) as opened:
        yield opened


def _with_layer(device: Device, layer: int, neuron: int) -> QuantisedModel:
    """The bundle's integers with one neuron's bias changed so much that every output of it is another."""
    model = device.bundle.model
    changed = model.layers[layer]
    bias = changed.bias.copy()
    bias[neuron] += 1 << 30 if changed.multiplier is not None else 1 << (changed.shift + 12)
    layers = list(model.layers)
    layers[layer] = dataclasses.replace(changed, bias=bias)
    return dataclasses.replace(model, layers=tuple(layers))


def _items(device: Device) -> tuple[np.ndarray, np.ndarray]:
    from microduet.trace import trace

    sparse, dense = batch(trace(Mixed()), 1)
    assert dense is not None
    return sparse, dense


def test_nothing_is_found_where_nothing_is_wrong(device: Device) -> None:
    assert locate(device, *_items(device)) is None


@pytest.mark.parametrize("neuron", [0, 23])
def test_a_changed_neuron_is_found_in_the_next_layers_input(
    device: Device, neuron: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = dataclasses.replace(device.bundle, model=_with_layer(device, 0, neuron))
    monkeypatch.setattr(device, "bundle", wrong)
    fault = locate(device, *_items(device))
    assert fault is not None
    assert (fault.layer, fault.element) == (1, neuron)
    assert fault.expected != fault.actual
    assert f"layer 1, input {neuron}" in str(fault)


def test_a_wrong_id_is_found_in_the_first_layers_input(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse, dense = _items(device)
    other = sparse.copy()
    other[0, 1] += 1
    right = device.bundle.golden().run(other, dense)
    monkeypatch.setattr("microduet.golden.Golden.run", lambda *_: right)
    fault = locate(device, sparse, dense)
    assert fault is not None
    assert fault.layer == 0


def test_a_mismatch_names_item_values_and_status(device: Device) -> None:
    sparse, dense = _items(device)
    result = device.run(sparse, dense)
    wrong = dataclasses.replace(result, logits=result.logits + 1)
    (mismatch,), count = compare(device.bundle, wrong, sparse, dense)
    assert count == 1
    assert mismatch.actual == mismatch.expected + 1
    assert f"item 0: logit expected {mismatch.expected}" in str(mismatch)
