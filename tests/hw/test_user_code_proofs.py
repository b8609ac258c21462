"""Proofs of what codes user vectors and expands them: rules that hold, and that break when they must."""

import pytest

from tests.support.by_night import NIGHTLY, by_night
from tests.support.formal import prove
from tests.support.user_code_contracts import CodeReaderContract, PayloadCoderContract, UserExpanderContract

CONTRACTS = {
    # the contract, cycles after reset
    "a code gives a vector, whatever it is": (CodeReaderContract, 12),
    "packets leave one for one": (UserExpanderContract, 9),
    "a code is as long as it says": (PayloadCoderContract, 11),
}
LONGEST = ["packets leave one for one"]
"""A broken rule shows in its last cycle only, so a shorter proof by day would say nothing."""


@pytest.mark.parametrize("name", by_night(CONTRACTS, LONGEST, marks=NIGHTLY))
def test_holds(name):
    contract, depth = CONTRACTS[name]
    proof = prove(contract(), mode="bmc", depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_is_not_vacuous(name):
    contract, depth = CONTRACTS[name]
    proof = prove(contract(), mode="cover", depth=depth + 6)
    assert proof, proof


@pytest.mark.parametrize("name", by_night(CONTRACTS, LONGEST, marks=NIGHTLY))
def test_fails_without_the_rule(name):
    contract, depth = CONTRACTS[name]
    proof = prove(contract(fault=True), mode="bmc", depth=depth)
    assert proof.status == "FAIL", proof
