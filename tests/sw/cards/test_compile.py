"""A model for several cards is the same model: its golden model is the one of a card that holds all of it."""

from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet.cards.bundle import CardsBundle
from microduet.errors import BundleError, InputError, ModelError, PlacementError
from microduet_hw.config import Precision
from tests.sw.cards.models import SMALL_BOARD, Alike, Wide, batch


@pytest.fixture
def small_board(tmp_path: Path) -> str:
    """The file of a board of 2 MiB."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL_BOARD)
    return str(path)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("cards", [1, 2, 3, 5])
def test_it_is_the_same_model(cards: int, precision: Precision) -> None:
    whole = md.compile(Alike(), precision=precision)
    bundle = md.compile_cards(Alike(), cards=cards, precision=precision)
    sparse, dense = batch(bundle.shape, 50)
    expected, found = whole.golden().run(sparse, dense), bundle.golden().run(sparse, dense)
    assert (found.logits == expected.logits).all()
    assert (found.vector == expected.vector).all()


def test_tables_in_pieces_are_the_same_tables(small_board: str) -> None:
    whole = md.compile(Wide())
    bundle = md.compile_cards(Wide(), cards=4, board=small_board)
    cut = {piece.feature for mine in bundle.manifest.pieces for piece in mine if piece.column_first}
    assert cut == {0, 2}
    sparse, _ = batch(bundle.shape, 200)
    assert (bundle.golden().vectors(sparse) == whole.golden().vectors(sparse)).all()


def test_the_engines_vector_holds_every_element_once() -> None:
    bundle = md.compile_cards(Alike(), cards=3)
    used = bundle.places[bundle.places >= 0]
    assert sorted(used.tolist()) == list(range(51))
    assert not bundle.engine.model.layers[0].weights[:, bundle.places < 0].any()


def test_equal_cards_are_built_once() -> None:
    assert len(set(md.compile_cards(Alike(), cards=2).shards)) == 1


def test_a_bundle_lies_where_it_was_asked_for_and_is_read_back(tmp_path: Path) -> None:
    bundle = md.compile_cards(Alike(), cards=2, out=tmp_path / "cards")
    read = CardsBundle.read(tmp_path / "cards")
    assert (read.manifest, read.shards) == (bundle.manifest, bundle.shards)
    assert np.array_equal(read.places, bundle.places)


@pytest.mark.parametrize("name", ["manifest.json", "engine/weights.npz", "card-01/plan.json"])
def test_a_damaged_bundle_is_not_read(tmp_path: Path, name: str) -> None:
    md.compile_cards(Alike(), cards=2, out=tmp_path / "cards")
    file = tmp_path / "cards" / name
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(BundleError, match=name.rpartition("/")[2]):
        CardsBundle.read(tmp_path / "cards")


def test_a_model_larger_than_a_card_is_told_of_cards(small_board: str) -> None:
    with pytest.raises(PlacementError, match=r"compile_cards shares the tables of a model among cards$"):
        md.compile(Wide(), board=small_board)


def test_too_few_cards_are_refused_and_leave_nothing(small_board: str, tmp_path: Path) -> None:
    with pytest.raises(
        PlacementError, match=r"^table \d of Wide \(.* fits none of 1 small-card cards, which have 0.00 GiB each$"
    ):
        md.compile_cards(Wide(), cards=1, board=small_board, out=tmp_path / "cards")
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("rm1", "only a model whose first layer reads the whole vector lies on several cards"),
        ("rm3-duet", "only a model whose first layer reads the whole vector lies on several cards"),
        ("rm9", "model must be"),
    ],
)
def test_other_models_are_refused(model: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        md.compile_cards(model, cards=2)


def test_more_cards_than_tables_are_refused() -> None:
    with pytest.raises(InputError, match=r"^cards must be at most 12, the tables of Alike, not 13$"):
        md.compile_cards(Alike(), cards=13)
