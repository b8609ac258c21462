"""Base, split and split + int8 of one model over paired seeds: figures, intervals, and what they allow to be said."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.data.schema import DataSet
from microduet.duet import zoo
from microduet.duet.shape import DlrmShape
from microduet.duet.split import SplitName
from microduet.errors import TrainingError
from microduet.models.dlrm import DlrmModel
from microduet.models.split import SplitModel, split
from microduet.progress import Steps
from microduet.train.batches import Batch, Source, ahead
from microduet.train.bootstrap import REPLICATES, Interval, difference, interval, replicates
from microduet.train.checkpoint import Point
from microduet.train.int8 import Int8Scores, Scorer, calibration, score_all
from microduet.train.metrics import NAMES, Metrics, metrics
from microduet.train.run import LOOKUPS_AT_ONCE, Settings, Trained, Training, checkpoint_path
from microduet.train.threads import threads_for, using_threads
from microduet_hw.config import Frozen

PAIRS = (("base", "split"), ("split", "int8"), ("base", "int8"))
"""Of which each second may be worse than the first."""

JUDGED_AT_ONCE = 2048
"""Test rows of a batch, at most."""

JUDGED_CHUNK = 4 * JUDGED_AT_ONCE
"""Test rows that are read together: the models of all seeds are in memory too, and a command stays under 4 GB."""


class Figure(Frozen, frozen=True, kw_only=True):
    """One metric of one kind of model, or its difference between two.

    Members
    -------
    mean : over the seeds
    seeds : one value per seed of the training
    interval : 95 %, of the mean, over test rows: what other rows would have given
    """

    mean: float
    seeds: tuple[float, ...]
    interval: Interval


class Change(Frozen, frozen=True, kw_only=True):
    """What `second` has less of than `first`; for a log-loss, more.

    Members
    -------
    figures : by metric
    within_seed_spread : by metric, whether the mean difference is smaller than the first's spread over seeds
    """

    first: str
    second: str
    figures: dict[str, Figure]
    within_seed_spread: dict[str, bool]


class Comparison(Frozen, frozen=True, kw_only=True):
    """Everything that a comparison found.

    Members
    -------
    best_auc : of the true probabilities on the same test rows, None where they are not known
    figures : by kind of model (base, split, int8), by metric
    checkpoints : of every seed and kind
    curves : learning curves, by kind, one per seed
    """

    model: str
    data: str
    split: str
    rows: int
    test_rows: int
    seeds: tuple[int, ...]
    best_auc: float | None
    figures: dict[str, dict[str, Figure]]
    changes: tuple[Change, ...]
    curves: dict[str, tuple[tuple[Point, ...], ...]]
    checkpoints: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is compared.

    Members
    -------
    shape : of the model that is trained
    split : none for the base alone; exact is cut from the trained base, duet is trained
    seeds : of trainings; base and split of one seed start from equal tables and see the rows in one order
    test_rows : at most so many, from the start of the test part
    """

    shape: DlrmShape
    data: DataSet
    split: SplitName
    settings: Settings
    seeds: tuple[int, ...]
    test_rows: int
    folder: Path
    replicates: int = REPLICATES


def compare(plan: Plan, progress: Steps) -> Comparison:
    """Train what is not trained yet, and judge all kinds and seeds on the same test rows."""
    if not plan.seeds or min(plan.test_rows, plan.replicates) < 1:
        raise TrainingError("--seeds, --test-rows and --replicates must be at least 1")
    count = min(plan.test_rows, plan.data.rows("test"))
    curves: dict[str, list[tuple[Point, ...]]] = {}
    paths: list[str] = []
    scores, labels = _scores(plan, count, curves, paths, progress)
    kinds = [kind for kind in ("base", "split", "int8") if _key(kind, plan.seeds[0]) in scores]
    exact = {name: metrics(values, labels) for name, values in scores.items()}
    drawn = replicates(scores, labels, count=plan.replicates)
    best = getattr(plan.data, "best_auc", None)
    return Comparison(
        model=plan.shape.name,
        data=plan.data.schema.name,
        split=plan.split,
        rows=plan.settings.rows,
        test_rows=count,
        seeds=plan.seeds,
        best_auc=None if best is None else float(best("test", count)),
        figures={kind: _figures(kind, plan.seeds, exact, drawn) for kind in kinds},
        changes=tuple(_change(a, b, plan.seeds, exact, drawn) for a, b in PAIRS if a in kinds and b in kinds),
        curves={kind: tuple(own) for kind, own in curves.items()},
        checkpoints=tuple(paths),
    )


