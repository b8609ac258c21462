"""One training from first weights to a checkpoint: curve, early stop, resumption."""

import dataclasses
import math
from pathlib import Path

import torch

from microduet.data.schema import DataSet
from microduet.duet import zoo
from microduet.errors import CheckpointError, TrainingError
from microduet.models.split import SplitModel
from microduet.progress import Steps
from microduet.train.batches import Source, ahead
from microduet.train.checkpoint import SUFFIX, Description, Point, Tensors, read_checkpoint, restore, write_checkpoint
from microduet.train.int8 import calibration, calibration_items
from microduet.train.learner import Learner
from microduet.train.metrics import metrics
from microduet.train.shapes import Hashing
from microduet.train.threads import threads_for, using_threads
from microduet_hw.config import Frozen

LOOKUPS_AT_ONCE = 1 << 21
"""Of a batch: what is kept per batch stays under 100 MB."""

LAST_SCALE = 0.01
"""Of the rates at the end of a training, over those at its start; they fall along a cosine."""


class Settings(Frozen, frozen=True, kw_only=True):
    """Everything besides model, log and seed that trained weights depend on.

    Parameters
    ----------
    rows : of the log's training part, from its start
    epochs : times they are learnt
    batch : rows of a step; fewer for models of very many lookups
    points : of the learning curve; at each the validation rows are scored and a checkpoint is written
    validation_rows : at most so many
    patience : points without a better validation log-loss after which the training ends
    """

    rows: int
    epochs: int = 1
    batch: int = 256
    points: int = 8
    validation_rows: int = 20_000
    patience: int = 3
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("rows", "epochs", "batch", "points", "validation_rows", "patience"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """A model with its best weights, and how it came to them."""

    learner: Learner
    source: Source
    description: Description
    path: Path


class Training:
    """A training of `spec` on `data` whose state is kept in `path` (the best weights) and beside it.

    Parameters
    ----------
    path : of the checkpoint, ending in .pt
    """

    def __init__(self, spec: zoo.DlrmModelSpec, data: DataSet, settings: Settings, path: Path) -> None:
        if settings.rows > data.rows("train"):
            raise TrainingError(f"{data.schema.name}: {settings.rows:,} rows are wanted, but there are "
                                f"{data.rows('train'):,}")  # fmt: skip
        self._data, self._settings, self._path = data, settings, path
        self._state = path.with_suffix(f".state{SUFFIX}")
        hashing = Hashing(spec.shape, data.schema)
        self._learner = Learner(spec, precision=settings.precision)
        batch = max(1, min(settings.batch, LOOKUPS_AT_ONCE // spec.shape.lookups))
        self._source = Source(data=data, tables=self._learner.tables, hashing=hashing, batch=batch, seed=spec.seed)
        own = {name: getattr(settings, name) for name in Settings.__struct_fields__}
        self._description = Description(
            spec=spec.replace(tables="dense"), schema=data.schema, settings=own | {"precision": self._learner.precision}
        )

    def run(self, progress: Steps) -> Trained:
        """Train to the end, from where an earlier call was interrupted; a finished training is only read."""
        if not self._read():
            with using_threads(threads_for(self._learner.spec.shape, self._source.batch)):
                self._learn(progress)
            self._restore(self._path)
            self._write(self._path, {"model": self._learner.model.state_dict(), **self._shown()}, finished=True)
            self._state.unlink(missing_ok=True)
        return Trained(learner=self._learner, source=self._source, description=self._description, path=self._path)

    def _shown(self) -> Tensors:
        """Users and items of the log, which show the ranges of a split model's parts to the compiler."""
        model = self._learner.model
        if not isinstance(model, SplitModel):
            return {}
        users = calibration(model, self._data, self._source.hashing)
        arrays = {"sparse": users.sparse, "static": users.static, "context": users.context}
        return {
            "users": {name: torch.from_numpy(array) for name, array in arrays.items() if array is not None},
            "items": torch.from_numpy(calibration_items(model, self._data, self._source.hashing)),
        }

    def _read(self) -> bool:
        """Whether the training is over; resumes it if it was interrupted."""
        for path in (self._path, self._state):
            if path.exists():
                found, _ = read_checkpoint(path)
                if not self._description.same_training(found):
                    raise CheckpointError(
                        f"{path}: is of another training ({found.spec.shape.name}, seed {found.seed}); remove it, or "
                        "choose another --out"
                    )
                if found.finished:
                    self._restore(path)
                    self._description = found
                    return True
        if self._state.exists():
            found, tensors = read_checkpoint(self._state)
            self._learner.load_state(self._state, tensors)
            self._description = found
        return False

    def _restore(self, path: Path) -> None:
        _, tensors = read_checkpoint(path)
        restore(path, self._learner.model, tensors["model"])

    def _write(self, path: Path, tensors: Tensors, *, finished: bool = False) -> None:
        self._description = self._description.replace(finished=finished)
        write_checkpoint(path, self._description, tensors)

    def _learn(self, progress: Steps) -> None:
        settings, whole = self._settings, self._settings.rows * self._settings.epochs
        step = max(1, math.ceil(whole / settings.points / self._source.batch)) * self._source.batch
        what = f"learning: {self._learner.model.name}, seed {self._learner.spec.seed}"
        while self._description.rows < whole and not self._is_over():
            done, lost, count = self._description.rows, 0.0, 0
            epoch, first = divmod(done, settings.rows)
            wanted = min(step, settings.rows - first)
            for batch in ahead(self._source.batches("train", first=first, count=wanted, train=True, epoch=epoch)):
                rows = len(batch.labels)
                lost += rows * self._learner.step(batch, scale=_scale((done + count) / whole))
                count += rows
                progress(what, done + count, whole)
            self._point(done + count, lost / count)
            self._write(self._state, self._learner.state())
        if not self._description.curve:
            raise TrainingError(f"{self._data.schema.name}: there are no rows to learn")

    def _point(self, rows: int, loss: float) -> None:
        """Score the validation rows; the best weights so far are kept."""
        if not math.isfinite(loss):
            raise TrainingError(f"{self._learner.model.name}: the loss is {loss} after {rows:,} rows")
        count = min(self._settings.validation_rows, self._data.rows("validation"))
        part = next(iter(self._data.chunks("validation", count=count, size=count)))
        found = metrics(self._learner.scores(self._source.batches("validation", first=0, count=count, train=False)),
                        part.labels)  # fmt: skip
        before = [point.log_loss for point in self._description.curve]
        point = Point(rows=rows, loss=loss, log_loss=found.log_loss, auc=found.auc)
        self._description = self._description.replace(rows=rows, curve=(*self._description.curve, point))
        if found.log_loss < min(before, default=math.inf):
            self._write(self._path, {"model": self._learner.model.state_dict()})

    def _is_over(self) -> bool:
        """Whether the last `patience` points were all no better than one before."""
        losses = [point.log_loss for point in self._description.curve]
        patience = self._settings.patience
        return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


def _scale(share: float) -> float:
    """Of the rates, when `share` of the training is over."""
    return LAST_SCALE + (1 - LAST_SCALE) * (1 + math.cos(math.pi * share)) / 2


def checkpoint_path(folder: Path, spec: zoo.DlrmModelSpec) -> Path:
    """Where the checkpoint of `spec` lies in `folder`."""
    kind = spec.split.kind if spec.split else "base"
    return folder / f"{spec.shape.name}-{kind}-{spec.seed}{SUFFIX}"
