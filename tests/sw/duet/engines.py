"""Small models of DLRM's form, whole and split, with their golden models."""

import dataclasses

import numpy as np

from microduet.duet.engine_model import whole_model
from microduet.duet.quantise import QuantisedUser, quantise_user
from microduet.duet.quantise_item import QuantisedItem, quantise_item
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide
from microduet.duet.zoo import DlrmModelSpec, split_of
from microduet.fold_user import UserScale
from microduet.generated import GeneratedTable
from microduet.golden import Golden
from microduet.models import DlrmModel, SplitModel
from microduet.models.split import build_dlrm
from microduet.presets import compile_config
from microduet.quantise import quantise
from microduet.quantised import Quantised
from microduet.traced import TracedModel
from microduet_hw.config import Precision

SMALL = DlrmShape(
    name="small",
    tables=(
        TableShape(rows=50, dim=6),
        TableShape(rows=60, dim=3),
        TableShape(rows=70, dim=4),
        TableShape(rows=90, dim=5),
    ),
    features=(Lookups(table=0, lookups=5), Lookups(table=1), Lookups(table=2, lookups=3), Lookups(table=3)),
    bottom=(8, 6, 4),
    top=(16, 12, 1),
    user=UserSide(features=(0, 1), static=(0, 1, 2, 4, 5, 6), context=(3, 7)),
)
"""Pooled and single features of user and item, a bottom MLP whose columns are mixed."""

DIN = SMALL.replace(name="din", bottom=(), top=(16, 12, 2), user=UserSide(features=(0, 1)))
"""No dense inputs, two outputs; a split layer of 16 is followed by one of 12."""

SHALLOW = SMALL.replace(name="shallow", top=(16, 8, 2))
"""A `duet` split of it is joined by the output layer, whose two outputs are folded."""

SHAPES = (SMALL, DIN, SHALLOW)


def built(shape: DlrmShape, split: str = "none", *, seed: int = 0) -> DlrmModel | SplitModel:
    layers = {"din": 1}.get(shape.name, 2)
    cut = split_of(shape, split)  # type: ignore[arg-type]
    if split == "duet" and layers == 1:
        cut = cut and cut.replace(user_top=cut.user_top[:1])
    return build_dlrm(DlrmModelSpec(shape=shape, split=cut, seed=seed, tables="dense"))


def split_model(shape: DlrmShape, kind: str, *, seed: int = 0) -> SplitModel:
    model = built(shape, kind, seed=seed)
    assert isinstance(model, SplitModel)
    return model


def tables_of(model: TracedModel, quantised: Quantised) -> tuple:
    return tuple(
        table if isinstance(table, GeneratedTable) else quantised.input.integers(table.weight.detach().numpy())
        for table in model.tables
    )


def golden_of(model: TracedModel, quantised: Quantised) -> Golden:
    return Golden(
        config=compile_config(model.shape, precision=quantised.input.precision),
        model=quantised.model,
        input=quantised.input,
        dense=quantised.dense,
        tables=tables_of(model, quantised),
        user=quantised.user,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole:
    module: DlrmModel
    model: TracedModel
    quantised: Quantised
    golden: Golden


def whole(shape: DlrmShape, precision: str = "fixed16", *, seed: int = 0) -> Whole:
    module = built(shape, seed=seed)
    assert isinstance(module, DlrmModel)
    model = whole_model(module)
    quantised = quantise(model, precision=Precision(precision))
    return Whole(module=module, model=model, quantised=quantised, golden=golden_of(model, quantised))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    module: SplitModel
    item: QuantisedItem
    golden: Golden
    user: QuantisedUser | None


def item(shape: DlrmShape, kind: str, precision: str = "fixed16", *, seed: int = 0) -> Item:
    module = split_model(shape, kind, seed=seed)
    user = quantise_user(module) if kind == "duet" else None
    scale = None
    if user is not None:
        scale = UserScale(
            scale=float(user.model.payload_scale),
            zero_point=user.model.top[-1].output_zero_point,
            version=user.model.version,
        )
    part = quantise_item(module, precision=Precision(precision), scale=scale)
    return Item(module=module, item=part, golden=golden_of(part.model, part.quantised), user=user)


def batch(shape: DlrmShape, items: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Whole items: ids (items, lookups), dense inputs (items, D) or None."""
    generator = np.random.default_rng(seed)
    rows = [shape.tables[feature.table].rows for feature in shape.features for _ in range(feature.lookups)]
    dense = generator.standard_normal((items, shape.dense), dtype=np.float32) if shape.dense else None
    return generator.integers(0, rows, (items, len(rows)), dtype=np.int64), dense
