"""The click model: what it says of rows is what their inputs say, and its terms are as large as stated."""

import numpy as np
import pytest

from microduet.data.click_model import ClickModel, ClickShares
from microduet.data.world import Rows, World
from microduet.duet import zoo
from tests.sw.data.test_generated import SHAPE

NAMES = ("rm1", "rm2", "rm3", "rm5", "microrec-small")


def drawn(name: str, *, rows: int = 4000, shares: ClickShares | None = None) -> tuple[ClickModel, World, Rows]:
    shape = SHAPE if name == "small" else zoo.shape_of(name).with_rows(1000)
    world = World(shape, seed=21, users=1000)
    return ClickModel(world, seed=21, shares=shares or ClickShares()), world, world.rows(world.who(np.arange(rows)))


@pytest.mark.parametrize("name", ["small", *NAMES])
def test_clicks_depend_on_nothing_but_a_rows_inputs(name: str) -> None:
    model, world, rows = drawn(name, rows=300)
    for known, summed in zip(model.sums(rows), model.sums_of(world.sparse(rows)), strict=True):
        np.testing.assert_allclose(known, summed, atol=1e-4)


@pytest.mark.parametrize("name", ["small", *NAMES])
def test_every_term_varies_by_its_share(name: str) -> None:
    model, world, rows = drawn(name)
    terms = model.terms(model.sums(rows), rows.dense)
    shares = np.array([0.25, 0.2, 0.45, 0.1]) * [world.shape.dense > 0, 1, 1, 1]
    expected = 1.6 * np.sqrt(shares / shares.sum())
    np.testing.assert_allclose(terms.std(0), expected, rtol=0.2)


def test_the_interaction_is_a_product_of_both_sides() -> None:
    model, _, rows = drawn("rm5", shares=ClickShares(dense=0, user=0, item=0, interaction=1))
    taste, item = (np.sign(side - np.median(side)) for side in model.sums(rows)[1:])
    logits = model.logits(rows)
    assert logits[taste == item].mean() > logits[taste != item].mean() + 0.5
    for side in (taste, item):
        assert abs(logits[side > 0].mean() - logits[side < 0].mean()) < 0.8


def test_ids_that_nobody_knows_carry_nothing() -> None:
    model, world, rows = drawn("rm5", rows=50)
    sparse = world.sparse(rows)
    none = np.full_like(sparse, -1)
    for sums in model.sums_of(none):
        assert np.abs(sums).max() == 0
