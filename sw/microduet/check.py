"""`microduet check`: what each precision does to a model's layers and to its ranking."""

import typing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from microduet.array_files import read_arrays
from microduet.bounds import UserErrors, error_bounds, golden_values
from microduet.errors import InputError
from microduet.generated import GeneratedTable
from microduet.golden import Golden, QuantisedTable
from microduet.inputs import check_batch
from microduet.quantisation import InputQuantisation
from microduet.quantise import Calibration, quantise, random_batch
from microduet.quantised import Quantised
from microduet.ranking import auc, top_overlap
from microduet.traced import StoredTable, TracedModel
from microduet_hw.config import Frozen, Precision

if typing.TYPE_CHECKING:
    pass

ITEMS = 2048
TOP = 10


class LayerCheck(Frozen, frozen=True, kw_only=True):
    """One layer in one precision; errors are against the float model, in its units."""

    layer: int
    inputs: int
    outputs: int
    low: float
    """Smallest output of the float model."""
    high: float
    step: float
    """What one unit of an output stands for."""
    saturations: int
    """Outputs cut to their range."""
    error: float
    """Root mean square."""
    expected_error: float
    """Root mean square, if roundings were independent."""
    largest_error: float
    bound: float
    """Largest possible error: rigorous, and far above what is seen behind wide layers."""


class PrecisionCheck(Frozen, frozen=True, kw_only=True):
    """One precision."""

    precision: Precision
    input_step: float
    layers: tuple[LayerCheck, ...]
    score_error: float
    """Largest difference of a score."""
    auc: float
    auc_change: float
    top10_overlap: int


class CheckReport(Frozen, frozen=True, kw_only=True):
    """What `check` found; `labels` says where they came from."""

    model: str
    items: int
    seed: int
    labels: typing.Literal["data", "drawn"]
    auc: float
    """Of the float model."""
    precisions: tuple[PrecisionCheck, ...]


class Data(typing.NamedTuple):
    """Items to judge by: ids, dense features, labels (bool), any of the latter two or None."""

    sparse: npt.NDArray[np.int64]
    dense: npt.NDArray[np.float32] | None
    labels: npt.NDArray[np.bool_] | None

    def part(self, items: slice) -> "Data":
        """Some of the items."""
        dense = None if self.dense is None else self.dense[items]
        return Data(self.sparse[items], dense, None if self.labels is None else self.labels[items])


def check(
    model: TracedModel,
    *,
    precisions: typing.Iterable[Precision] = tuple(Precision),
    data: Data | None = None,
    items: int = ITEMS,
    seed: int = 0,
) -> CheckReport:
    """Compare every precision with the float model.

    Parameters
    ----------
    data : items to judge by. Its first half shows the ranges of the layers, its second half is judged.
        By default `items` items of uniform ids are judged, and others show the ranges
    seed : of ids and labels. Where `data` has no labels, they are drawn from the float model's own probabilities, so
        that no model could rank better than it
    """
    calibration = None
    if data is None:
        random = random_batch(model, items=items, seed=seed + 1)  # the calibration batch has seed 0
        judged = Data(random.sparse, random.dense, None)
    else:
        half = len(data.sparse) // 2
        shown, judged = data.part(slice(half)), data.part(slice(half, None))
        calibration = Calibration(sparse=shown.sparse, dense=shown.dense)
    vector = model.vector(judged.sparse, judged.dense)

    def quantised(precision: Precision) -> Judged:
        return Judged(quantised=quantise(model, precision=precision, calibration=calibration))

    outputs = model.layers(vector)
    return judge(model, vector, outputs, judged, precisions=precisions, seed=seed, judged=quantised)


class Judged(typing.NamedTuple):
    """A precision to be judged: its integers and, where users come in, their vectors and errors."""

    quantised: Quantised
    users: npt.NDArray[np.int64] | None = None
    errors: UserErrors | None = None


