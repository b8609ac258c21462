"""Users at the moment of a query, and what a split model's float user part reads of them."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from microduet.errors import InputError
from microduet.models.layers import linears
from microduet.models.split import SplitModel
from microduet.trace import table_of
from microduet.traced import StoredTable, Table

CALIBRATION_USERS = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserBatch:
    """Users at the moment of a query.

    Members
    -------
    sparse : int64 (users, the user features' lookups), -1 for an empty place of a history
    static, context : float32 (users, columns), or None for a model without
    """

    sparse: npt.NDArray[np.int64]
    static: npt.NDArray[np.float32] | None = None
    context: npt.NDArray[np.float32] | None = None


def random_users(model: SplitModel, *, users: int = CALIBRATION_USERS, seed: int = 0) -> UserBatch:
    """Full histories of uniform ids; dense inputs from a standard normal distribution."""
    generator = np.random.default_rng(seed)
    shape = model.shape
    chosen = [shape.features[k] for k in shape.user.features]
    rows = [shape.tables[feature.table].rows for feature in chosen for _ in range(feature.lookups)]

    def normal(columns: int) -> npt.NDArray[np.float32] | None:
        return generator.standard_normal((users, columns), dtype=np.float32) if columns else None

    sparse = generator.integers(0, rows, (users, len(rows)), dtype=np.int64)
    return UserBatch(sparse=sparse, static=normal(len(shape.user.static)), context=normal(len(shape.user.context)))


def user_tables(model: SplitModel) -> tuple[Table, ...]:
    """The tables of the user's features, in their order."""
    modules = (model.embeddings.tables[model.shape.features[k].table] for k in model.shape.user.features)
    return tuple(table_of(module) for module in modules)


def user_vector(model: SplitModel, batch: UserBatch) -> npt.NDArray[np.float64]:
    """What the user's top MLP reads, in float64 (users, elements)."""
    pieces: list[npt.NDArray[np.float64]] = []
    first = 0
    for number, table in zip(model.shape.user.features, user_tables(model), strict=True):
        ids = batch.sparse[:, first : first + model.shape.features[number].lookups]
        first += ids.shape[1]
        pieces.append(user_rows(table, ids).astype(np.float64).sum(1))
    for module, values in ((model.user_model.static, batch.static), (model.user_model.dynamic, batch.context)):
        if module is not None and values is not None:
            pieces.append(float_layers(module, values.astype(np.float64))[-1])
    return np.concatenate(pieces, 1)


def float_layers(module: torch.nn.Module, values: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """Outputs of every layer of a perceptron with ReLU after each, in float64."""
    outputs: list[npt.NDArray[np.float64]] = []
    for layer in linears(module):
        weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
        values = np.maximum(values @ weight.T + bias, 0)
        outputs.append(values)
    return outputs


def check_batch(model: SplitModel, batch: UserBatch) -> None:
    """Raise InputError if `batch` has another shape than the user's part of `model`, or a number that is not finite."""
    shape = model.shape
    chosen = [shape.features[k] for k in shape.user.features]
    lookups = sum(feature.lookups for feature in chosen)
    users = len(batch.sparse)
    if batch.sparse.ndim != 2 or batch.sparse.shape[1] != lookups or users == 0:
        raise InputError(f"sparse must be (users, {lookups}) with at least one user, not {batch.sparse.shape}")
    rows = np.array([shape.tables[feature.table].rows for feature in chosen for _ in range(feature.lookups)])
    if ((batch.sparse < -1) | (batch.sparse >= rows)).any():
        raise InputError("sparse has an id beyond its table; -1 stands for an empty place")
    for name, values, columns in (
        ("static", batch.static, len(shape.user.static)),
        ("context", batch.context, len(shape.user.context)),
    ):
        found = None if values is None else values.shape
        if found != ((users, columns) if columns else None):
            raise InputError(f"{name} must be {(users, columns) if columns else None}, not {found}")
        if values is not None and not np.isfinite(values).all():
            raise InputError(f"{name} must be finite")


def user_rows(table: Table, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Rows of a table, float32 (..., dim); zeros for id -1."""
    known = np.maximum(ids, 0)
    rows = (
        table.weight.detach()[torch.from_numpy(known)].float().numpy()
        if isinstance(table, StoredTable)
        else table.values(known)
    )
    return np.where((ids >= 0)[..., None], rows, np.float32(0))
