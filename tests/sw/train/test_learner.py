"""A model that learns a small log, and the batches it is given."""

import dataclasses

import numpy as np
import pytest
import torch

from microduet.duet.split import SplitName
from microduet.duet.zoo import DlrmModelSpec, split_of
from microduet.errors import InputError, TrainingError
from microduet.train.batches import Source, ahead
from microduet.train.learner import Learner
from microduet.train.metrics import metrics
from microduet.train.shapes import Hashing
from tests.sw.duet.test_shape import SMALL
from tests.sw.train.logs import Log, small_log

BATCH = 128


def learner(split: SplitName = "none", *, seed: int = 0, precision: str = "float32") -> Learner:
    return Learner(DlrmModelSpec(shape=SMALL, split=split_of(SMALL, split), seed=seed), precision=precision)


def source(log: Log, own: Learner, *, seed: int = 0) -> Source:
    return Source(data=log, tables=own.tables, hashing=Hashing(SMALL, log.schema), batch=BATCH, seed=seed)


@pytest.mark.parametrize("split", ["none", "duet", "exact"])
def test_learns_clicks_and_scores_as_its_module_does(split: SplitName) -> None:
    log, own = small_log(), learner(split)
    batches = source(log, own)
    for batch in ahead(batches.batches("train", first=0, count=20_000, train=True)):
        own.step(batch)
    found = own.scores(batches.batches("test", first=0, count=4000, train=False))
    chunk = log.whole("test")
    scores = own.model(torch.from_numpy(chunk.sparse), torch.from_numpy(chunk.dense)).detach().numpy()
    np.testing.assert_allclose(found, scores, atol=1e-6)
    best = metrics(log.probabilities("test"), chunk.labels).auc
    assert 0.7 < metrics(found, chunk.labels).auc < best


def test_bfloat16_products_learn_the_same_at_first() -> None:
    log = small_log(train=BATCH * 8)
    losses = []
    for precision in ("float32", "bfloat16"):
        own = learner(precision=precision)
        losses.append([own.step(b) for b in source(log, own).batches("train", first=0, count=BATCH * 8, train=True)])
    np.testing.assert_allclose(*losses, atol=0.01)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("split", ["none", "duet"])
def test_a_batch_learns_the_same_however_many_of_its_rows_are_at_once(
    split: SplitName, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = small_log(train=BATCH * 8)

    def learnt(rows: int) -> list[float]:
        monkeypatch.setattr("microduet.train.learner.ROWS_AT_ONCE", rows)
        own = learner(split)
        return [own.step(b) for b in source(log, own).batches("train", first=0, count=BATCH * 8, train=True)]

    np.testing.assert_allclose(learnt(50), learnt(BATCH), rtol=1e-4)


def test_equal_seeds_learn_equally() -> None:
    log = small_log(train=BATCH * 4)

    def learnt(seed: int) -> list[float]:
        own = learner(seed=seed)
        batches = source(log, own, seed=seed).batches("train", first=0, count=BATCH * 4, train=True)
        return [own.step(batch) for batch in ahead(batches)]

    assert learnt(1) == learnt(1) != learnt(2)


def test_a_chunk_is_shuffled_to_learn_and_whole() -> None:
    log, own = small_log(train=BATCH * 3 + 5), learner()
    rows = log.rows("train")
    shuffled = list(source(log, own).batches("train", first=0, count=rows, train=True))
    ordered = list(source(log, own).batches("train", first=0, count=rows, train=False))
    assert [len(batch.labels) for batch in shuffled] == [BATCH] * 3 + [5]
    dense = [np.concatenate([np.asarray(batch.dense) for batch in some]) for some in (shuffled, ordered)]
    assert np.array_equal(dense[1], log.whole("train").dense)
    assert not np.array_equal(*dense)
    assert np.array_equal(*(np.sort(one[:, 0]) for one in dense))


def test_an_error_of_the_log_comes_out_where_batches_are_wanted() -> None:
    log, own = small_log(train=10), learner()
    batches = source(log, own).batches("train", first=0, count=11, train=True)
    with pytest.raises(InputError, match="rows 0 to 10 were asked for, but there are 10"):
        list(ahead(batches))


def test_nobody_waits_for_batches_that_are_no_longer_wanted() -> None:
    log, own = small_log(train=BATCH * 50), learner()
    batches = ahead(source(log, own).batches("train", first=0, count=BATCH * 50, train=True))
    next(batches)
    batches.close()
    with pytest.raises(StopIteration):
        next(batches)


def test_refuses_an_unknown_precision() -> None:
    with pytest.raises(InputError, match="precision must be auto, bfloat16, float32, not 'half'"):
        learner(precision="half")


def test_refuses_columns_of_another_model() -> None:
    with pytest.raises(TrainingError, match="log: has other columns than small"):
        Hashing(SMALL.replace(features=SMALL.features[:2], user=SMALL.user.replace(features=(0,))), small_log().schema)


@pytest.mark.parametrize(("most", "chunk"), [(1 << 16, 1 << 16), (BATCH * 3 + 1, BATCH * 3), (1, BATCH)])
def test_chunks_are_whole_batches_of_no_more_rows_than_wanted(most: int, chunk: int) -> None:
    log, own = small_log(), learner()
    wanted = dataclasses.replace(source(log, own), most=most)
    assert wanted.chunk == chunk
    sizes = [len(batch.labels) for batch in wanted.batches("test", first=0, count=1000, train=False)]
    assert sum(sizes) == 1000
