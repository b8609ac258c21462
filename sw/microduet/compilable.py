"""A model that is ready to be quantised and placed: what tracing, a description or a checkpoint comes down to."""

import dataclasses
import hashlib
import typing
from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from microduet.duet.exact_user import ExactUser
from microduet.generated import GeneratedTable
from microduet.quantise import Calibration, quantise
from microduet.quantised import Quantised
from microduet.shape import ModelShape
from microduet.traced import Table, TracedModel
from microduet_hw.config import Precision


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compilable:
    """A model, and how it becomes integers.

    Members
    -------
    traced : the engine's part
    quantise : its integers and, of an exact split, the user's side
    content : hash of everything that a bundle takes from the model and its calibration
    mode : of the planner
    user_shape, user_tables : of an exact split, the user's features, dense inputs and bottom MLP
    """

    traced: TracedModel
    quantise: Callable[[Precision], tuple[Quantised, ExactUser | None]]
    content: bytes
    mode: typing.Literal["best", "spread"] = "best"
    user_shape: ModelShape | None = None
    user_tables: tuple[Table, ...] = ()


def whole(traced: TracedModel, batch: Calibration | None, *, form: bool = False) -> Compilable:
    """A whole model; `form`: of DLRM's form, whose pooled tables are spread over all channels."""

    def integers(precision: Precision) -> tuple[Quantised, None]:
        return quantise(traced, precision=precision, calibration=batch), None

    mode = "spread" if form and traced.shape.pooled else "best"
    return Compilable(traced=traced, quantise=integers, content=content(traced, batch), mode=mode)


def content(traced: TracedModel, batch: Calibration | None, *others: bytes) -> bytes:
    """Hash of a model, of the calibration batch, and of whatever else a bundle depends on."""
    digest = hashlib.sha256(msgspec.json.encode(traced.shape))
    for table in traced.tables:
        _add_table(digest, table)
    user_weights = () if traced.user_weights is None else (traced.user_weights,)
    _add_arrays(digest, (*traced.weights, *traced.biases, *user_weights))
    if batch is not None:
        given = (batch.sparse, batch.dense, batch.users)
        _add_arrays(digest, (array for array in given if array is not None))
    for other in others:
        digest.update(other)
    return digest.digest()


def _add_table(digest: typing.Any, table: Table) -> None:
    if isinstance(table, GeneratedTable):
        digest.update(msgspec.json.encode(table))
        return
    for rows in table.slices():
        digest.update(np.ascontiguousarray(rows).data)


def _add_arrays(digest: typing.Any, arrays: Iterable[np.ndarray]) -> None:
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
