"""`microduet check` of the items' part of a split model: with the user vectors that devices would send."""

import typing

import numpy as np
import numpy.typing as npt
import torch

from microduet.bounds import UserErrors, user_errors
from microduet.check import ITEMS, CheckReport, Data, Judged, judge
from microduet.duet.bounds import user_bounds
from microduet.duet.configure import edge_config
from microduet.duet.engine_model import item_model, whole_model
from microduet.duet.golden import GoldenUser
from microduet.duet.quantise import entries, quantise_user
from microduet.duet.quantise_item import QuantisedItem, float_users, items_of, quantise_item, users_of
from microduet.duet.users import UserBatch, random_users
from microduet.errors import ModelError
from microduet.fold_user import UserScale
from microduet.golden import VectorGolden
from microduet.models.split import SplitModel
from microduet.quantise import random_batch
from microduet_hw.config import Precision

PRECISIONS = (Precision.FIXED16, Precision.INT8)
Ids = npt.NDArray[np.int64]


def check_items(
    model: SplitModel,
    *,
    precisions: typing.Iterable[Precision] = PRECISIONS,
    items: int = ITEMS,
    seed: int = 0,
    users: UserBatch | None = None,
    ranges: Ids | None = None,
) -> CheckReport:
    """Compare every precision with the float split model; each item has a user of its own.

    Parameters
    ----------
    items, seed : random items with uniform ids, and their labels, drawn from the float model's probabilities
    users, ranges : users and items of a checkpoint, which show the ranges; by default 512 and 2,048 with uniform ids
    """
    traced = item_model(model)
    sparse, dense = _random(model, items, seed + 1)
    own = items_of(model, sparse)
    given = _users(model, sparse, dense, users)
    vector = traced.vector(own)
    outputs = traced.layers(vector, given.floats)

    def judged(precision: Precision) -> Judged:
        item = quantise_item(model, precision=precision, scale=given.scale, users=users, items=ranges)
        integers, errors = given.of(item)
        return Judged(quantised=item.quantised, users=integers, errors=errors)

    return judge(traced, vector, outputs, Data(own, None, None), precisions=precisions, seed=seed, judged=judged)


class _Users(typing.NamedTuple):
    """The users of all items: their vectors in float and as they are sent."""

    model: SplitModel
    sparse: Ids
    dense: npt.NDArray[np.float32] | None
    floats: npt.NDArray[np.float64]
    scale: UserScale | None = None
    payload: npt.NDArray[np.uint8] | None = None
    sent: npt.NDArray[np.float64] | None = None

    def of(self, item: QuantisedItem) -> tuple[Ids, UserErrors]:
        """Vectors in integers, and their errors."""
        if self.payload is not None and self.sent is not None:
            payload = self.payload.astype(np.int64)
            return payload, user_errors(item.model, item.quantised, payload, self.sent)
        exact, part = item.exact, item.quantised.user
        if exact is None or part is None:
            raise ModelError(f"{self.model.name}: its users are not known")
        whole = whole_model(self.model)
        assembly = VectorGolden(whole.shape, input=exact.input, dense=exact.dense, tables=_tables(item, whole))
        vectors = assembly.vectors(self.sparse, self.dense)
        columns, count = self.model.spec.shape.positions(self.model.shape.user.features), whole.shape.feature_elements
        sums = exact.sums(vectors[:, columns], vectors[:, count:] if self.dense is not None else None)
        unit = exact.input.step * item.quantised.weight_steps[0] * 2.0**part.shift
        return sums, user_errors(item.model, item.quantised, sums, np.abs(sums * unit - self.floats))


def _tables(item: QuantisedItem, whole: typing.Any) -> list[typing.Any]:
    from microduet.check import quantised_table

    return [quantised_table(table, item.quantised.input) for table in whole.tables]


def _users(model: SplitModel, sparse: Ids, dense: npt.NDArray[np.float32] | None, shown: UserBatch | None) -> _Users:
    batch = users_of(model, sparse, dense)
    if model.split.kind == "exact":
        with torch.no_grad():
            given = None if dense is None else torch.from_numpy(dense)
            vectors = model.user_vector(torch.from_numpy(batch.sparse), given)
        return _Users(model, sparse, dense, vectors.double().numpy())
    quantised = quantise_user(model, batch=shown)
    static = quantised.static.input.integers(batch.static) if quantised.static and batch.static is not None else None
    context = (
        quantised.dynamic.input.integers(batch.context) if quantised.dynamic and batch.context is not None else None
    )
    golden = GoldenUser(config=edge_config(model.spec.shape, model.split), model=quantised.model)
    result = golden.run(entries(model, quantised, batch.sparse), static, context)
    top = quantised.model.top[-1]
    scale = UserScale(scale=float(quantised.model.payload_scale), zero_point=top.output_zero_point)
    sent = user_bounds(model, quantised, result, batch).payload
    return _Users(model, sparse, dense, float_users(model, batch), scale, result.payload, sent)


def _random(model: SplitModel, items: int, seed: int) -> tuple[Ids, npt.NDArray[np.float32] | None]:
    """Whole items: ids of all features, dense inputs."""
    if model.split.kind == "exact":
        batch = random_batch(whole_model(model), items=items, seed=seed)
        return batch.sparse, batch.dense
    users, own = random_users(model, users=items, seed=seed), random_batch(item_model(model), items=items, seed=seed)
    shape = model.shape
    sparse = np.empty((items, shape.lookups), np.int64)
    for features, ids in ((shape.user.features, users.sparse), (shape.item_features, own.sparse)):
        first = 0
        for number in features:
            columns = shape.columns(number)
            sparse[:, columns] = ids[:, first : first + columns.stop - columns.start]
            first += columns.stop - columns.start
    dense = None
    if shape.dense:
        dense = np.empty((items, shape.dense), np.float32)
        for names, values in ((shape.user.static, users.static), (shape.user.context, users.context)):
            if values is not None:
                dense[:, list(names)] = values
    return sparse, dense
