"""Trainings that end, stop early, are interrupted, and what is kept of them."""

import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from microduet.duet.split import SplitName
from microduet.duet.zoo import DlrmModelSpec, split_of
from microduet.errors import CheckpointError, InputError, TrainingError
from microduet.train import run as module
from microduet.train.checkpoint import load_model, read_checkpoint, write_checkpoint
from microduet.train.run import Settings, Trained, Training, checkpoint_path
from tests.sw.duet.test_shape import SMALL
from tests.sw.train.logs import Log, small_log

SETTINGS = Settings(rows=4000, batch=128, points=4, validation_rows=500)


def spec(split: SplitName = "none", seed: int = 0) -> DlrmModelSpec:
    return DlrmModelSpec(shape=SMALL, split=split_of(SMALL, split), seed=seed)


def trained(folder: Path, *, log: Log | None = None, settings: Settings = SETTINGS, seed: int = 0) -> Trained:
    own = spec(seed=seed)
    training = Training(own, log or small_log(train=4000), settings, checkpoint_path(folder, own))
    return training.run(lambda *_: None)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)[1]["model"]


def same(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return all(torch.equal(one[name], other[name]) for name in one | other)


def test_ends_with_the_best_weights_and_nothing_else_in_the_folder(tmp_path: Path) -> None:
    result = trained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["small-base-0.pt"]
    found = result.description
    assert found.finished
    assert [point.rows for point in found.curve] == [1024, 2048, 3072, 4000]
    assert found.curve[-1].log_loss < found.curve[0].log_loss
    chunk = small_log(train=4000).whole("validation")[:500]
    scores = load_model(result.path)(torch.from_numpy(chunk.sparse), torch.from_numpy(chunk.dense)).detach().numpy()
    best = min(found.curve, key=lambda point: point.log_loss)
    assert -np.log(np.where(chunk.labels, scores, 1 - scores)).mean() == pytest.approx(best.log_loss, abs=1e-5)


def test_a_finished_training_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained(tmp_path)
    monkeypatch.setattr(module, "ahead", None)
    again = trained(tmp_path)
    assert again.description == first.description
    assert torch.equal(again.learner.tables.widths[0].weight, first.learner.tables.widths[0].weight)


@pytest.mark.parametrize("interrupted_at", [1, 12, 30])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted_at: int
) -> None:
    whole = trained(tmp_path / "whole")
    step, steps = module.Learner.step, iter(range(10**6))

    def interrupted(*args, **kwargs) -> float:
        if next(steps) == interrupted_at:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module.Learner, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "cut")
    resumed = trained(tmp_path / "cut")
    assert resumed.description == whole.description
    assert same(resumed.path, whole.path)


def test_stops_when_validation_gets_no_better(tmp_path: Path) -> None:
    settings = SETTINGS.replace(rows=1000, epochs=40, points=40, patience=2)
    found = trained(tmp_path, log=small_log(train=1000), settings=settings).description
    losses = [point.log_loss for point in found.curve]
    assert len(losses) < 40
    assert min(losses) == losses[-3]


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    paths = [trained(tmp_path / name, seed=seed).path for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert same(paths[0], paths[1])
    assert not same(paths[0], paths[2])


@pytest.mark.parametrize("change", [{"rows": 3000}, {"batch": 64}, {"epochs": 2}])
def test_refuses_a_checkpoint_of_another_training(tmp_path: Path, change: dict) -> None:
    trained(tmp_path)
    with pytest.raises(CheckpointError, match=r"small-base-0.pt: is of another training \(small, seed 0\); remove it"):
        trained(tmp_path, settings=SETTINGS.replace(**change))


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_refuses_a_part_of_a_checkpoint(tmp_path: Path, kept: float) -> None:
    path = trained(tmp_path).path
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 else int(kept)])
    with pytest.raises(CheckpointError, match="is no whole checkpoint"):
        load_model(path)


class Evil:
    def __reduce__(self) -> tuple:
        return print, ("executed",)


def pickled(value: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


@pytest.mark.parametrize("whole", [torch.save, pickled])
def test_executes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture, whole: Callable) -> None:
    path = tmp_path / "evil.pt"
    whole({"description": "{}", "tensors": Evil()}, path)
    with pytest.raises(CheckpointError, match=r"evil.pt: is no whole checkpoint"):
        load_model(path)
    assert capsys.readouterr().out == ""


def test_refuses_other_formats_and_other_files(tmp_path: Path) -> None:
    path = trained(tmp_path).path
    description, tensors = read_checkpoint(path)
    write_checkpoint(path, description.replace(format=2), tensors)
    with pytest.raises(CheckpointError, match="checkpoint format must be 1, not 2"):
        load_model(path)
    torch.save({"state": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="is no checkpoint of this program"):
        load_model(path)
    torch.save({"description": msgspec.json.encode({"format": 1}).decode(), "tensors": {}}, path)
    with pytest.raises(CheckpointError, match=r"Object missing required field `spec`"):
        load_model(path)
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        load_model(tmp_path / "none.pt")


def test_refuses_weights_of_another_model_and_unfinished_ones(tmp_path: Path) -> None:
    path = trained(tmp_path).path
    description, tensors = read_checkpoint(path)
    write_checkpoint(path, description.replace(spec=spec("duet")), tensors)
    with pytest.raises(CheckpointError, match="its weights are of another model than its description"):
        load_model(path)
    write_checkpoint(path, description.replace(finished=False), tensors)
    with pytest.raises(CheckpointError, match=r"the training is not over \(4,000 rows\)"):
        load_model(path)


def test_leaves_the_old_checkpoint_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trained(tmp_path).path
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        write_checkpoint(path, *read_checkpoint(path))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["rows", "epochs", "batch", "points", "validation_rows", "patience"])
def test_refuses_settings_below_one(name: str) -> None:
    with pytest.raises(TrainingError, match=f"{name} must be at least 1, not 0"):
        SETTINGS.replace(**{name: 0})


def test_refuses_more_rows_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="log: 4,000 rows are wanted, but there are 10"):
        trained(tmp_path, log=small_log(train=10))


def test_refuses_validation_rows_of_one_class(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="labels of both classes are needed, but all 1 are"):
        trained(tmp_path, log=small_log(train=4000, validation=1))
