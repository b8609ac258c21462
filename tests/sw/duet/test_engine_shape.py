"""What of a model the engine computes, and what arrays the search gives it: limits of cycles and multipliers."""

import pytest

from microduet import boards, search
from microduet.budget import schedule
from microduet.duet import zoo
from microduet.duet.engine_shape import item_shape, user_shape, whole_shape
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide
from microduet.duet.split import Split, SplitName, exact_split
from microduet.errors import ModelError, SearchError
from microduet.shape import ModelShape
from microduet_hw.config import Array, Layer, Payload, Precision

U280 = boards.find("u280")
LIMIT = 4608 + 32
"""Multipliers of arrays, output layer and user part together."""


def shape_of(name: str, split: SplitName) -> ModelShape:
    shape = zoo.shape_of(name)
    cut = zoo.split_of(shape, split)
    return item_shape(shape, cut) if cut else whole_shape(shape)


def sizes(shape: ModelShape) -> list[tuple[int, int]]:
    return [(layer.inputs, layer.outputs) for layer in shape.layers]


@pytest.mark.parametrize(
    ("name", "split", "layers", "bottom", "entry"),
    [
        ("rm1", "none", [(128, 64), (64, 32), (288, 256), (256, 64), (64, 1)], 2, None),
        ("rm1", "duet", [(64, 64), (64, 16), (16, 1)], 0, (2, Payload.VECTOR, 48)),
        ("rm1", "exact", [(64, 256), (256, 64), (64, 1)], 0, (0, Payload.SUMS, 256)),
        ("rm4", "duet", [(96, 640), (640, 256), (256, 1)], 0, (2, Payload.VECTOR, 768)),
        ("rm5", "none", [(90, 200), (200, 80), (80, 1)], 0, None),
        ("rm5", "duet", [(36, 80), (80, 80), (80, 1)], 0, (1, Payload.VECTOR, 120)),
        ("microrec-small", "exact", [(88, 1024), (1024, 512), (512, 256), (256, 1)], 0, (0, Payload.SUMS, 1024)),
    ],
)
def test_layers_are_the_papers(
    name: str, split: SplitName, layers: list[tuple[int, int]], bottom: int, entry: tuple[int, Payload, int] | None
) -> None:
    shape = shape_of(name, split)
    user = shape.user
    assert sizes(shape) == layers
    assert shape.bottom == bottom
    assert (user and (user.layer, user.payload, user.elements)) == entry
    assert [layer.relu for layer in shape.layers] == [True] * len(shape.hidden) + [False]


@pytest.mark.parametrize("name", ["rm1", "rm5", "microrec-small"])
def test_both_sides_of_an_exact_split_are_the_uncut_model(name: str) -> None:
    description = zoo.shape_of(name)
    whole, item, user = whole_shape(description), shape_of(name, "exact"), user_shape(description)
    assert item.lookups + user.lookups == whole.lookups
    assert item.layers[0].inputs + user.output.inputs == whole.layers[whole.bottom].inputs
    assert item.layers[1:] == whole.layers[whole.bottom + 1 :]
    assert user.hidden == whole.hidden[: whole.bottom]


@pytest.mark.parametrize(
    ("name", "split", "cycles"),
    [
        ("rm1", "none", 26), ("rm2", "none", 72), ("rm3", "none", 713), ("rm4", "none", 816), ("rm5", "none", 8),
        ("rm1", "duet", 2), ("rm2", "duet", 7), ("rm3", "duet", 5), ("rm4", "duet", 50), ("rm5", "duet", 3),
        ("rm4", "exact", 632), ("microrec-small", "exact", 164), ("microrec-small", "duet", 20),
    ],
)  # fmt: skip
def test_arrays_take_these_cycles_within_the_limit(name: str, split: SplitName, cycles: int) -> None:
    shape = shape_of(name, split)
    chosen = search.search(shape, precision=Precision.FIXED16, board=U280).chosen
    user = shape.user_part.multipliers if shape.user_part else 0
    assert chosen.cycles == cycles
    assert chosen.resources.multipliers + chosen.resources.output_multipliers + user <= LIMIT
    assert chosen.resources.fit(U280)
    assert set(range(shape.bottom + 1)) <= set(chosen.arrays[0].layers)
    entry = shape.user.layer if shape.user else len(shape.hidden)
    assert entry == len(shape.hidden) or entry in {array.layers[0] for array in chosen.arrays}


def test_joined_words_count_where_the_features_are_read() -> None:
    layers = (Layer(inputs=32, outputs=8), Layer(inputs=24, outputs=16))
    taken = schedule(layers, 4, pes=8, drain=8, joined=(1, 2))
    assert (taken.cycles, taken.fits, taken.words) == (4 + 2 * 3, True, 2)


def test_every_round_waits_for_the_longest_drain_unless_layers_take_turns() -> None:
    layers = (Layer(inputs=8, outputs=4), Layer(inputs=4, outputs=16))
    assert [schedule(layers, 4, pes=16, drain=4, joined=joined).fits for joined in ((0, 0), (1, 3))] == [False, True]


@pytest.mark.parametrize(("outputs", "fits"), [(16, False), (8, True)])
def test_a_round_must_leave_before_the_next_one_is_done(outputs: int, fits: bool) -> None:
    assert schedule((Layer(inputs=8, outputs=outputs),), 2, pes=16, drain=4).fits == fits


def tiny(**changes: object) -> DlrmShape:
    fields = {
        "name": "tiny",
        "tables": (TableShape(rows=40, dim=4),) * 2,
        "features": (Lookups(table=0, lookups=3), Lookups(table=1)),
        "bottom": (4, 2),
        "top": (8, 1),
        "user": UserSide(features=(0,), static=(0, 1), context=(2, 3)),
    }
    return DlrmShape(**(fields | changes))  # type: ignore[arg-type]


def test_refuses_a_bottom_mlp_that_joins_at_the_output() -> None:
    with pytest.raises(ModelError, match="needs a hidden layer behind it, not only \\(1,\\)"):
        whole_shape(tiny(top=(1,)))


def test_refuses_a_split_without_item_features() -> None:
    shape = tiny(user=UserSide(features=(0, 1), static=(0, 1), context=(2, 3)))
    with pytest.raises(ModelError, match="needs features of the user and of the item"):
        item_shape(shape, Split(kind="exact", user_top=(8,)))


def test_refuses_a_budget_that_holds_nothing() -> None:
    with pytest.raises(SearchError, match="no arrangement of at most 1 multipliers"):
        search.search(whole_shape(tiny()), precision=Precision.FIXED16, board=U280, budget=1)


def test_shapes_survive_their_configuration() -> None:
    from microduet.presets import compile_config

    shape = item_shape(tiny(), exact_split(tiny())).replace(name="t-fixed16")
    config = compile_config(shape.replace(name="t"))
    assert ModelShape.of(config) == shape
    assert config.arrays[0].layers == (0,)
    assert isinstance(config.arrays[0], Array)
