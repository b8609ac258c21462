"""The compute side never hangs: what is in it comes out, whenever words come and results are taken."""

import pytest

from microduet_hw.config import Array
from tests.support.flow_contracts import ComputeFlow
from tests.support.formal import prove
from tests.support.models import small_config

CASES = {
    # layers before the last one; cycles that an item may take, fewer than it takes, and all that are looked at
    "an output layer alone": ((), 12, 6, 30),
    "an array before it": ((1,), 24, 16, 50),
    "two arrays before it": ((1, 1), 40, 24, 60),
}
BY_NIGHT = [pytest.param(name, marks=pytest.mark.nightly if len(case[0]) > 1 else ()) for name, case in CASES.items()]


def flow(name, *, patience):
    hidden = CASES[name][0]
    arrays = tuple(Array(pes=2, lanes=1, drain=1, layers=(number,)) for number in range(len(hidden)))
    config = small_config(elements=1, hidden=hidden, arrays=arrays, sigmoid=False)
    return ComputeFlow(config=config, patience=patience)


@pytest.mark.parametrize("name", BY_NIGHT)
def test_holds_for_whatever_goes_in(name):
    _, patience, _, depth = CASES[name]
    proof = prove(flow(name, patience=patience), depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", BY_NIGHT)
def test_is_not_vacuous(name):
    _, patience, _, depth = CASES[name]
    proof = prove(flow(name, patience=patience), mode="cover", depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", BY_NIGHT)
def test_fails_if_an_item_has_too_little_time(name):
    _, _, short, depth = CASES[name]
    proof = prove(flow(name, patience=short), depth=depth)
    assert proof.status == "FAIL", proof
