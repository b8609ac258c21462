"""Integers of the item's part of a split model, on the same scale as the user's part that goes with it."""

import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from microduet.duet.engine_model import item_model, whole_model
from microduet.duet.exact_user import ExactUser, cut
from microduet.duet.users import UserBatch, check_batch, float_layers, random_users, user_vector
from microduet.errors import InputError, ModelError
from microduet.fold_user import UserScale
from microduet.models.split import SplitModel
from microduet.quantise import CALIBRATION_ITEMS, Calibration, quantise, random_batch
from microduet.quantised import Quantised
from microduet.traced import TracedModel
from microduet_hw.config import Precision

if typing.TYPE_CHECKING:
    from microduet.edge.bundle import EdgeBundle


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantisedItem:
    """The item's part, in float and in integers; `exact` is the user's side of an exact split."""

    model: TracedModel
    quantised: Quantised
    exact: ExactUser | None = None


def quantise_item(
    model: SplitModel,
    *,
    precision: Precision,
    scale: UserScale | None = None,
    users: UserBatch | None = None,
    items: npt.NDArray[np.int64] | None = None,
    calibration: Calibration | None = None,
) -> QuantisedItem:
    """Integers of the item's part of `model`.

    Parameters
    ----------
    scale : of the user vectors of a `duet` split, as its edge unit's bundle says; an `exact` one has its own
    users : who show the range of the combined layers; by default 512 with uniform ids
    items : int64 (n, the item's lookups) that show the ranges of the item's layers; by default 2,048 with uniform ids
    calibration : in place of all these, items with their users: (items, all lookups), (items, D) in the model's columns

    Raises
    ------
    ModelError
        If the precision takes no user vectors, a weight is not finite or a sum could overflow.
    """
    if precision is Precision.FIXED32:
        raise ModelError(f"{model.name}: an engine that takes user vectors is fixed16 or int8, not fixed32")
    traced = item_model(model)
    if model.split.kind == "exact":
        whole = quantise(whole_model(model), precision=precision, calibration=calibration)
        quantised, exact = cut(whole, model.spec.shape, precision=precision)
        return QuantisedItem(model=traced, quantised=quantised, exact=exact)
    if scale is None:
        raise ModelError(f"{model.name}: the scale of its user vectors must be known")
    batch = _batch(model, traced, users, items) if calibration is None else _part(model, calibration)
    return QuantisedItem(model=traced, quantised=quantise(traced, precision=precision, calibration=batch, scale=scale))


def scale_of(edge: "EdgeBundle", model: SplitModel) -> UserScale:
    """What the vectors of an edge unit mean; raises ModelError if the unit is of another model than `model`."""
    top = edge.model.top[-1]
    width = model.split.user_top[-1]
    if edge.manifest.model != model.spec.shape.name or len(top.bias) != width:
        raise ModelError(
            f"{model.name}: its user vectors have {width} elements, those of edge bundle {edge.config.name} "
            f"{len(top.bias)}, of model {edge.manifest.model}"
        )
    return UserScale(
        scale=float(edge.model.payload_scale), zero_point=top.output_zero_point, version=edge.manifest.version
    )


def float_users(model: SplitModel, batch: UserBatch) -> npt.NDArray[np.float64]:
    """User vectors of a `duet` split in float64 (users, elements)."""
    return float_layers(model.user_model.top, user_vector(model, batch))[-1]


def users_of(model: SplitModel, sparse: npt.NDArray[np.int64], dense: npt.NDArray[np.float32] | None) -> UserBatch:
    """The users of whole items: sparse int64 (items, all lookups), dense float32 (items, D) in the model's columns."""
    shape = model.shape
    if sparse.ndim != 2 or sparse.shape[1] != shape.lookups:
        raise InputError(f"sparse must be (items, {shape.lookups}), all of the model's lookups, not {sparse.shape}")

    def columns(numbers: tuple[int, ...]) -> npt.NDArray[np.float32] | None:
        return np.ascontiguousarray(dense[:, list(numbers)]) if dense is not None and numbers else None

    batch = UserBatch(
        sparse=_columns(model, shape.user.features, sparse),
        static=columns(shape.user.static),
        context=columns(shape.user.context),
    )
    check_batch(model, batch)
    return batch


def items_of(model: SplitModel, sparse: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The item's columns of whole items: int64 (items, its lookups)."""
    return _columns(model, model.shape.item_features, sparse)


def _columns(model: SplitModel, features: tuple[int, ...], sparse: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([sparse[:, model.shape.columns(number)] for number in features], axis=1)


def _batch(
    model: SplitModel, traced: TracedModel, users: UserBatch | None, items: npt.NDArray[np.int64] | None
) -> Calibration:
    """Items, each with one of the users in turn."""
    vectors = float_users(model, users or random_users(model))
    batch = random_batch(traced, items=CALIBRATION_ITEMS) if items is None else Calibration(sparse=items)
    return dataclasses.replace(batch, users=vectors[np.arange(len(batch.sparse)) % len(vectors)])


def _part(model: SplitModel, whole: Calibration) -> Calibration:
    users = float_users(model, users_of(model, whole.sparse, whole.dense))
    return Calibration(sparse=items_of(model, whole.sparse), users=users)