def _key(kind: str, seed: int) -> str:
    return f"{kind}-{seed}"


def _scores(
    plan: Plan, count: int, curves: dict[str, list[tuple[Point, ...]]], paths: list[str], progress: Steps
) -> tuple[dict[str, npt.NDArray[np.float32]], npt.NDArray[np.uint8]]:
    """As `_judged` of all runs, whose curves and paths are noted; no model stays in memory."""
    scorers, sources = list[Scorer](), list[Source]()
    for seed in plan.seeds:
        runs, own = _runs(plan, seed, progress)
        scorers += own
        for kind, run in runs.items():
            curves.setdefault(kind, []).append(run.description.curve)
            paths.append(str(run.path))
            sources.append(run.source)
    return _judged(plan.shape, sources[0], count, scorers, progress)


def _judged(
    shape: DlrmShape, source: Source, count: int, scorers: list[Scorer], progress: Steps
) -> tuple[dict[str, npt.NDArray[np.float32]], npt.NDArray[np.uint8]]:
    """Scores of all models, and the labels, of the first `count` test rows, which are read once for all."""
    batch = min(JUDGED_AT_ONCE, max(1, LOOKUPS_AT_ONCE // shape.lookups))
    batches = dataclasses.replace(source, batch=batch, most=JUDGED_CHUNK).batches(
        "test", first=0, count=count, train=False
    )
    with using_threads(threads_for(shape, batch)):
        return score_all(ahead(batches), scorers, count, lambda rows: progress("judging", rows, count))


def _runs(plan: Plan, seed: int, progress: Steps) -> tuple[dict[str, Trained], list[Scorer]]:
    """The trainings of one seed, and what scores their rows. An exact split is cut from the base, not trained."""
    spec = zoo.DlrmModelSpec(shape=plan.shape, seed=seed)
    base = Training(spec, plan.data, plan.settings, checkpoint_path(plan.folder, spec)).run(progress)
    runs = {"base": base}

    def scored(batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        sums = base.learner.tables.sums(batch.bags)
        models = {"base": base.learner.model} | ({"split": cut} if cut else {})
        return {_key(kind, seed): base.learner.score(batch, model, sums=sums) for kind, model in models.items()}

    cut = None
    if plan.split == "exact":
        assert isinstance(base.learner.model, DlrmModel)
        cut = split(base.learner.model, "exact")
    if plan.split != "duet":
        return runs, [scored]
    spec = spec.replace(split=zoo.split_of(plan.shape, "duet"))
    runs["split"] = own = Training(spec, plan.data, plan.settings, checkpoint_path(plan.folder, spec)).run(progress)
    model = own.learner.model
    assert isinstance(model, SplitModel)
    integers = Int8Scores(model, own.learner.tables, calibration(model, plan.data, own.source.hashing))

    def scored_twice(batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        sums = own.learner.tables.sums(batch.bags)
        found = {"split": own.learner.score(batch, sums=sums), "int8": integers.score(batch, sums)}
        return {_key(kind, seed): values for kind, values in found.items()}

    return runs, [scored, scored_twice]


def _figures(
    kind: str, seeds: tuple[int, ...], exact: Mapping[str, Metrics], drawn: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for column, name in enumerate(NAMES):
        values = tuple(float(getattr(exact[_key(kind, seed)], name)) for seed in seeds)
        means = np.mean([drawn[_key(kind, seed)][:, column] for seed in seeds], axis=0)
        found[name] = Figure(mean=float(np.mean(values)), seeds=values, interval=interval(means))
    return found


def _change(
    first: str,
    second: str,
    seeds: tuple[int, ...],
    exact: Mapping[str, Metrics],
    drawn: Mapping[str, npt.NDArray[np.float64]],
) -> Change:
    figures: dict[str, Figure] = {}
    within: dict[str, bool] = {}
    pairs = [(_key(first, seed), _key(second, seed)) for seed in seeds]
    for name in NAMES:
        values = tuple(float(getattr(exact[a], name) - getattr(exact[b], name)) for a, b in pairs)
        means = difference(drawn, pairs, name)
        figures[name] = Figure(mean=float(np.mean(values)), seeds=values, interval=interval(means))
        own = [float(getattr(exact[a], name)) for a, _ in pairs]
        within[name] = abs(float(np.mean(values))) < max(own) - min(own)
    return Change(first=first, second=second, figures=figures, within_seed_spread=within)
