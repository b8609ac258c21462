"""From a model and a board to a bundle."""

import dataclasses
import typing
from pathlib import Path

import msgspec
import numpy as np

from microduet import boards, bundle_files, cache, model_names, placement, presets, search, zoo
from microduet.bundle import Bundle, Manifest
from microduet.duet.zoo import DlrmModelSpec
from microduet.errors import ModelError, PlacementError
from microduet.layer_file import layer_arrays, layer_records
from microduet.planner.check import check
from microduet.planner.checked import with_room
from microduet.planner.make import make
from microduet.planner.physical import physical_shape
from microduet.shape import ModelShape
from microduet.table_file import write_tables
from microduet.user_file import exact_record, user_arrays, user_record
from microduet_hw.config import EngineConfig, Precision

if typing.TYPE_CHECKING:
    import torch

    from microduet.compilable import Compilable
    from microduet.duet.exact_user import ExactUser
    from microduet.edge.bundle import EdgeBundle
    from microduet.quantise import Calibration
    from microduet.quantised import Quantised
    from microduet.traced import TracedModel

Model = typing.Union[str, model_names.Spec, "torch.nn.Module", "TracedModel"]
Batch = typing.Union["Calibration", tuple["np.ndarray", "np.ndarray | None"], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What a model is compiled for."""

    board: boards.Board
    precision: Precision
    config: str | EngineConfig | None
    plan: placement.Plan | None
    mode: str = "best"
    """Of the planner."""
    tuning: presets.Tuning = presets.AS_USUAL

    @property
    def key(self) -> bytes:
        """Bytes that differ when the target does."""
        config = (
            self.config.to_json() if isinstance(self.config, EngineConfig) else str(self.config or "default").encode()
        )
        plan = self.plan.to_json() if self.plan else b""
        tuning = msgspec.json.encode(self.tuning)
        return b"\0".join([msgspec.json.encode(self.board), self.precision.encode(), config, plan, tuning])


def target(
    *,
    board: boards.Board,
    precision: Precision | str,
    config: str | EngineConfig | None = None,
    plan: placement.Plan | None = None,
    tuning: presets.Tuning = presets.AS_USUAL,
) -> Target:
    """What a model is compiled for; raises ModelError for an unknown precision."""
    try:
        return Target(board=board, precision=Precision(precision), config=config, plan=plan, tuning=tuning)
    except ValueError as error:
        raise ModelError(f"precision must be {', '.join(Precision)}, not {precision!r}") from error


def compile(
    model: Model,
    *,
    board: str | boards.Board = "u280",
    precision: Precision | str = Precision.FIXED16,
    config: str | EngineConfig | None = None,
    tuning: presets.Tuning = presets.AS_USUAL,
    plan: placement.Plan | None = None,
    calibration: Batch = None,
    user: "EdgeBundle | None" = None,
    out: Path | str | None = None,
) -> Bundle:
    """Compile `model` for `board`.

    Parameters
    ----------
    model : a torch module with ``forward(sparse, dense=None)``, ``module.py:factory``, a model of the zoo or of Duet's
        by name or spec, a description (.json) or a checkpoint (.pt); named ones are taken from the cache without torch
        when they were compiled before. Of a split model, the items' part
    board : by name, as a .toml file, or itself
    config : name of a preset, a whole configuration, or None for the search's choice
    tuning : arrays or a budget of them, clocks, and whether rows are checked, unless `config` is a whole configuration
    plan : where the tables lie; by default the best plan, or for pooled tables of DLRM's form over all HBM channels
    calibration : (sparse, dense) that show the ranges; by default 2,048 items of uniform ids. Of a split model, with
        their users' columns
    user : of a `duet` split, the bundle of the edge unit whose vectors the engine takes; by default the one that
        `compile_edge` makes of the same model
    out : folder of the bundle; by default one in the user's cache, named by its contents

    Raises
    ------
    MicroduetError
        If the model is not supported or does not fit the board: one line that says what and where.
    """
    card = boards.find(board) if isinstance(board, str) else board
    chosen = target(board=card, precision=precision, config=config, plan=plan, tuning=tuning)
    given = _given_model(model)
    keep = out is None
    if isinstance(given, model_names.Spec) and calibration is None and user is None:
        shape = model_names.engine_shape(given)
        path = Path(out) if out else cache.bundle_path(shape.name, msgspec.json.encode(given), chosen.key)
        if keep and (path / bundle_files.MANIFEST).is_file():
            return Bundle.read(path)
    else:
        path = Path(out) if out else None
    ready = _compilable(given, calibration, user)
    chosen = dataclasses.replace(chosen, mode=ready.mode)
    path = path or cache.bundle_path(ready.traced.shape.name, ready.content, chosen.key)
    if not (keep and (path / bundle_files.MANIFEST).is_file()):
        try:
            write(path, ready, chosen, keep=keep)
        except PlacementError as error:
            raise PlacementError(f"{error}; compile_cards shares the tables of a model among cards") from error
    return Bundle.read(path)


def compilable(model: Model, calibration: Batch = None) -> "Compilable":
    """Any model that `compile` takes, traced and ready to be quantised."""
    return _compilable(_given_model(model), calibration, None)


def _given_model(model: Model) -> Model:
    """A model given by name as its spec; a checkpoint stays its path."""
    return _named(model) if isinstance(model, str) and not model.endswith(model_names.CHECKPOINT) else model


def _named(name: str) -> "model_names.Spec | TracedModel":
    if ".py" not in name:
        return model_names.find(name)
    from microduet.trace import load

    return load(name)


def shape_of(model: str, *, seed: int = 0, dim: int = 32) -> ModelShape:
    """The shape of what an engine computes of a model given by name or as ``module.py:factory``."""
    if model.endswith(model_names.CHECKPOINT):
        return _compilable(model, None, None).traced.shape
    if ".py" not in model:
        return model_names.engine_shape(model_names.find(model, seed=seed, dim=dim))
    return _compilable(_named(model), None, None).traced.shape


def _compilable(model: Model, calibration: Batch, user: "EdgeBundle | None") -> "Compilable":
    from microduet import compilable
    from microduet.duet import compile as forms
    from microduet.models.dlrm import DlrmModel
    from microduet.models.split import SplitModel
    from microduet.trace import trace
    from microduet.traced import TracedModel

    if isinstance(model, str):
        built, users, items = forms.load(model)
        return forms.compilable(built, calibration=calibration, user=user, users=users, items=items)
    if isinstance(model, DlrmModelSpec | DlrmModel | SplitModel):
        return forms.compilable(model, calibration=calibration, user=user)
    if user is not None:
        raise ModelError("user must be None for a model that is not split")
    if isinstance(model, zoo.ZooModel):
        from microduet.models import build

        model = build(model)
    traced = model if isinstance(model, TracedModel) else trace(model)
    return compilable.whole(traced, _calibration(calibration, traced))


def _calibration(batch: Batch, traced: "TracedModel") -> "Calibration | None":
    from microduet.inputs import check_batch
    from microduet.quantise import Calibration

    if batch is None:
        return None
    sparse, dense = (batch.sparse, batch.dense) if isinstance(batch, Calibration) else batch
    sparse, dense = check_batch(traced.shape, sparse, dense)
    return Calibration(sparse=sparse, dense=dense)


def configure(shape: ModelShape, target: Target) -> tuple[EngineConfig, placement.Plan]:
    """The configuration and the plan of `shape` for `target`."""
    if isinstance(target.config, EngineConfig):
        return _given(shape, target.config, target), placement.plan_of(
            target.config, model=shape.name, board=target.board
        )
    plan = target.plan or _plan(shape, target)
    if plan.precision != target.precision or plan.board != target.board.name:
        raise ModelError(
            f"the plan is for {plan.precision} on {plan.board}, not {target.precision} on {target.board.name}"
        )
    check(plan, shape, target.board)
    if target.plan is not None and target.tuning.row_check:
        plan = with_room(plan, target.board)
    chosen = presets.choose(
        shape, precision=target.precision, board=target.board, name=target.config, tuning=target.tuning
    ).chosen
    suffix = "" if target.config in (None, "default") else f"-{target.config}"
    name = f"{shape.name}-{target.precision}{suffix}"
    try:
        return presets.engine_config(
            physical_shape(shape, plan.products),
            precision=target.precision,
            arrays=chosen.arrays,
            plan=plan,
            name=name,
            budget=target.tuning.multipliers,
        ).replace(**target.tuning.fields), plan
    except ValueError as error:
        raise ModelError(f"the plan does not fit {shape.name}: {error}") from error


def _plan(shape: ModelShape, target: Target) -> placement.Plan:
    modes = [target.mode]
    if target.mode != "best":
        modes.append("best")  # tables that cannot be spread, because one has few rows or the board one channel
    if target.tuning.row_check:
        modes.append("rule")  # rows in chosen banks have no room for a check word
    for mode in modes:
        try:
            plan = make(shape, precision=target.precision, board=target.board, mode=mode).plan
            return with_room(plan, target.board) if target.tuning.row_check else plan
        except PlacementError:
            if mode == modes[-1]:
                raise
    raise AssertionError("a mode has returned or raised")


def _given(shape: ModelShape, config: EngineConfig, target: Target) -> EngineConfig:
    if target.tuning != presets.AS_USUAL:
        raise ModelError("a whole configuration has its own arrays and clocks: give it or a tuning")
    if target.plan is not None:
        raise ModelError("a whole configuration has its own plan: give one or the other")
    given = ModelShape.of(config)
    for name in ("features", "dense", "dense_position", "hidden", "output", "sigmoid", "bottom", "user"):
        if getattr(given, name) != getattr(shape, name):
            raise ModelError(f"configuration {config.name} is of another model than {shape.name}: {name} differs")
    if config.precision is not target.precision:
        raise ModelError(f"configuration {config.name} is for {config.precision}, not {target.precision}")
    return config


def arrangements(shape: ModelShape, target: Target) -> search.SearchResult:
    """The search's candidates, best first, to be shown."""
    name = target.config if isinstance(target.config, str) else None
    return presets.choose(shape, precision=target.precision, board=target.board, name=name)


def write(path: Path, ready: "Compilable", target: Target, *, keep: bool) -> None:
    """Write the bundle of `ready` to `path`; `keep` as `bundle_files.writing` takes it."""
    traced = ready.traced
    config, plan = configure(traced.shape, target)
    quantised, exact = ready.quantise(target.precision)
    with bundle_files.writing(path, keep=keep) as folder:
        (folder / bundle_files.CONFIG).write_bytes(config.to_json())
        (folder / bundle_files.PLAN).write_bytes(plan.to_json())
        _write_weights(folder / bundle_files.WEIGHTS, quantised, exact, target.precision)
        tables = write_tables(folder, (*traced.tables, *ready.user_tables), quantised)
        names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        manifest = Manifest(
            name=config.name,
            model=traced.shape.name,
            board=target.board,
            input=quantised.input,
            dense=quantised.dense,
            layers=layer_records(quantised.model.layers, quantised.steps),
            logit_fraction=quantised.model.logit_fraction,
            tables=tables[: len(traced.tables)],
            products=traced.shape if plan.products else None,
            user=user_record(quantised.user),
            exact=exact_record(exact, ready.user_shape),
            user_tables=tables[len(traced.tables) :],
            config_digest=config.digest,
            files={name: bundle_files.file_digest(folder / name) for name in names},
        )
        text = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)
        (folder / bundle_files.MANIFEST).write_bytes(text)


def _write_weights(path: Path, quantised: "Quantised", exact: "ExactUser | None", precision: Precision) -> None:
    arrays = layer_arrays(quantised.model.layers, width=precision.width)
    arrays |= {f"step_{number}": steps.astype("<f8") for number, steps in enumerate(quantised.weight_steps)}
    arrays |= user_arrays(quantised.user, exact, width=precision.width)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
