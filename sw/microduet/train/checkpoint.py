"""Trained models and unfinished trainings on disk. Reading one executes nothing; a half-written one is never whole."""

import contextlib
import os
import pickle
import tempfile
import typing
import zipfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from microduet.data.schema import DataSchema
from microduet.duet import zoo
from microduet.duet.users import UserBatch
from microduet.errors import CheckpointError, MicroduetError
from microduet.models.dlrm import DlrmModel
from microduet.models.split import SplitModel
from microduet.unreadable import UNREADABLE
from microduet_hw.config import Frozen

FORMAT = 1
SUFFIX = ".pt"


class Point(Frozen, frozen=True, kw_only=True):
    """One point of a learning curve."""

    rows: int
    """Learnt so far, in all epochs."""
    loss: float
    """Mean log-loss of the rows since the last point, each before it was learnt, nats."""
    log_loss: float
    """On the validation rows, nats."""
    auc: float
    """On the validation rows."""


class Description(Frozen, frozen=True, kw_only=True):
    """What a checkpoint is of; `settings` are those that the weights depend on."""

    format: int = FORMAT
    spec: zoo.DlrmModelSpec
    schema: DataSchema
    settings: dict[str, int | float | str]
    rows: int = 0
    """Learnt so far."""
    curve: tuple[Point, ...] = ()
    finished: bool = False

    @property
    def seed(self) -> int:
        """Of the first weights and the order of rows."""
        return self.spec.seed

    def same_training(self, other: "Description") -> bool:
        """Whether both are of one training, however far it got."""
        return (self.spec, self.schema, self.settings) == (other.spec, other.schema, other.settings)


Tensors = Mapping[str, typing.Any]


def write_checkpoint(path: Path, description: Description, tensors: Tensors) -> None:
    """Write to a temporary file beside `path`, then give it its name: a reader sees the old file or the whole new one.

    Raises
    ------
    CheckpointError
        If it cannot be written: what was there is then as it was.
    """
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
            partial = Path(file.name)
            torch.save({"description": msgspec.json.encode(description).decode(), "tensors": dict(tensors)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> tuple[Description, Tensors]:
    """What `write_checkpoint` wrote, mapped from the file.

    Raises
    ------
    CheckpointError
        If there is no such file, it is damaged, holds more than tensors, or is of another format.
    """
    if path.is_file() and not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: is no whole checkpoint")
    try:
        found = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such checkpoint") from error
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: is no whole checkpoint") from error
    text = found.get("description") if isinstance(found, dict) else None
    tensors = found.get("tensors") if isinstance(found, dict) else None
    if not isinstance(text, str) or not isinstance(tensors, dict):
        raise CheckpointError(f"{path}: is no checkpoint of this program")
    with contextlib.suppress(*UNREADABLE):
        own = msgspec.json.decode(text, type=_Format).format
        if own != FORMAT:
            raise CheckpointError(f"{path}: checkpoint format must be {FORMAT}, not {own}")
    try:
        return msgspec.json.decode(text, type=Description), tensors
    except (*UNREADABLE, MicroduetError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def load_model(path: Path | str) -> DlrmModel | SplitModel:
    """The trained model in a checkpoint; raises CheckpointError if it is damaged, unfinished or not of its shape."""
    path = Path(path)
    description, tensors = read_checkpoint(path)
    if not description.finished:
        raise CheckpointError(f"{path}: the training is not over ({description.rows:,} rows); run it again to go on")
    light = description.spec.replace(tables="generated")
    model = DlrmModel(light) if light.split is None else SplitModel(light)
    model.spec = description.spec
    tables = [torch.nn.Embedding(t.rows, t.dim, _weight=torch.empty(t.rows, t.dim)) for t in light.shape.tables]
    model.embeddings.tables = torch.nn.ModuleList(tables)
    restore(path, model, tensors["model"])
    return model


def load_users(path: Path | str) -> UserBatch | None:
    """The users in a checkpoint who show the ranges of its user part, None if it has none."""
    _, tensors = read_checkpoint(Path(path))
    if "users" not in tensors:
        return None
    return UserBatch(**{name: value.numpy() for name, value in tensors["users"].items()})


def load_items(path: Path | str) -> npt.NDArray[np.int64] | None:
    """The items in a checkpoint that show the ranges of its item part, int64 (items, lookups); None if it has none."""
    _, tensors = read_checkpoint(Path(path))
    return tensors["items"].numpy() if "items" in tensors else None


def restore(path: Path, model: torch.nn.Module, weights: Tensors) -> None:
    """Give `model` these weights, in place; raises CheckpointError, naming `path`, if they are of another model."""
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: its weights are of another model than its description") from error


class _Format(msgspec.Struct):
    format: int
