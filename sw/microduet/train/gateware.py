"""How well the integers of edge unit and engine rank: over a whole test part in the golden models, a sample in RTL."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

import microduet as md
from microduet.duet.users import UserBatch
from microduet.errors import TrainingError
from microduet.golden import Golden
from microduet.models.split import SplitModel
from microduet.progress import Steps
from microduet.queries.golden import best_first
from microduet.train.batches import Source
from microduet.train.checkpoint import load_users
from microduet.train.gateware_sample import CANDIDATES, SampleResult, run_sample
from microduet.train.int8 import Int8Scores, log_items
from microduet.train.metrics import metrics
from microduet.train.run import Trained
from microduet_hw.config import Frozen

GROUP = 100
"""Neighbouring test rows that are ranked together."""

TOP = 10


class GatewareQuality(Frozen, frozen=True, kw_only=True):
    """What ranking in integers costs.

    Members
    -------
    precision : of the engine
    rows : of the test part
    auc_float, auc_integer : of the split model in float32, and of the integers of edge unit and engine
    top_10 : share of groups of 100 rows whose ten best are the same rows in the same order; None if no group is whole
    top_10_members : mean share of the ten best that both have; None likewise
    sample : queries that ran through the simulated edge unit and engine
    sample_items : their candidates
    mismatches : of user vectors, logits and orders against the golden models, in the sample
    """

    precision: str
    rows: int
    auc_float: float
    auc_integer: float
    top_10: float | None
    top_10_members: float | None
    sample: int
    sample_items: int
    mismatches: int


def gateware_quality(trained: Trained, *, rows: int, queries: int, precision: str, progress: Steps) -> GatewareQuality:
    """Judge the checkpoint of a `duet` split as edge unit and engine compute it.

    Parameters
    ----------
    rows : of the test part, at most
    queries : users of the sample, each with `gateware_sample.CANDIDATES` candidates
    precision : of the engine, fixed16 or int8

    Raises
    ------
    TrainingError
        If the model is not split so.
    MicroduetError
        If it does not fit the unit or the engine.
    """
    model, source = trained.learner.model, trained.source
    if not isinstance(model, SplitModel) or model.split.kind != "duet":
        raise TrainingError(f"{model.name}: edge unit and engine compute a duet split")
    progress("compiling for edge unit and engine", 0, 1)
    edge, engine = md.compile_edge(str(trained.path)), md.compile(str(trained.path), precision=precision)
    users = Int8Scores(model, trained.learner.tables, _users(trained))
    count = min(rows, source.data.rows("test"))
    part = _test_part(trained, users, engine.golden(), count, progress)
    sample = run_sample(edge, engine, model, _chunk(source, queries), progress=progress)
    return _quality(part, sample, precision)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Part:
    labels: npt.NDArray[np.uint8]
    float_scores: npt.NDArray[np.float32]
    logits: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def _users(trained: Trained) -> UserBatch:
    users = load_users(trained.path)
    assert users is not None, "a duet split's checkpoint has the users of its calibration"
    return users


def _test_part(trained: Trained, users: Int8Scores, golden: Golden, count: int, progress: Steps) -> _Part:
    """Scores of every test row, in float32 and in integers."""
    source, model = trained.source, trained.learner.model
    assert isinstance(model, SplitModel)
    labels, floats, logits, scores = (list[npt.NDArray[np.generic]]() for _ in range(4))
    batches = source.batches("test", first=0, count=count, train=False)
    done = 0
    for batch, items in zip(batches, _items(source, model, count), strict=True):
        vectors = users.payload(batch)
        result = golden.run(items, users=vectors)
        labels.append(batch.labels.numpy().astype(np.uint8))
        floats.append(trained.learner.score(batch))
        logits.append(result.logits)
        scores.append(result.scores)
        done += len(items)
        progress("ranking in integers", done, count)
    return _Part(
        labels=np.concatenate(labels).astype(np.uint8),
        float_scores=np.concatenate(floats).astype(np.float32),
        logits=np.concatenate(logits).astype(np.int64),
        scores=np.concatenate(scores).astype(np.float32),
    )


def _items(source: Source, model: SplitModel, count: int) -> Iterator[npt.NDArray[np.int64]]:
    """Ids of the items of test rows, batch by batch."""
    for chunk in source.data.chunks("test", first=0, count=count, size=source.chunk):
        own = log_items(model, source.hashing(chunk))
        for start in range(0, len(own), source.batch):
            yield np.ascontiguousarray(own[start : start + source.batch])


def _chunk(source: Source, queries: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Hashed ids and dense inputs of the sample's rows."""
    count = min(source.data.rows("test"), queries * CANDIDATES)
    chunk = next(iter(source.data.chunks("test", count=count, size=count)))
    return source.hashing(chunk), chunk.dense


def _quality(part: _Part, sample: SampleResult, precision: str) -> GatewareQuality:
    same, members = tops(part.float_scores, part.logits)
    return GatewareQuality(
        precision=precision,
        rows=len(part.labels),
        auc_float=metrics(part.float_scores, part.labels).auc,
        auc_integer=metrics(part.scores, part.labels).auc,
        top_10=same,
        top_10_members=members,
        sample=sample.queries,
        sample_items=sample.items,
        mismatches=sample.mismatches,
    )


def tops(floats: npt.NDArray[np.float32], logits: npt.NDArray[np.int64]) -> tuple[float, float] | tuple[None, None]:
    """Over groups of `GROUP` rows: share with the ten best in the same order, and mean share of the ten that agree.

    Rows behind the last whole group are left out; without a whole group there is nothing to say.
    """
    same: list[bool] = []
    members: list[float] = []
    for first in range(0, len(floats) - GROUP + 1, GROUP):
        rows = slice(first, first + GROUP)
        tags = np.arange(GROUP, dtype=np.uint32)
        a = np.lexsort((tags, -floats[rows].astype(np.float64)))[:TOP]
        b = best_first(logits[rows], tags)[:TOP]
        same.append(bool((a == b).all()))
        members.append(len(np.intersect1d(a, b)) / TOP)
    return (float(np.mean(same)), float(np.mean(members))) if same else (None, None)