def judge(
    model: TracedModel,
    vector: torch.Tensor,
    outputs: tuple[torch.Tensor, ...],
    items: Data,
    *,
    precisions: typing.Iterable[Precision],
    seed: int,
    judged: typing.Callable[[Precision], Judged],
) -> CheckReport:
    """Compare every precision with the float model's `outputs` of items whose float vectors are `vector`."""
    exact = _Exact(vector, outputs)
    logits = exact.outputs[-1][:, 0]
    labels = items.labels
    if labels is None:
        labels = np.random.default_rng(seed).random(len(logits)) < torch.sigmoid(logits).numpy()
    best = auc(logits.numpy(), labels)
    given = Data(items.sparse, items.dense, labels)
    results = tuple(_check(model, judged(precision), exact, given, best) for precision in precisions)
    return CheckReport(
        model=model.shape.name,
        items=len(logits),
        seed=seed,
        labels="drawn" if items.labels is None else "data",
        auc=best,
        precisions=results,
    )


class _Exact(typing.NamedTuple):
    """The float model's vectors and layers."""

    vector: torch.Tensor
    outputs: tuple[torch.Tensor, ...]


def _check(model: TracedModel, judged: Judged, exact: _Exact, items: Data, best: float) -> PrecisionCheck:
    quantised = judged.quantised
    precision = quantised.input.precision
    golden = Golden(
        features=model.shape,
        model=quantised.model,
        input=quantised.input,
        tables=[quantised_table(table, quantised.input) for table in model.tables],
        dense=quantised.dense,
        user=quantised.user,
    )
    result = golden.run(items.sparse, items.dense, users=judged.users)
    bounds = error_bounds(model, quantised, result, exact.vector, exact.outputs, users=judged.errors)
    values = golden_values(quantised, result)
    outputs = [layer.numpy() for layer in exact.outputs]
    layers = tuple(
        LayerCheck(
            layer=number,
            inputs=layer.inputs,
            outputs=layer.outputs,
            low=float(output.min()),
            high=float(output.max()),
            step=quantised.steps[number],
            saturations=result.saturations[number],
            error=_rms(value - output),
            expected_error=_rms(bounds.deviations[number]),
            largest_error=float(np.abs(value - output).max()),
            bound=float(bounds.layers[number].max()),
        )
        for number, (layer, output, value) in enumerate(zip(model.shape.layers, outputs, values[1:], strict=True))
    )
    logits = outputs[-1][:, 0]
    scores = 1 / (1 + np.exp(-logits)) if model.shape.sigmoid else logits
    own = float("nan") if items.labels is None else auc(result.logits, items.labels)
    return PrecisionCheck(
        precision=precision,
        input_step=quantised.input.step,
        layers=layers,
        score_error=float(np.abs(result.scores - scores).max()),
        auc=own,
        auc_change=own - best,
        top10_overlap=top_overlap(logits, result.logits, count=TOP),
    )


def _rms(values: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.square(values).mean()))


class _Rows:
    """Rows of a stored table, quantised when they are looked up."""

    def __init__(self, table: StoredTable, quantisation: InputQuantisation) -> None:
        self._table, self._quantisation = table, quantisation

    def __getitem__(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._quantisation.integers(self._table.weight.detach()[torch.from_numpy(ids)].float().numpy())


def quantised_table(table: GeneratedTable | StoredTable, quantisation: InputQuantisation) -> QuantisedTable:
    """A table as the golden model takes it, without a quantised copy of all its rows."""
    return table if isinstance(table, GeneratedTable) else _Rows(table, quantisation)


def read_data(path: Path, model: TracedModel) -> Data:
    """Items of an .npz file with arrays ``sparse`` (int64), ``dense`` (float32) and ``labels`` (0 or 1), the last two
    only if there are any.

    Raises
    ------
    InputError
        If the file is no such file, or its arrays do not fit the model.
    """
    try:
        arrays = read_arrays(path)
        parts = {name: arrays[name] for name in ("sparse", "dense", "labels") if name in arrays}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as .npz: {getattr(error, 'strerror', None) or error}") from error
    if "sparse" not in parts:
        raise InputError(f"{path}: must hold an array 'sparse'")
    try:
        sparse, dense = check_batch(model.shape, parts["sparse"], parts.get("dense"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    labels = parts.get("labels")
    if labels is not None and (labels.shape != (len(sparse),) or not np.isin(labels, (0, 1)).all()):
        raise InputError(f"{path}: labels must be 0 or 1, of shape ({len(sparse)},), not {labels.shape}")
    if len(sparse) < 4:
        raise InputError(f"{path}: must hold at least 4 items, not {len(sparse)}")
    return Data(sparse=sparse, dense=dense, labels=None if labels is None else labels.astype(bool))
