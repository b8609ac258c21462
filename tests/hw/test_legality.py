"""What makes a configuration with a bottom MLP, or one with users, illegal."""

import pytest

from microduet_hw.config import Array, EngineConfig, Layer, Payload, UserPart
from tests.support.models import small_config

BOTTOM = small_config(
    elements=10,
    dense=7,
    hidden=(6, 9, 4),
    bottom=1,
    arrays=(Array(pes=4, lanes=2, drain=2, layers=(0, 1)), Array(pes=2, lanes=2, drain=2, layers=(2,))),
)
USER = UserPart(layer=1, elements=12)
RANKING = small_config(
    hidden=(6, 4),
    arrays=(Array(pes=4, lanes=4, drain=2, layers=(0,)), Array(pes=2, lanes=2, drain=2, layers=(1,))),
).replace(user=USER)


def sizes(*pairs):
    return {"hidden": tuple(Layer(inputs=inputs, outputs=outputs) for inputs, outputs in pairs)}


ILLEGAL_BOTTOM = {
    "fewer layers than none": ({"bottom": -1}, "fewer layers than the 3 hidden ones, not -1"),
    "no layer behind it": ({"bottom": 3}, "fewer layers than the 3 hidden ones, not 3"),
    "no dense elements": ({"dense": 0}, "a bottom MLP needs dense elements, not 0"),
    "no features": ({"features": ()}, "the layer behind a bottom MLP needs features, not 0 elements"),
    "dense elements among the features": ({"dense_position": 10}, "dense_position is 0, not 10"),
    "a first layer that reads the features": (
        sizes((17, 6), (6, 9), (9, 4)),
        "layer 0 takes 17 inputs where 7 arrive",
    ),
    "a layer behind it that does not read the features": (
        sizes((7, 6), (6, 9), (9, 4)),
        "layer 1 takes 6 inputs where 16 arrive",
    ),
    "features behind another layer": ({"bottom": 2}, "layer 1 takes 16 inputs where 6 arrive"),
    "a layer behind it on another array": (
        {
            "arrays": (
                Array(pes=4, lanes=2, drain=2, layers=(0,)),
                Array(pes=2, lanes=2, drain=2, layers=(1, 2)),
            )
        },
        "the first array must hold the 1 bottom layers and the one behind them",
    ),
    "users": ({"user": USER}, "an engine with users has no bottom MLP: dense inputs are the user's"),
}


@pytest.mark.parametrize(("changes", "message"), ILLEGAL_BOTTOM.values(), ids=list(ILLEGAL_BOTTOM))
def test_names_the_rule_of_bottom_mlps_that_is_broken(changes, message):
    with pytest.raises(ValueError, match=message):
        BOTTOM.replace(**changes)


def test_a_bottom_mlp_parts_the_vector():
    assert (BOTTOM.sections, BOTTOM.feature_start) == ((7, 10), 7)
    whole = BOTTOM.replace(bottom=0, dense_position=10, **sizes((17, 6), (6, 9), (9, 4)))
    assert (whole.sections, whole.feature_start) == ((17,), 0)
    assert EngineConfig.from_json(BOTTOM.to_json()) == BOTTOM


BOUNDS = [("elements", 1, 1 << 14), ("lanes", 1, 64), ("slots", 1, 64), ("top_k", 1, 64), ("watchdog", 2, 1 << 31)]
ILLEGAL_USER = {
    "a layer before the first": (USER.replace(layer=-1), "the user's part is of layer 0 to 2, not -1"),
    "a layer behind the last": (USER.replace(layer=3), "the user's part is of layer 0 to 2, not 3"),
    "too few waiting": (USER.replace(waiting=1), "user waiting must be 2 to 65536, not 1"),
    "too many waiting": (USER.replace(waiting=1 << 17), "user waiting must be 2 to 65536, not 131072"),
    "lanes that do not fill a beat": (USER.replace(lanes=24), "user lanes must divide the 64 bytes of a beat, not 24"),
    "more sums than a packet's length tells": (
        USER.replace(payload=Payload.SUMS, elements=1 << 14),
        "a user vector has less than 2\\^16 bytes, not 65536",
    ),
    "an odd number waiting": (USER.replace(waiting=48), "user waiting must be a power of two, not 48"),
    "sums of another layer": (USER.replace(payload=Payload.SUMS, elements=6), "sums of layer 1 are 4, not 6"),
    "sums unlike the one of the output": (
        USER.replace(layer=2, payload=Payload.SUMS, elements=4),
        "sums of layer 2 are 1, not 4",
    ),
}
for _name, _low, _high in BOUNDS:
    for _value in (_low - 1, _high + 1):
        ILLEGAL_USER[f"{_name} {_value}"] = (
            USER.replace(**{_name: _value}),
            f"user {_name} must be {_low} to {_high}, not {_value}",
        )


@pytest.mark.parametrize(("user", "message"), ILLEGAL_USER.values(), ids=list(ILLEGAL_USER))
def test_names_the_rule_of_users_that_is_broken(user, message):
    with pytest.raises(ValueError, match=message):
        RANKING.replace(user=user)


def test_users_come_in_where_an_array_begins():
    one_array = (Array(pes=4, lanes=2, drain=2, layers=(0, 1)),)
    with pytest.raises(ValueError, match="layer 1, where users come in, must be the first of its array"):
        RANKING.replace(arrays=one_array)
    assert RANKING.replace(arrays=one_array, user=USER.replace(layer=0)).user == USER.replace(layer=0)


LEGAL_USERS = [
    (USER, 12, 16),
    (USER.replace(layer=2, lanes=4), 12, 4),
    (USER.replace(payload=Payload.SUMS, elements=4), 16, 0),
    (USER.replace(layer=2, payload=Payload.SUMS, elements=1), 4, 0),
    *((USER.replace(**{name: bound}), None, None) for name, *bounds in BOUNDS for bound in bounds),
]


@pytest.mark.parametrize(("user", "size", "multipliers"), LEGAL_USERS)
def test_allows_users_up_to_the_bounds(user, size, multipliers):
    config = RANKING.replace(user=user)
    assert EngineConfig.from_json(config.to_json()) == config
    assert config.header_words == 2
    if size is not None:
        assert (config.user.bytes, config.user.multipliers) == (size, multipliers)
