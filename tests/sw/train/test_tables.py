"""Fused tables against torch's own embeddings and autograd."""

import numpy as np
import pytest
import torch

from microduet.train.tables import EPSILON, START, Tables
from tests.sw.duet.test_shape import SMALL
from tests.sw.train.logs import small_log

ROWS = 200


@pytest.fixture
def sparse() -> np.ndarray:
    return small_log(train=ROWS).whole("train").sparse


def expected_sums(tables: Tables, sparse: np.ndarray, weights: list[torch.Tensor]) -> torch.Tensor:
    pieces = []
    for number, feature in enumerate(SMALL.features):
        ids = torch.from_numpy(sparse[:, SMALL.columns(number)])
        rows = weights[feature.table][ids.clamp(min=0)] * (ids >= 0).unsqueeze(-1)
        pieces.append(rows.sum(1))
    return torch.cat(pieces, 1)


def weights_of(tables: Tables) -> list[torch.Tensor]:
    return [module.weight.detach().clone() for module in tables.modules()]


def test_sums_stand_in_the_order_of_the_features_whatever_their_widths(sparse: np.ndarray) -> None:
    tables = Tables(SMALL, seed=1)
    assert len(tables.widths) == 2
    found = tables.sums(tables.bags(sparse, train=False))
    torch.testing.assert_close(found, expected_sums(tables, sparse, weights_of(tables)))


def test_an_update_is_row_wise_adagrad_of_autograds_gradients(sparse: np.ndarray) -> None:
    tables = Tables(SMALL, seed=2)
    gradient = torch.randn(ROWS, SMALL.elements(range(3)), generator=torch.Generator().manual_seed(3))
    expected, squares = weights_of(tables), [torch.zeros(table.rows) for table in SMALL.tables]
    for _ in range(2):
        bags = tables.bags(sparse, train=True)
        leaves = [weight.requires_grad_() for weight in expected]
        expected_sums(tables, sparse, leaves).backward(gradient)
        tables.update(bags, gradient, 0.1)
        for number, leaf in enumerate(leaves):
            assert leaf.grad is not None
            squares[number] += leaf.grad.square().mean(1)
            change = 0.1 * leaf.grad / (squares[number].sqrt() + EPSILON).unsqueeze(1)
            expected[number] = (leaf - change).detach()
    for found, wanted in zip(weights_of(tables), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_empty_places_learn_nothing() -> None:
    tables = Tables(SMALL, seed=4)
    before = weights_of(tables)
    bags = tables.bags(np.full((3, SMALL.lookups), -1), train=True)
    assert not tables.sums(bags).any()
    tables.update(bags, torch.ones(3, SMALL.elements(range(3))), 0.1)
    assert all(torch.equal(*pair) for pair in zip(weights_of(tables), before, strict=True))
    assert not any(width.weight[-1].any() for width in tables.widths)


def test_modules_see_what_was_learnt(sparse: np.ndarray) -> None:
    tables = Tables(SMALL, seed=5)
    modules = tables.modules()
    tables.update(tables.bags(sparse, train=True), torch.ones(ROWS, SMALL.elements(range(3))), 1.0)
    assert torch.equal(modules[1].weight, weights_of(tables)[1])
    assert float(modules[0].weight.abs().max()) > START


def test_equal_seeds_give_equal_tables() -> None:
    first, again, other = (weights_of(Tables(SMALL, seed=seed))[0] for seed in (6, 6, 7))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
