"""The command `microduet check`."""

import typing
from pathlib import Path

import msgspec

from microduet import model_names, zoo
from microduet.check import check, read_data
from microduet.errors import InputError, ModelError
from microduet.trace import load, trace
from microduet.traced import TracedModel
from microduet_hw.config import Precision

if typing.TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from microduet.duet.users import UserBatch
    from microduet.models.split import SplitModel


def find_model(name: str, *, seed: int = 0, dim: int = 32) -> "TracedModel | SplitModel":
    """A model by name, a description or a checkpoint, or one given as ``module.py:factory``; not traced if split."""
    from microduet.duet.compile import load as load_checkpoint
    from microduet.duet.engine_model import whole_model
    from microduet.models import build
    from microduet.models.split import SplitModel, build_dlrm

    if ".py" in name:
        return load(name)
    if name.endswith(model_names.CHECKPOINT):
        model, *_ = load_checkpoint(name)
    else:
        spec = model_names.find(name, seed=seed, dim=dim)
        if isinstance(spec, zoo.ZooModel):
            return trace(build(spec))
        model = build_dlrm(spec)
    return model if isinstance(model, SplitModel) else whole_model(model)


def shown(name: str) -> "tuple[UserBatch | None, npt.NDArray[np.int64] | None]":
    """The users and items in a checkpoint that show the ranges of a split."""
    from microduet.train.checkpoint import load_items, load_users

    return (load_users(name), load_items(name)) if name.endswith(model_names.CHECKPOINT) else (None, None)


def main(
    model: str,
    *,
    data: Path | None,
    precision: str | None,
    items: int,
    seed: int,
    dim: int,
    json: bool,
) -> int:
    """Run `check` and print a table per precision, or one JSON object."""
    if items < 1:
        raise InputError(f"items must be at least 1, not {items}")
    try:
        precisions = tuple(Precision) if precision is None else (Precision(precision),)
    except ValueError as error:
        raise ModelError(f"precision must be {', '.join(Precision)}, not {precision!r}") from error
    found = find_model(model, seed=seed, dim=dim)
    if isinstance(found, TracedModel):
        judged = None if data is None else read_data(data, found)
        report = check(found, precisions=precisions, data=judged, items=items, seed=seed)
    else:
        from microduet.duet.check import PRECISIONS, check_items

        if data is not None:
            raise InputError(f"{model}: the items of a split are checked with random users: data must not be given")
        users, ranges = shown(model)
        report = check_items(
            found,
            precisions=precisions if precision else PRECISIONS,
            items=items,
            seed=seed,
            users=users,
            ranges=ranges,
        )
    if json:
        print(msgspec.json.encode(report).decode())
    else:
        from microduet.check_report import show

        show(report)
    return 0
