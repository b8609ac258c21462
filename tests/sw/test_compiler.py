"""Bundles: what they hold, that they are reproducible, and how damage is found."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import microduet as md
from microduet import boards, bundle_files, zoo
from microduet.bundle import Bundle
from microduet.errors import BundleError, InputError, MicroduetError, ModelError
from microduet.measure import costs, search_result
from microduet.presets import compile_config
from microduet.quantise import quantise
from microduet.trace import trace
from microduet_hw.config import Precision
from tests.sw.cases import Mixed, batch, quantised_tables
from tests.sw.plans import BOARD


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("precision", list(Precision))
def test_bundle_holds_the_quantised_model(tmp_path: Path, precision: Precision) -> None:
    module = Mixed()
    bundle = md.compile(module, precision=precision, out=tmp_path / "b")
    model = trace(module)
    quantised = quantise(model, precision=precision)
    for read, made in zip(bundle.model.layers, quantised.model.layers, strict=True):
        np.testing.assert_array_equal(read.weights, made.weights)
        np.testing.assert_array_equal(read.bias, made.bias)
        assert (read.relu, read.shift) == (made.relu, made.shift)
        assert (read.input_zero_point, read.output_zero_point) == (made.input_zero_point, made.output_zero_point)
        if made.multiplier is not None:
            np.testing.assert_array_equal(read.multiplier, made.multiplier)
    assert bundle.model.logit_fraction == quantised.model.logit_fraction
    assert bundle.input == quantised.input
    assert bundle.plan.sources == bundle.config.sources
    for feature, table in enumerate(quantised_tables(model, quantised)):
        if isinstance(table, np.ndarray):
            np.testing.assert_array_equal(bundle.rows(feature, 3, 20), table[3:23])
        else:
            np.testing.assert_array_equal(bundle.rows(feature, 3, 20), bundle.input.generated(table, np.arange(3, 23)))


def test_a_bundle_knows_the_board_that_a_file_described(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(BOARD)
    bundle = md.compile(Mixed(), board=str(file), out=tmp_path / "b")
    described = boards.find(str(file))
    file.unlink()
    assert bundle.manifest.board == described
    assert costs(bundle)["bram36"] <= described.bram36
    assert search_result(bundle).chosen.resources.fit(described)


def test_golden_of_a_bundle_scores_like_the_module(tmp_path: Path) -> None:
    module = Mixed()
    sparse, dense = batch(trace(module), 50)
    assert dense is not None
    bundle = md.compile(module, out=tmp_path / "b")
    with torch.no_grad():
        expected = module(torch.from_numpy(sparse), torch.from_numpy(dense)).numpy()[:, 0]
    np.testing.assert_allclose(bundle.golden().run(sparse, dense).scores, expected, atol=2e-3)


def files(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in sorted(path.rglob("*")) if f.is_file()}


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    a, b = (md.compile(Mixed(), precision="int8", out=tmp_path / name) for name in "ab")
    assert files(a.path) == files(b.path)


def test_stored_and_generated_tables_hold_the_same_rows(tmp_path: Path) -> None:
    shape = zoo.find("microrec-small").shape
    features = tuple(f.replace(rows=min(f.rows, 4000)) for f in shape.features)
    spec = zoo.ZooModel(shape=shape.replace(features=features), seed=3)
    a = md.compile(spec, out=tmp_path / "a")
    b = md.compile(spec.replace(tables="dense"), out=tmp_path / "b")
    sparse, _ = batch(trace(md.models.build(spec)), 30)
    assert a.golden().run(sparse).logits.tolist() == b.golden().run(sparse).logits.tolist()
    assert len(files(b.path)) == len(files(a.path)) + len(features)


def test_one_module_in_two_places_is_stored_once(tmp_path: Path) -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = torch.nn.Embedding(9, 4), torch.nn.Linear(8, 1)

        def forward(self, sparse: torch.Tensor) -> torch.Tensor:
            return self.out(torch.cat([self.table(sparse[:, 0]), self.table(sparse[:, 1])], 1))

    bundle = md.compile(Twice(), out=tmp_path / "b")
    assert [name for name in bundle.manifest.files if name.endswith(".npy")] == ["tables/000.npy"]


def test_zoo_is_compiled_once_and_then_read_without_torch(tmp_path: Path) -> None:
    first = md.compile("rmc2-8", precision="int8")
    assert first.path.is_relative_to(tmp_path / "cache")
    script = (
        "import sys, microduet as md; bundle = md.compile('rmc2-8', precision='int8'); "
        "assert 'torch' not in sys.modules; print(bundle.path)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(first.path)


def test_different_targets_have_different_folders() -> None:
    paths = {
        md.compile(model, precision=precision, config=config).path
        for model in (zoo.find("rmc2-8"), zoo.find("rmc2-8", seed=1))
        for precision in ("fixed16", "int8")
        for config in (None, "microrec-paper")
    }
    assert len(paths) == 8


def test_own_module_is_cached_by_its_contents() -> None:
    paths = [md.compile(Mixed(seed=seed)).path for seed in (0, 0, 1)]
    assert paths[0] == paths[1] != paths[2]


def test_takes_a_factory_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tests.sw.cases import Mixed\ndef make():\n    return Mixed()\n")
    assert md.compile(f"{tmp_path}/mine.py:make").config == md.compile(Mixed()).config


def test_takes_a_whole_configuration(tmp_path: Path) -> None:
    model = trace(Mixed())
    config = compile_config(model.shape).replace(name="mine", vector_slots=8)
    bundle = md.compile(model, config=config, out=tmp_path / "b")
    assert bundle.config == config
    assert bundle.plan.sources == config.sources


Damage = Callable[[Path], object]


def edit(name: str, old: str, new: str) -> Damage:
    return lambda path: (path / name).write_text((path / name).read_text().replace(old, new, 1))


DAMAGE: list[tuple[Damage, str]] = [
    (lambda path: (path / "weights.npz").write_bytes(b"x"), r"weights.npz: SHA-256 must be \w+\.\.\., not"),
    (lambda path: (path / "weights.npz").unlink(), "weights.npz: cannot be read: No such file"),
    (lambda path: (path / "tables/000.npy").write_bytes(b""), "tables/000.npy: SHA-256 must be"),
    (lambda path: (path / "manifest.json").unlink(), "manifest.json: no such file: not a bundle"),
    (lambda path: (path / "manifest.json").write_text("{"), "manifest.json: cannot be read"),
    (edit("manifest.json", '"format": 3', '"format": 2'), "bundle format must be 3, not 2"),
    (edit("manifest.json", '"tables/000.npy"', '"../../x.npy"'), "neither a rule nor a file of this bundle"),
    (edit("manifest.json", '"tables/000.npy":', '"../../x.npy":'), "lies outside the bundle"),
    (edit("config.json", "120", "121"), "config.json: SHA-256 must be"),
    (edit("manifest.json", '"config_digest": "', '"config_digest": "0'), "config.json: is not the configuration"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=range(len(DAMAGE)))
def test_damage_is_found_and_the_file_named(tmp_path: Path, damage: Damage, message: str) -> None:
    md.compile(Mixed(), out=tmp_path / "b")
    damage(tmp_path / "b")
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.read(tmp_path / "b")
    assert "\n" not in str(caught.value)


def test_reading_executes_nothing(tmp_path: Path) -> None:
    """A table file with a pickled object is refused even if its hash fits."""
    path = md.compile(Mixed(), out=tmp_path / "b").path
    np.save(path / "tables/000.npy", np.array([print]), allow_pickle=True)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"]["tables/000.npy"] = bundle_files.file_digest(path / "tables/000.npy")
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"000\.npy: cannot be read"):
        Bundle.read(path)


def test_a_failed_compilation_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez", full)
    with pytest.raises(BundleError, match="b: cannot be written: No space left on device"):
        md.compile(Mixed(), out=tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_replaces_a_bundle_but_nothing_else(tmp_path: Path) -> None:
    md.compile(Mixed(seed=1), out=tmp_path / "b")
    again = md.compile(Mixed(seed=2), out=tmp_path / "b")
    assert files(again.path) != {}
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("kept")
    with pytest.raises(BundleError, match="mine: exists and is not a bundle; it is left alone"):
        md.compile(Mixed(), out=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"precision": "float"}, ModelError, "precision must be fixed16, fixed32, int8, not 'float'"),
        ({"board": "vu9p"}, MicroduetError, "board must be u280, u55c or a .toml file, not 'vu9p'"),
        ({"config": "none"}, MicroduetError, "config must be default or microrec-paper, not 'none'"),
        ({"calibration": (np.zeros((0, 6), np.int64), None)}, InputError, "at least one item"),
        ({"config": compile_config(zoo.find("rmc2-8").shape)}, ModelError, "is of another model than Mixed"),
        (
            {"config": compile_config(trace(Mixed()).shape), "precision": "int8"},
            ModelError,
            "is for fixed16, not int8",
        ),
    ],
)
def test_refuses_bad_arguments(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        md.compile(Mixed(), **arguments)


def test_import_is_light() -> None:
    script = "import sys, microduet; assert not {'torch', 'amaranth', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        md.__getattr__("nothing")
