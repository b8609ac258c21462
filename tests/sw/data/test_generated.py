"""The generated click log: its rows come from their numbers alone, and its clicks from the model that it states."""

import itertools
import tracemalloc

import numpy as np
import pytest

from microduet.data.click_model import ClickShares
from microduet.data.draws import Zipf, draw, normal_steps, stream
from microduet.data.generated import GeneratedLog, for_shape
from microduet.data.items import GROUPS
from microduet.data.schema import PARTS
from microduet.data.world import World
from microduet.duet import zoo
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide
from microduet.errors import InputError
from tests.sw.data.logs import same, whole

SHAPE = DlrmShape(
    name="small",
    tables=(TableShape(rows=300, dim=4), TableShape(rows=500, dim=4), TableShape(rows=40, dim=4)),
    features=(Lookups(table=0), Lookups(table=1, lookups=6), Lookups(table=2), Lookups(table=1), Lookups(table=2)),
    bottom=(6, 8, 4),
    top=(8, 4, 1),
    user=UserSide(features=(0, 1, 2), static=(0, 2, 4, 5), context=(1, 3)),
)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_rows_are_the_same_whatever_is_read_before_them(seed: int) -> None:
    log = for_shape(SHAPE, rows=5000, seed=seed, test=100)
    every = whole(log, size=777)
    assert len(every) == 5000
    for first, count, size in ((0, 1, 1), (1234, 1000, 999), (4999, 1, 64), (64, 4936, 4936)):
        assert same(whole(log, first=first, count=count, size=size), every[first : first + count])


def test_equal_seeds_give_equal_rows_and_other_seeds_other_ones() -> None:
    rows = [whole(for_shape(SHAPE, rows=200, seed=seed, test=10), size=200) for seed in (3, 3, 4)]
    assert same(rows[0], rows[1])
    assert not np.array_equal(rows[0].sparse, rows[2].sparse)
    assert not np.array_equal(rows[0].dense, rows[2].dense)


def test_the_parts_are_different_rows_and_more_rows_do_not_change_the_click_model() -> None:
    log = for_shape(SHAPE, rows=2000, seed=5, test=2000)
    assert [log.rows(part) for part in PARTS] == [2000, 10_000, 2000]
    assert not np.array_equal(whole(log, size=2000).sparse, whole(log, "test", size=2000).sparse)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_every_model_of_the_zoo_has_a_log_of_its_shape(name: str) -> None:
    shape = zoo.shape_of(name).with_rows(200)
    log = for_shape(shape, rows=1000, seed=6, test=100)
    chunk = whole(log, count=100, size=64)
    assert chunk.sparse.shape == (100, shape.lookups)
    assert chunk.dense.shape == (100, shape.dense)
    assert (chunk.sparse.dtype, chunk.dense.dtype, chunk.labels.dtype) == (np.int64, np.float32, np.uint8)
    assert chunk.sparse.min() >= -1
    assert chunk.sparse.max() < 200
    schema = log.schema
    assert [column.lookups for column in schema.sparse] == [feature.lookups for feature in shape.features]
    assert tuple(k for k, column in enumerate(schema.sparse) if column.side == "user") == shape.user.features
    assert tuple(k for k, column in enumerate(schema.dense) if column.role == "static") == shape.user.static


def test_only_histories_have_empty_places_and_those_are_their_oldest() -> None:
    log = for_shape(SHAPE, rows=3000, seed=7, test=10)
    chunk = whole(log, size=3000)
    empty = chunk.sparse == -1
    history = log.schema.columns("history-1")
    assert 0.02 < empty[:, history].mean() < 0.5
    assert (np.diff(empty[:, history].astype(int), axis=1) >= 0).all()
    empty[:, history] = False
    assert not empty.any()


def test_a_users_attributes_stay_and_a_click_moves_his_history_by_one() -> None:
    world = World(SHAPE, seed=8, users=5)
    who = world.who(np.arange(4000))
    past = world.histories(who)
    dense = world.dense(who)
    moved = 0
    for user in range(5):
        rows = np.flatnonzero(who.users == user)
        assert len(np.unique(dense[rows][:, [0, 2, 4, 5]], axis=0)) == 1
        assert len(np.unique(dense[rows][:, [1, 3]], axis=0)) == len(rows)
        for before, after in itertools.pairwise(rows):
            if who.clicks[after] == who.clicks[before] + 1 and (past[[before, after]] >= 0).all():
                assert past[after, 1:].tolist() == past[before, :-1].tolist()
                moved += 1
    assert moved > 100


