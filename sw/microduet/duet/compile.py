"""Models of DLRM's form, whole or split, as the compiler takes them."""

import typing

import msgspec
import numpy as np
import numpy.typing as npt

from microduet.compilable import Compilable, content, whole
from microduet.duet.engine_model import item_model, user_tables, whole_model
from microduet.duet.engine_shape import user_shape
from microduet.duet.exact_user import ExactUser
from microduet.duet.quantise_item import quantise_item, scale_of
from microduet.duet.users import UserBatch
from microduet.duet.zoo import DlrmModelSpec
from microduet.errors import InputError, ModelError
from microduet.fold_user import UserScale
from microduet.inputs import check_batch
from microduet.models.dlrm import DlrmModel
from microduet.models.split import SplitModel, build_dlrm
from microduet.quantise import Calibration
from microduet.quantised import Quantised
from microduet_hw.config import Precision

if typing.TYPE_CHECKING:
    from microduet.edge.bundle import EdgeBundle

Form = DlrmModelSpec | DlrmModel | SplitModel
Ids = npt.NDArray[np.int64]
Given = tuple[np.ndarray, np.ndarray | None] | Calibration | None


def compilable(
    model: Form,
    *,
    calibration: Given = None,
    user: "EdgeBundle | None" = None,
    users: UserBatch | None = None,
    items: Ids | None = None,
) -> Compilable:
    """`model`, ready to be quantised.

    Parameters
    ----------
    calibration : (sparse, dense) of whole items, with their users' lookups and dense inputs, that show the ranges
    user : the edge unit whose vectors the engine takes; by default the one that `compile_edge` makes of the model
    users, items : of a checkpoint, which show the ranges of a `duet` split; by default 512 and 2,048 with uniform ids

    Raises
    ------
    ModelError
        If `user` is given for a model that takes no vectors of an edge unit, or is of another model.
    """
    built = build_dlrm(model) if isinstance(model, DlrmModelSpec) else model
    duet = isinstance(built, SplitModel) and built.split.kind == "duet"
    if user is not None and not duet:
        raise ModelError(f"{built.name}: only the items of a duet split take an edge unit's vectors")
    batch = _calibration(built, calibration)
    if isinstance(built, DlrmModel):
        return whole(whole_model(built), batch, form=True)
    if not duet:
        return _exact(built, batch)
    scale = scale_of(user or _edge(model, built, users), built)
    return _duet(built, scale, batch, users, items)


def load(path: str) -> tuple[DlrmModel | SplitModel, UserBatch | None, Ids | None]:
    """The model in a checkpoint, and the users and items that show the ranges of a `duet` split."""
    from microduet.train.checkpoint import load_items, load_model, load_users

    return load_model(path), load_users(path), load_items(path)


def _edge(model: Form, built: SplitModel, users: UserBatch | None) -> "EdgeBundle":
    """The edge unit of the same model."""
    from microduet.edge.compile import compile_edge

    return compile_edge(model if isinstance(model, DlrmModelSpec) else built, calibration=users)


def _duet(
    built: SplitModel, scale: UserScale, batch: Calibration | None, users: UserBatch | None, items: Ids | None
) -> Compilable:
    traced = item_model(built)

    def integers(precision: Precision) -> tuple[Quantised, None]:
        part = quantise_item(built, precision=precision, scale=scale, users=users, items=items, calibration=batch)
        return part.quantised, None

    return Compilable(
        traced=traced,
        quantise=integers,
        content=content(traced, batch, msgspec.json.encode(scale), _bytes(users, items)),
        mode="spread" if traced.shape.pooled else "best",
    )


def _exact(built: SplitModel, batch: Calibration | None) -> Compilable:
    traced = item_model(built)

    def integers(precision: Precision) -> tuple[Quantised, ExactUser | None]:
        part = quantise_item(built, precision=precision, calibration=batch)
        return part.quantised, part.exact

    return Compilable(
        traced=traced,
        quantise=integers,
        content=content(whole_model(built), batch, b"exact"),
        mode="spread" if traced.shape.pooled else "best",
        user_shape=user_shape(built.spec.shape),
        user_tables=user_tables(built),
    )


def _bytes(users: UserBatch | None, items: Ids | None) -> bytes:
    arrays = (items,) if users is None else (users.sparse, users.static, users.context, items)
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays if array is not None)


def _calibration(built: DlrmModel | SplitModel, given: Given) -> Calibration | None:
    if given is None:
        return None
    sparse, dense = (given.sparse, given.dense) if isinstance(given, Calibration) else given
    if isinstance(built, SplitModel) and built.split.kind == "duet":
        _check_columns(built, sparse, dense)
        return Calibration(sparse=sparse, dense=dense)
    sparse, dense = check_batch(whole_model(built).shape, sparse, dense)
    return Calibration(sparse=sparse, dense=dense)


def _check_columns(built: SplitModel, sparse: np.ndarray, dense: np.ndarray | None) -> None:
    """Ids of histories may be -1; `quantise_item` checks the users, here the rest is."""
    shape = built.shape
    wanted = (len(sparse), shape.dense) if shape.dense else None
    if (None if dense is None else dense.shape) != wanted:
        raise InputError(f"dense must be {wanted}, not {None if dense is None else dense.shape}")
    for number in shape.item_features:
        ids, rows = sparse[:, shape.columns(number)], shape.tables[shape.features[number].table].rows
        if ids.size and (ids.min() < 0 or ids.max() >= rows):
            raise InputError(f"ids of feature {number} must be 0 to {rows - 1}, not {ids.min()} to {ids.max()}")
