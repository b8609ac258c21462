"""Every number of the decomposition tables, and what a split refuses."""

import fractions

import pytest

from microduet.duet import zoo
from microduet.duet.figures import figures, upload_us
from microduet.duet.split import Split, check_split, duet_split, exact_split, parts, split_shape
from microduet.errors import InputError, ModelError
from tests.sw.duet.test_shape import SMALL


@pytest.mark.parametrize(
    ("name", "bottoms", "user", "item", "combined"),
    [
        ("rm1", ((112, 56, 28), (16, 8, 4)), (224, 192, 48), (64, 64, 16), (64, 1)),
        ("rm2", ((224, 112, 56), (32, 16, 8)), (1600, 96, 48), (512, 32, 16), (64, 1)),
        ("rm3", ((2240, 896, 224, 28), (320, 128, 32, 4)), (256, 384, 192), (96, 128, 64), (256, 1)),
        ("rm4", ((448, 224, 28), (64, 32, 4)), (256, 1920, 768), (96, 640, 256), (1024, 1)),
        ("rm5", ((), ()), (54, 120), (36, 80), (200, 80, 2)),
    ],
)
def test_duets_widths(name: str, bottoms: tuple, user: tuple, item: tuple, combined: tuple) -> None:
    shape = zoo.shape_of(name)
    split = zoo.split_of(shape, "duet")
    assert split is not None
    found = parts(shape, split)
    assert (found.static, found.dynamic) == bottoms
    assert (found.user_top, found.item_top, found.combined) == (user, item, combined)
    assert found.bottom == ()


@pytest.mark.parametrize(
    ("name", "macs", "lookups", "payload", "scratchpad"),
    [
        ("rm1", (100_416, 5_184), (640, 160), (48, 16), 60 * 1024),
        ("rm2", (319_552, 16_960), (3840, 960), (48, 16), 720 * 1024),
        ("rm3", (3_203_328, 20_736), (200, 60), (192, 64), 17.5 * 1024),
        ("rm4", (3_662_848, 226_304), (200, 60), (768, 256), 17.5 * 1024),
        ("rm5", (34_160, 19_040), (401, 2), (120, 40), 401 * 18 * 4),
    ],
)
def test_duets_counts(name: str, macs: tuple, lookups: tuple, payload: tuple, scratchpad: float) -> None:
    shape = zoo.shape_of(name)
    split = zoo.split_of(shape, "duet")
    assert split is not None
    found = figures(shape, split)
    assert (found.macs_before, found.macs_after) == macs
    assert (found.lookups_before, found.lookups_after) == lookups
    assert (found.payload_bytes, found.payload_us) == payload
    assert found.scratchpad_bytes == scratchpad


def test_rm4s_user_top_mlp_takes_the_papers_bytes() -> None:
    shape = zoo.shape_of("rm4")
    assert figures(shape, duet_split(shape)).top_weight_bytes == 1.875 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "sums", "payload", "hidden"),
    [
        ("rm1", 256, 1024, (100_352, 32_768)),
        ("rm2", 128, 512, (319_488, 73_728)),
        ("rm4", 2560, 10_240, (3_661_824, 2_867_200)),
        ("microrec-small", 1024, 4096, (1_015_808, 745_472)),
    ],
)
def test_exact_sends_the_first_layers_sums(name: str, sums: int, payload: int, hidden: tuple) -> None:
    shape = zoo.shape_of(name)
    found = figures(shape, exact_split(shape))
    assert found.parts.user_top[-1] == found.parts.item_top[-1] == found.parts.combined[0] == sums
    assert found.parts.bottom == shape.bottom
    assert found.payload_bytes == payload
    assert found.payload_us == payload / 3
    assert (found.hidden_macs_before, found.hidden_macs_after) == hidden


def test_microrecs_user_has_three_quarters_of_the_inputs() -> None:
    shape = zoo.shape_of("microrec-small")
    assert shape.elements(shape.user.features) * 4 == shape.top_inputs * 3 == 352 * 3


def test_rm5_keeps_the_slots_of_table_4_in_duet_and_its_own_lookups_in_exact() -> None:
    shape = zoo.shape_of("rm5")
    kept = [split_shape(shape, split).features for split in (zoo.split_of(shape, "duet"), exact_split(shape)) if split]
    assert [[feature.lookups for feature in features[:3]] for features in kept] == [[1, 200, 200], [1, 199, 199]]


def test_a_split_follows_the_lists_of_the_configuration() -> None:
    split = duet_split(SMALL, layers=1, share=fractions.Fraction(1, 2))
    assert split == Split(kind="duet", static=(6, 12, 6), dynamic=(2, 4, 2), user_top=(8,))
    only_static = SMALL.replace(user=SMALL.user.replace(static=tuple(range(8)), context=()))
    assert duet_split(only_static).static == SMALL.bottom
    assert duet_split(only_static).dynamic == ()
    only_context = SMALL.replace(user=SMALL.user.replace(context=tuple(range(8)), static=()))
    assert duet_split(only_context).dynamic == SMALL.bottom


@pytest.mark.parametrize("layers", [0, 3])
def test_a_layer_must_be_split_and_one_left(layers: int) -> None:
    with pytest.raises(ModelError, match=f"1 to 2 top layers can be split, not {layers}"):
        duet_split(SMALL, layers=layers)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(kind="exact", user_top=(8,)), "cuts the first top layer and nothing else"),
        (Split(kind="duet", static=(6, 3), dynamic=(2, 1), user_top=(16,)), "layer 0 must be 1 to 15, not 16"),
        (Split(kind="duet", static=(7, 3), dynamic=(2, 1), user_top=(8,)), "static bottom MLP must start with 6"),
        (Split(kind="duet", static=(6, 3), dynamic=(2,), user_top=(8,)), "dynamic bottom MLP must start with 2"),
        (Split(kind="duet", static=(6, 3), dynamic=(2, 0), user_top=(8,)), "no empty layer"),
        (Split(kind="duet", static=(6, 3), dynamic=(2, 1), user_top=(8, 4, 1)), "a top layer must be left"),
        (Split(kind="duet", static=(6, 3), dynamic=(2, 1), user_top=(8,), slots=(1,)), r"one per user feature \(2\)"),
    ],
)
def test_refuses_a_split_that_does_not_fit(split: Split, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_split(SMALL, split)


def test_refuses_a_model_all_of_whose_features_are_the_users() -> None:
    with pytest.raises(ModelError, match="features of the user and of the item"):
        exact_split(SMALL.replace(user=SMALL.user.replace(features=(0, 1, 2))))


def test_refuses_an_unknown_split() -> None:
    with pytest.raises(ModelError, match="split must be none, duet, exact, not 'half'"):
        zoo.split_of(SMALL, "half")  # type: ignore[arg-type]


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_refuses_a_link_without_speed(speed: float) -> None:
    with pytest.raises(InputError, match="above 0 Mb/s"):
        upload_us(1, speed)
