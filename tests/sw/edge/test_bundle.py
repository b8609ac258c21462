"""An edge unit's bundle: what is written is what is read, and what is damaged is named."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microduet.edge.bundle import FORMAT, EdgeBundle, is_edge_bundle, write_bundle
from microduet.edge.compile import compile_edge
from microduet.errors import BundleError, InputError, ModelError
from microduet_hw.edge.model import EdgeModel
from tests.sw.duet.users import quantised, split_model
from tests.sw.edge.units import bundle


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(bundle().path, tmp_path / "copy")


def test_what_is_written_is_read_again() -> None:
    _, config, user = quantised("small")
    written = bundle()
    assert written.config == config
    for name in ("static", "dynamic", "top"):
        for one, other in zip(getattr(written.model, name), getattr(user.model, name), strict=True):
            np.testing.assert_array_equal(one.weights, other.weights)
            np.testing.assert_array_equal(one.bias, other.bias)
            assert (one.relu, one.shift, one.output_zero_point) == (other.relu, other.shift, other.output_zero_point)


def test_versions_differ_when_anything_in_the_user_vector_does(tmp_path: Path) -> None:
    one, other = bundle(), compile_edge(split_model("small", seed=1), out=tmp_path / "other")
    again = write_bundle(tmp_path / "again", name="small", config=one.config, model=one.model, scales=one.scales)
    assert again.model.version == one.model.version != other.model.version


def with_last_layer(model: EdgeModel, **changes: Any) -> EdgeModel:
    return dataclasses.replace(model, top=(*model.top[:-1], dataclasses.replace(model.top[-1], **changes)))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: {"model": dataclasses.replace(one.model, zero_point=one.model.zero_point ^ 1)},
        lambda one: {"model": with_last_layer(one.model, output_zero_point=7)},
        lambda one: {"model": with_last_layer(one.model, relu=not one.model.top[-1].relu)},
        # The same weights, but entries and inputs of another unit of measure.
        lambda one: {"scales": one.scales.replace(element=one.scales.element - 1)},
        lambda one: {"scales": one.scales.replace(context=one.scales.context - 1)},
    ],
)
def test_versions_differ_when_only_a_zero_point_or_a_scale_does(change: Any, tmp_path: Path) -> None:
    one = bundle()
    contents = {"config": one.config, "model": one.model, "scales": one.scales} | change(one)
    assert write_bundle(tmp_path / "other", name="small", **contents).model.version != one.model.version


@pytest.mark.parametrize("name", ["version", "zero_point", "scales"])
def test_a_manifest_that_was_edited_is_refused(copy: Path, name: str) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest[name] = {"element": 3} if name == "scales" else manifest[name] ^ 1
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"manifest.json: version .* is not that of the bundle's contents"):
        EdgeBundle.read(copy)


@pytest.mark.parametrize("size", [0, 2, 100, -1])
def test_weights_that_end_early_are_named_without_their_hash(copy: Path, size: int) -> None:
    (copy / "weights.npz").write_bytes((copy / "weights.npz").read_bytes()[:size])
    with pytest.raises(BundleError, match=r"weights.npz: cannot be read"):
        EdgeBundle.read(copy, verify=False)


def test_a_file_outside_the_bundle_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["../weights.npz"] = manifest["files"]["weights.npz"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"'../weights.npz' lies outside the bundle"):
        EdgeBundle.read(copy)


def test_an_engines_bundle_is_not_one(tmp_path: Path) -> None:
    assert is_edge_bundle(bundle().path)
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    assert not is_edge_bundle(tmp_path)
    assert not is_edge_bundle(tmp_path / "nothing")


@pytest.mark.parametrize("file", ["config.json", "weights.npz"])
def test_a_changed_file_is_named(copy: Path, file: str) -> None:
    (copy / file).write_bytes((copy / file).read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"{file}: SHA-256 must be"):
        EdgeBundle.read(copy)


@pytest.mark.parametrize("file", ["manifest.json", "config.json", "weights.npz"])
def test_a_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(BundleError, match=file):
        EdgeBundle.read(copy)


def test_a_manifest_of_another_format_is_refused(copy: Path) -> None:
    text = (copy / "manifest.json").read_text().replace(f'"format": {FORMAT}', '"format": 9')
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=f"bundle format must be {FORMAT}, not 9"):
        EdgeBundle.read(copy)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3), "an entry of history 0 .* must have .* elements, not 3"),
        (np.full(1000, np.nan), "must have|must be finite"),
        ("abc", "must be .* numbers"),
    ],
)
def test_an_entry_that_is_none_is_refused(values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bundle().entry(0, values)  # type: ignore[arg-type]


def test_a_number_that_is_not_finite_is_placed() -> None:
    values = np.zeros(bundle().config.histories[0].elements)
    values[2] = np.inf
    with pytest.raises(InputError, match="must be finite, but element 2 is not"):
        bundle().entry(0, values)


def test_values_beyond_the_scale_saturate() -> None:
    elements = bundle().config.histories[0].elements
    for value in (1e30, 1e308):
        assert set(bundle().entry(0, np.full(elements, value))) == {(1 << 31) - 1}
        assert set(bundle().entry(0, np.full(elements, -value))) == {-(1 << 31)}


@pytest.mark.parametrize("name", ["rm9-edge", "microrec-small", "edge"])
def test_an_unknown_unit_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(ModelError, match="rm1-edge, rm2-edge, rm3-edge, rm4-edge, rm5-edge"):
        compile_edge(name)
