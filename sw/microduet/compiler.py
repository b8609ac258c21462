"""From a model and a board to a bundle."""

import dataclasses
import hashlib
import typing
from pathlib import Path

import msgspec
import numpy as np

from microduet import boards, bundle, cache, placement, presets, search, zoo
from microduet.bundle import Bundle, Manifest, TableRecord
from microduet.errors import ModelError
from microduet.generated import GeneratedTable
from microduet.layer_file import layer_arrays, layer_records
from microduet.planner.check import check
from microduet.planner.make import make
from microduet.planner.physical import physical_shape
from microduet.shape import ModelShape
from microduet_hw.config import EngineConfig, Precision

if typing.TYPE_CHECKING:
    import torch

    from microduet.quantise import Calibration
    from microduet.quantised import Quantised
    from microduet.traced import StoredTable, TracedModel

Model = typing.Union[str, zoo.ZooModel, "torch.nn.Module", "TracedModel"]
Batch = typing.Union["Calibration", tuple["np.ndarray", "np.ndarray | None"], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What a model is compiled for."""

    board: boards.Board
    precision: Precision
    config: str | EngineConfig | None
    plan: placement.Plan | None

    @property
    def key(self) -> bytes:
        """Bytes that differ when the target does."""
        config = (
            self.config.to_json() if isinstance(self.config, EngineConfig) else str(self.config or "default").encode()
        )
        plan = self.plan.to_json() if self.plan else b""
        return b"\0".join([msgspec.json.encode(self.board), self.precision.encode(), config, plan])


def compile(
    model: Model,
    *,
    board: str = "u280",
    precision: Precision | str = Precision.FIXED16,
    config: str | EngineConfig | None = None,
    plan: placement.Plan | None = None,
    calibration: Batch = None,
    out: Path | str | None = None,
) -> Bundle:
    """Compile `model` for `board`.

    Parameters
    ----------
    model : a torch module with ``forward(sparse, dense=None)``, ``module.py:factory``, or a model of the zoo by name
        or spec; the zoo's are taken from the cache without torch when they were compiled before
    config : name of a preset, a whole configuration, or None for the search's choice
    plan : where the tables lie; by default the best plan
    calibration : (sparse, dense) that show the ranges; by default 2,048 items of uniform ids
    out : folder of the bundle; by default one in the user's cache, named by its contents

    Raises
    ------
    MicroduetError
        If the model is not supported or does not fit the board: one line that says what and where.
    """
    try:
        target = Target(board=boards.find(board), precision=Precision(precision), config=config, plan=plan)
    except ValueError as error:
        raise ModelError(f"precision must be {', '.join(Precision)}, not {precision!r}") from error
    if isinstance(model, str):
        model = _named(model)
    keep = out is None
    if isinstance(model, zoo.ZooModel) and calibration is None:
        path = Path(out) if out else cache.bundle_path(model.shape.name, msgspec.json.encode(model), target.key)
        if keep and (path / bundle.MANIFEST).is_file():
            return Bundle.read(path)
    else:
        path = Path(out) if out else None
    traced = _traced(model)
    batch = _calibration(calibration, traced)
    path = path or cache.bundle_path(traced.shape.name, _content(traced, batch), target.key)
    if not (keep and (path / bundle.MANIFEST).is_file()):
        _write(path, traced, target, batch, keep=keep)
    return Bundle.read(path)


def _named(name: str) -> "zoo.ZooModel | TracedModel":
    if name.endswith(".pt"):
        raise ModelError(
            f"{name}: the engine has no bottom MLP and no split yet; compile_edge takes the user's part of a duet split"
        )
    if ".py" not in name:
        return zoo.find(name)
    from microduet.trace import load

    return load(name)


def shape_of(model: str, *, seed: int = 0, dim: int = 32) -> ModelShape:
    """The shape of a model given by name or as ``module.py:factory``."""
    if ".py" not in model:
        return zoo.find(model, seed=seed, dim=dim).shape
    return _traced(_named(model)).shape


def _traced(model: "zoo.ZooModel | torch.nn.Module | TracedModel") -> "TracedModel":
    from microduet.trace import trace
    from microduet.traced import TracedModel

    if isinstance(model, TracedModel):
        return model
    if isinstance(model, zoo.ZooModel):
        from microduet.models import build

        model = build(model)
    return trace(model)


def _calibration(batch: Batch, traced: "TracedModel") -> "Calibration | None":
    from microduet.inputs import check_batch
    from microduet.quantise import Calibration

    if batch is None:
        return None
    sparse, dense = (batch.sparse, batch.dense) if isinstance(batch, Calibration) else batch
    sparse, dense = check_batch(traced.shape, sparse, dense)
    return Calibration(sparse=sparse, dense=dense)


def _content(traced: "TracedModel", batch: "Calibration | None") -> bytes:
    """Hash of everything that a bundle takes from the model and the calibration batch."""
    digest = hashlib.sha256(msgspec.json.encode(traced.shape))
    for table in traced.tables:
        if isinstance(table, GeneratedTable):
            digest.update(msgspec.json.encode(table))
        else:
            for rows in table.slices():
                digest.update(np.ascontiguousarray(rows).data)
    for array in (*traced.weights, *traced.biases):
        digest.update(np.ascontiguousarray(array).data)
    if batch is not None:
        digest.update(np.ascontiguousarray(batch.sparse).data)
        if batch.dense is not None:
            digest.update(np.ascontiguousarray(batch.dense).data)
    return digest.digest()


def configure(shape: ModelShape, target: Target) -> tuple[EngineConfig, placement.Plan]:
    """The configuration and the plan of `shape` for `target`."""
    if isinstance(target.config, EngineConfig):
        return _given(shape, target.config, target), placement.plan_of(
            target.config, model=shape.name, board=target.board
        )
    plan = target.plan or make(shape, precision=target.precision, board=target.board).plan
    if plan.precision != target.precision or plan.board != target.board.name:
        raise ModelError(
            f"the plan is for {plan.precision} on {plan.board}, not {target.precision} on {target.board.name}"
        )
    check(plan, shape, target.board)
    chosen = presets.choose(shape, precision=target.precision, board=target.board, name=target.config).chosen
    suffix = "" if target.config in (None, "default") else f"-{target.config}"
    name = f"{shape.name}-{target.precision}{suffix}"
    try:
        return presets.engine_config(
            physical_shape(shape, plan.products),
            precision=target.precision,
            arrays=chosen.arrays,
            plan=plan,
            name=name,
        ), plan
    except ValueError as error:
        raise ModelError(f"the plan does not fit {shape.name}: {error}") from error


def _given(shape: ModelShape, config: EngineConfig, target: Target) -> EngineConfig:
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


def _write(path: Path, traced: "TracedModel", target: Target, batch: "Calibration | None", *, keep: bool) -> None:
    from microduet.quantise import quantise

    config, plan = configure(traced.shape, target)
    quantised = quantise(traced, precision=target.precision, calibration=batch)
    with bundle.writing(path, keep=keep) as folder:
        (folder / bundle.CONFIG).write_bytes(config.to_json())
        (folder / bundle.PLAN).write_bytes(plan.to_json())
        _write_weights(folder / bundle.WEIGHTS, quantised, target.precision)
        tables = _write_tables(folder, traced, quantised)
        names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        manifest = Manifest(
            name=config.name,
            model=traced.shape.name,
            board=target.board,
            input=quantised.input,
            layers=layer_records(quantised.model.layers, quantised.steps),
            logit_fraction=quantised.model.logit_fraction,
            tables=tables,
            products=traced.shape if plan.products else None,
            config_digest=config.digest,
            files={name: bundle.file_digest(folder / name) for name in names},
        )
        text = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)
        (folder / bundle.MANIFEST).write_bytes(text)


def _write_weights(path: Path, quantised: "Quantised", precision: Precision) -> None:
    arrays = layer_arrays(quantised.model.layers, width=precision.width)
    arrays |= {f"step_{number}": steps.astype("<f8") for number, steps in enumerate(quantised.weight_steps)}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _write_tables(folder: Path, traced: "TracedModel", quantised: "Quantised") -> tuple[TableRecord, ...]:
    records: list[TableRecord] = []
    written: dict[int, str] = {}
    for number, table in enumerate(traced.tables):
        if isinstance(table, GeneratedTable):
            records.append(TableRecord(generated=table))
            continue
        if id(table.weight) not in written:
            written[id(table.weight)] = name = f"tables/{number:03}.npy"
            (folder / "tables").mkdir(exist_ok=True)
            _write_table(folder / name, table, quantised)
        records.append(TableRecord(file=written[id(table.weight)]))
    return tuple(records)


def _write_table(path: Path, table: "StoredTable", quantised: "Quantised") -> None:
    dtype = quantised.input.dtype.newbyteorder("<")
    shape = tuple(int(size) for size in table.weight.shape)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    # Not a mapped file: writing one to a full disk ends the process instead of raising an error.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rows in table.slices():
            file.write(quantised.input.integers(rows).astype(dtype).tobytes())
