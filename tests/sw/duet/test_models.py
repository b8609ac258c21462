"""Torch modules of whole and cut models: what each part computes, and that `exact` changes nothing."""

import pytest
import torch

import microduet as md
from microduet.duet import zoo
from microduet.errors import ModelError
from microduet.models import DlrmModel, SplitModel
from microduet.models.dlrm import random_inputs
from microduet.models.layers import linears
from microduet.models.split import blocks
from tests.sw.duet.test_shape import SMALL

BUILDERS = {name: getattr(md.models, name) for name in zoo.RM}
ROUNDING = 2.0**-24


def inputs(model: DlrmModel | SplitModel, items: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor | None]:
    print(f"seed {seed}")
    return random_inputs(model.shape, items, torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize("name", zoo.RM)
def test_exact_equals_the_whole_model_up_to_float_rounding(name: str) -> None:
    """Only the order of one layer's sums differs.

    A sum of n products and a bias is off by at most g = (n + 1) u / (1 - (n + 1) u) of the sum of magnitudes, u = 2^-24
    (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1); two evaluations and one more addition differ
    by at most three times that.
    """
    whole, cut = (BUILDERS[name](rows=1000, seed=1, split=split) for split in ("none", "exact"))
    sparse, dense = inputs(whole, 40)
    own = sum(whole.shape.features[k].lookups for k in whole.shape.user.features)
    vector, first = whole.vector(sparse, dense), linears(whole.top)[0]
    sums = cut.user_vector(sparse[:, :own], dense) + cut.item_part(sparse[:, own:])
    n = (first.in_features + 1) * ROUNDING
    magnitudes = vector.double().abs() @ first.weight.double().abs().T + first.bias.double().abs()
    bound = 3 * n / (1 - n) * magnitudes
    assert bound.max() < 0.02  # the bound itself says something
    assert ((first(vector).double() - sums.double()).abs() <= bound).all()
    torch.testing.assert_close(cut(sparse, dense), whole(sparse, dense), atol=1e-5, rtol=0)


@torch.no_grad()
def test_microrecs_small_model_is_cut_without_a_change() -> None:
    model = md.models.microrec_small(seed=2)
    cut = md.models.split(model, "exact")
    sparse, _ = inputs(cut, 100)
    torch.testing.assert_close(cut(sparse), model(sparse), atol=1e-5, rtol=0)
    assert cut.user_model.top[0].weight.shape == (1024, 264)


@torch.no_grad()
def test_a_joint_matrix_of_a_duet_split_is_block_diagonal() -> None:
    """Both parts of both layers are one layer each whose weights between user and item are zero."""
    model = md.models.rm1(rows=100, split="duet")
    assert isinstance(model, SplitModel)
    sparse, dense = inputs(model, 20)
    users = sparse[:, : 6 * 80]
    pooled = model.pooled(users)
    static, context = dense[:, :112], dense[:, 112:]  # type: ignore[index]
    user = model.user_model.vector(pooled, static, context)
    values = torch.cat([user, model.embeddings(model.shape, (6, 7), sparse[:, 480:])], 1)
    for mine, theirs in zip(linears(model.user_model.top), linears(model.item_model), strict=True):
        joint = blocks(mine, theirs)
        assert not joint[: mine.out_features, mine.in_features :].any()
        values = torch.relu(values @ joint.T + torch.cat([mine.bias, theirs.bias]))
    torch.testing.assert_close(model.logits(sparse, dense), model.combined_model.layers(values), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("split", ["duet", "exact"])
@pytest.mark.parametrize("name", zoo.RM)
def test_a_user_vector_is_computed_once_for_all_candidates(name: str, split: str) -> None:
    model = BUILDERS[name](rows=50, split=split)
    sparse, dense = inputs(model, 6)
    own = sum(model.shape.features[k].lookups for k in model.shape.user.features)
    sparse[:, :own] = sparse[:1, :own]  # the zoo's user features come first
    dense = None if dense is None else dense[:1].expand(6, -1)
    user = model.user_vector(sparse[:1, :own], None if dense is None else dense[:1])
    assert user.shape == (1, 200 if (name, split) == ("rm5", "exact") else model.split.user_top[-1])
    torch.testing.assert_close(model.rank(user[0], sparse[:, own:]), model(sparse, dense), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_static_and_context_columns_may_stand_anywhere() -> None:
    """Column 3 and 7 of the dense input are context: changing another changes nothing in the dynamic part."""
    whole = md.models.dlrm(SMALL, seed=4)
    cut = md.models.dlrm(SMALL, seed=4, split="exact")
    duet = md.models.dlrm(SMALL, seed=4, split="duet")
    sparse, dense = inputs(whole, 30)
    torch.testing.assert_close(cut(sparse, dense), whole(sparse, dense), atol=1e-5, rtol=0)
    assert isinstance(duet, SplitModel)
    assert dense is not None
    other = dense.clone()
    other[:, [3, 7]] += 1
    before, after = (
        duet.user_model.vector(duet.pooled(sparse[:, :6]), one[:, [0, 1, 2, 4, 5, 6]], one[:, [3, 7]])
        for one in (dense, other)
    )
    assert torch.equal(before[:, :-2], after[:, :-2])
    assert not torch.equal(before[:, -2:], after[:, -2:])


@torch.no_grad()
@pytest.mark.parametrize("tables", ["generated", "dense"])
def test_an_empty_place_of_a_history_adds_nothing(tables: str) -> None:
    model = md.models.dlrm(SMALL, split="duet", tables=tables)
    assert isinstance(model, SplitModel)
    ids = torch.tensor([[3, 4, -1, -1, -1, 9]])
    table = model.embeddings.tables[0]
    torch.testing.assert_close(model.pooled(ids)[0, :4], table(ids[0, :2]).sum(0))
    assert not model.pooled(torch.full((1, 6), -1)).any()


@torch.no_grad()
def test_stored_tables_hold_what_generated_ones_compute() -> None:
    a, b = (md.models.rm5(rows=64, tables=tables) for tables in ("generated", "dense"))
    sparse, dense = inputs(a, 5)
    torch.testing.assert_close(a(sparse, dense), b(sparse, dense), atol=1e-6, rtol=0)
    assert len(list(b.embeddings.parameters())) == 3  # history and candidate share theirs


@torch.no_grad()
def test_two_outputs_are_scored_by_their_softmax() -> None:
    model = md.models.rm5(rows=10)
    sparse, dense = inputs(model, 5)
    torch.testing.assert_close(model(sparse, dense), torch.softmax(model.logits(sparse, dense), 1)[:, 1])


@torch.no_grad()
@pytest.mark.parametrize("name", zoo.RM)
@pytest.mark.parametrize("split", ["none", "duet"])
def test_equal_seeds_give_equal_models_whose_scores_spread(name: str, split: str) -> None:
    a, b, c = (BUILDERS[name](rows=500, split=split, seed=seed) for seed in (3, 3, 4))
    sparse, dense = inputs(a, 100)
    assert torch.equal(a(sparse, dense), b(sparse, dense))
    assert not torch.equal(a(sparse, dense), c(sparse, dense))
    assert float(a(sparse, dense).std()) > 0.1


def test_a_model_of_full_size_opens_without_its_tables() -> None:
    model = md.models.rm1()
    assert model.shape.tables[0].rows == 4_000_000
    assert sum(parameter.numel() for parameter in model.parameters()) < 200_000


def test_refuses_to_split_what_no_list_divides() -> None:
    with pytest.raises(ModelError, match=r"model must be rm1.*not 'microrec-large'"):
        md.models.split(md.models.microrec_large())


def test_refuses_a_split_model_without_a_split() -> None:
    with pytest.raises(ModelError, match="needs a split"):
        SplitModel(zoo.spec("rm1", rows=10))
