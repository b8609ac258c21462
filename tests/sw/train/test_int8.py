"""A trained split in integers: the same as an edge unit's, from the same checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch

import microduet as md
from microduet.duet import zoo
from microduet.duet.configure import edge_config
from microduet.duet.golden import GoldenUser
from microduet.duet.quantise import entries
from microduet.duet.quantise_item import items_of
from microduet.duet.shape import DlrmShape
from microduet.errors import InputError, ModelError
from microduet.models import SplitModel
from microduet.train.batches import Batch
from microduet.train.checkpoint import load_items, load_model, load_users, read_checkpoint, write_checkpoint
from microduet.train.int8 import Int8Scores, calibration, log_items, score_all, users_of
from microduet.train.metrics import metrics
from microduet.train.run import Settings, Trained, Training
from tests.sw.duet.test_shape import SMALL
from tests.sw.train.logs import Log, schema_of, small_log

RM5 = zoo.shape_of("rm5").with_rows(100).replace(name="rm5-few")


def trained(folder: Path, shape: DlrmShape = SMALL, split: str = "duet") -> tuple[Trained, Log]:
    counts = {"train": 4000, "validation": 500, "test": 2000}
    log = small_log(**counts) if shape is SMALL else Log(schema_of(shape), counts)
    own = zoo.split_of(zoo.shape_of("rm5"), "duet") if shape is RM5 else zoo.split_of(shape, split)  # type: ignore[arg-type]
    spec = zoo.DlrmModelSpec(shape=shape, split=own)
    return Training(spec, log, Settings(rows=4000, batch=256, points=2), folder / "model.pt").run(lambda *_: None), log


def int8(result: Trained, log: Log) -> Int8Scores:
    model = result.learner.model
    assert isinstance(model, SplitModel)
    return Int8Scores(model, result.learner.tables, calibration(model, log, result.source.hashing))


@pytest.mark.parametrize("shape", [SMALL, RM5], ids=["small", "rm5"])
def test_payloads_are_the_edge_units_of_the_same_histories(tmp_path: Path, shape: DlrmShape) -> None:
    result, log = trained(tmp_path, shape)
    own, model = int8(result, log), result.learner.model
    assert isinstance(model, SplitModel)
    batch = next(result.source.batches("test", first=0, count=40, train=False))
    chunk = log.whole("test")[:40]
    users, scale = users_of(model, chunk.sparse, chunk.dense), own.quantised
    static = None if scale.static is None else scale.static.input.integers(users.static)  # type: ignore[arg-type]
    context = None if scale.dynamic is None else scale.dynamic.input.integers(users.context)  # type: ignore[arg-type]
    golden = GoldenUser(config=edge_config(model.spec.shape, model.split), model=scale.model)
    expected = golden.run(entries(model, scale, users.sparse), static, context).payload
    assert np.array_equal(own.payload(batch), expected)
    assert expected.std() > 0


def test_integers_rank_nearly_as_the_float_model(tmp_path: Path) -> None:
    result, log = trained(tmp_path)
    learner, integers = result.learner, int8(result, log)

    def scorer(batch: Batch) -> dict[str, np.ndarray]:
        sums = learner.tables.sums(batch.bags)
        return {"split": learner.score(batch, sums=sums), "int8": integers.score(batch, sums)}

    scores, labels = score_all(result.source.batches("test", first=0, count=2000, train=False), [scorer], 2000)
    assert np.array_equal(labels, log.whole("test").labels)
    assert 0 < np.abs(scores["split"] - scores["int8"]).mean() < 0.01  # values beyond the users' ranges are cut
    assert abs(metrics(scores["split"], labels).auc - metrics(scores["int8"], labels).auc) < 0.005


def test_a_checkpoint_compiles_to_the_very_integers_that_were_judged(tmp_path: Path) -> None:
    result, log = trained(tmp_path)
    bundle = md.compile_edge(str(result.path), out=tmp_path / "bundle")
    found, expected = bundle.model.top, int8(result, log).quantised.model.top
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(found, expected, strict=True))
    assert bundle.model.payload_scale == int8(result, log).quantised.model.payload_scale


def test_a_loaded_model_has_its_users(tmp_path: Path) -> None:
    result, log = trained(tmp_path)
    model, users = load_model(result.path), load_users(result.path)
    assert isinstance(model, SplitModel)
    assert users is not None
    expected = calibration(model, log, result.source.hashing)
    assert np.array_equal(users.sparse, expected.sparse)
    assert users.sparse.shape[0] == 512
    items = load_items(result.path)
    assert items is not None
    assert np.array_equal(items, log_items(model, log.whole("train").sparse[:2048]))


@pytest.mark.parametrize(("shown", "cut"), [(True, True), (False, False)])
def test_a_checkpoints_own_items_show_the_ranges_of_its_engine(tmp_path: Path, shown: bool, cut: bool) -> None:
    """With items of small weights alone the scales are fine, and what is larger is cut."""
    result, log = trained(tmp_path)
    description, tensors = read_checkpoint(result.path)
    model = load_model(result.path)
    assert isinstance(model, SplitModel)
    for number in model.spec.shape.item_features:
        tensors["model"][f"embeddings.tables.{model.spec.shape.features[number].table}.weight"][0] = 1e-3
    items = {"items": torch.zeros_like(tensors["items"])} if shown else {}
    kept = {name: value for name, value in tensors.items() if name != "items"}
    write_checkpoint(tmp_path / "small.pt", description, kept | items)
    golden = md.compile(str(tmp_path / "small.pt"), out=tmp_path / "bundle").golden()
    rows = log_items(model, log.whole("test").sparse[:200])
    found = golden.run(rows, users=np.zeros((200, model.split.user_top[-1]), np.uint8))
    assert (found.saturations[0] > 0) == cut


def test_a_whole_models_checkpoint_is_an_engine_but_no_edge_unit(tmp_path: Path) -> None:
    result, log = trained(tmp_path, split="none")
    assert load_users(result.path) is None
    with pytest.raises(ModelError, match=r"model.pt: an edge unit computes a duet split, not the whole model"):
        md.compile_edge(str(result.path))
    bundle = md.compile(str(result.path), out=tmp_path / "bundle")
    chunk = log.whole("test")[:200]
    known = (chunk.sparse >= 0).all(axis=1)
    dense = None if chunk.dense is None else chunk.dense[known]
    found = bundle.golden().run(chunk.sparse[known], dense)
    with torch.no_grad():
        given = None if dense is None else torch.from_numpy(dense)
        expected = load_model(result.path)(torch.from_numpy(chunk.sparse[known]), given).numpy()
    assert known.sum() > 20
    assert np.abs(found.scores - expected).max() < 0.01


def test_a_splits_checkpoint_is_an_engine_for_its_own_edge_unit(tmp_path: Path) -> None:
    result, log = trained(tmp_path)
    edge = md.compile_edge(str(result.path), out=tmp_path / "edge")
    bundle = md.compile(str(result.path), user=edge, out=tmp_path / "bundle")
    assert bundle.user is not None
    assert bundle.user.version == edge.manifest.version
    model = load_model(result.path)
    assert isinstance(model, SplitModel)
    own, rows = int8(result, log), log.whole("test")[:200]
    batch = next(result.source.batches("test", first=0, count=200, train=False))
    found = bundle.golden().run(items_of(model, rows.sparse), users=own.payload(batch))
    expected = own.score(batch, result.learner.tables.sums(batch.bags))
    assert np.abs(found.scores - expected).max() < 0.01


def test_refuses_sums_of_another_width(tmp_path: Path) -> None:
    result, log = trained(tmp_path)
    own, model = int8(result, log), result.learner.model
    golden = GoldenUser(config=edge_config(SMALL, model.split), model=own.quantised.model)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"sums must be \(2, 6\), not \(2, 5\)"):
        golden.run_sums(np.zeros((2, 5), np.int64))