def test_taste_drifts_but_old_favourites_stay() -> None:
    world = World(SHAPE, seed=9, users=64)
    who = world.who(np.arange(50_000))
    user = np.bincount(who.users).argmax()
    groups = who.items[who.users == user] % GROUPS
    early, late = (np.bincount(half, minlength=GROUPS) / len(half) for half in np.array_split(groups, 2))
    assert np.abs(early - late).max() > 0.02
    assert early.argmax() == late.argmax()
    assert early.max() > 2 / GROUPS


def test_popularity_follows_zipfs_law() -> None:
    ranks = Zipf(100_000, 1.05).ranks(draw(stream(10), np.arange(400_000)))
    counts = np.bincount(ranks, minlength=100_000)
    decades = [counts[10**k - 1 : 10 ** (k + 1) - 1].sum() for k in range(5)]
    density = np.diff([(10.0**k) ** -0.05 for k in range(6)])
    np.testing.assert_allclose(np.array(decades) / 400_000, density / density.sum(), rtol=0.02)


def test_clicks_come_as_often_as_their_probabilities_say() -> None:
    log = for_shape(SHAPE, rows=60_000, seed=11, test=10)
    chances, labels = log.probabilities("train"), whole(log, size=60_000).labels
    order = np.argsort(chances)
    for tenth in np.array_split(order, 10):
        expected = chances[tenth].sum()
        deviation = np.sqrt((chances[tenth] * (1 - chances[tenth])).sum())
        assert abs(labels[tenth].sum() - expected) < 4 * deviation
    assert abs(labels.mean() - 0.25) < 0.03


def test_the_best_auc_is_that_of_the_true_probabilities_and_others_are_worse() -> None:
    log = for_shape(SHAPE, rows=4000, seed=12, test=10)
    chances, chunk = log.probabilities("train"), whole(log, size=4000)

    def auc(scores: np.ndarray) -> float:
        clicked, others = scores[chunk.labels == 1], scores[chunk.labels == 0]
        wins = (clicked[:, None] > others).mean() + (clicked[:, None] == others).mean() / 2
        return float(wins)

    assert log.best_auc("train") == pytest.approx(auc(chances), abs=1e-5)
    assert 0.75 < auc(chances) < 0.9
    assert auc(chunk.dense[:, 0]) < auc(chances) - 0.1
    assert log.best_auc("train", 1000) != log.best_auc("train")


def test_shares_decide_what_clicks_depend_on() -> None:
    blind = ClickShares(dense=0, user=0, item=0, interaction=0)
    log = GeneratedLog(SHAPE, rows=1000, seed=13, shares=blind)
    assert np.ptp(log.probabilities("train")) < 1e-12
    steep = GeneratedLog(SHAPE, rows=1000, seed=13, shares=ClickShares(spread=6))
    assert steep.best_auc("train") > GeneratedLog(SHAPE, rows=1000, seed=13).best_auc("train") + 0.05


def test_a_hundred_million_rows_take_the_memory_of_one_chunk() -> None:
    log = for_shape(SHAPE, rows=100_000_000, seed=14)
    tracemalloc.start()
    chunk = next(log.chunks("train", first=99_000_000, size=4096))
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chunk) == 4096
    assert taken < 64 << 20


def test_normal_steps_are_standard_normal() -> None:
    steps = normal_steps().astype(np.float64)
    assert (abs(steps.mean()), steps.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows must be 1 to 1,000,000,000, not 0"),
        ({"rows": 10**9 + 1}, "not 1000000001"),
        ({"validation": 0}, "validation must be 1"),
        ({"test": -5}, "test must be 1 to 1,000,000,000, not -5"),
    ],
)
def test_refuses_rows_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GeneratedLog(SHAPE, **options)


def test_refuses_rows_that_a_part_does_not_have() -> None:
    log = for_shape(SHAPE, rows=100, seed=15, test=10)
    with pytest.raises(InputError, match="generated train: rows 90 to 100 were asked for, but there are 100"):
        next(log.chunks("train", first=90, count=11))
    with pytest.raises(InputError, match="generated test: rows 0 to 10"):
        log.probabilities("test", 0, 11)


def test_one_class_has_no_auc() -> None:
    never = GeneratedLog(SHAPE, rows=100, seed=16, shares=ClickShares(rate=1e-9))
    with pytest.raises(InputError, match="the first 100 rows of train have labels of one class only"):
        never.best_auc("train")
