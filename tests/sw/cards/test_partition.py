"""Which card holds which table: everything once, evenly, and nothing where it does not fit."""

import pytest

from microduet import boards, zoo
from microduet.cards.partition import part_shape, partition, quotas
from microduet.errors import InputError, PlacementError
from microduet.placement import stride_log2
from microduet.shape import ModelShape, concatenated, perceptron
from microduet_hw.config import Precision

U280 = boards.find("u280")


def shape_of(tables: list[tuple[int, int, int]]) -> ModelShape:
    layers = perceptron(sum(dim for _, dim, _ in tables), (8, 1))
    return ModelShape(name="some", features=concatenated(tables), hidden=layers[:-1], output=layers[-1])


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize(
    ("model", "cards"),
    [(model, cards) for model in ("microrec-small", "microrec-large") for cards in (1, 2, 3, 4, 8, 16)]
    + [("microrec-huge", cards) for cards in (4, 8, 64)]
    + [("rmc2-12", cards) for cards in (2, 5, 12)],
)
def test_every_column_of_every_table_lies_on_one_card(model: str, cards: int, precision: Precision) -> None:
    shape = zoo.find(model).shape
    pieces = partition(shape, cards=cards, precision=precision, board=U280)
    held = sorted((p.feature, column) for card in pieces for p in card for column in
                  range(p.column_first, p.column_first + p.columns))  # fmt: skip
    assert held == [(number, column) for number, feature in enumerate(shape.features) for column in range(feature.dim)]
    for card in pieces:
        size = sum(shape.features[p.feature].rows << stride_log2(p.columns, precision) for p in card)
        assert size <= 40 << 30


@pytest.mark.parametrize("cards", [2, 4, 8, 16])
def test_shares_of_microrec_fill_their_beats(cards: int) -> None:
    shape = zoo.find("microrec-large").shape
    shares = [part_shape(shape, mine).vector_elements for mine in partition(
        shape, cards=cards, precision=Precision.FIXED16, board=U280)]  # fmt: skip
    assert sum(-(-share // 32) for share in shares) == 28, "as many beats as one card would need"
    assert max(shares) <= max(quotas(shape, cards=cards, precision=Precision.FIXED16))


def test_equal_tables_give_equal_cards() -> None:
    shape = shape_of([(1000, 8, 1)] * 8 + [(50, 8, 4)] * 4)
    pieces = partition(shape, cards=4, precision=Precision.FIXED16, board=U280)
    assert len({part_shape(shape, mine) for mine in pieces}) == 1


def test_a_table_larger_than_a_card_is_cut_by_columns() -> None:
    pieces = partition(zoo.find("microrec-huge").shape, cards=2, precision=Precision.FIXED16, board=U280)
    largest = [[(p.column_first, p.columns) for p in mine if p.feature == 97] for mine in pieces]
    assert sorted(largest) == [[(0, 16)], [(16, 16)]]


@pytest.mark.parametrize(
    ("cards", "error", "message"),
    [
        (0, InputError, "cards must be 1 to 64, not 0"),
        (65, InputError, "cards must be 1 to 64, not 65"),
        (4, InputError, "cards must be at most 3, the tables of some, not 4"),
    ],
)
def test_a_number_of_cards_that_makes_no_sense_is_refused(cards: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        partition(shape_of([(10, 4, 1)] * 3), cards=cards, precision=Precision.FIXED16, board=U280)


def test_tables_that_fit_no_so_many_cards_are_named() -> None:
    message = r"^table 97 of microrec-huge \(23.84 GiB of .* in fixed16\) fits none of 1 u280 cards, which have 40.00"
    with pytest.raises(PlacementError, match=message):
        partition(zoo.find("microrec-huge").shape, cards=1, precision=Precision.FIXED16, board=U280)
