"""Proofs of what takes users in, holds items up and ranks results: rules that hold, and that break when they must."""

import pytest

from tests.support.formal import prove
from tests.support.user_contracts import InsertionContract, RankContract, UserBufferContract, WaitingRoomContract

CONTRACTS = {
    # the contract, its parameters, cycles after reset: in CI and by night
    "a packet is there whole or not at all": (UserBufferContract, {}, 7, 9),
    "vectors leave their slot as they came": (WaitingRoomContract, {}, 9, 13),
    "vectors of two words too": (WaitingRoomContract, {"words": 2}, 9, 13),
    "a list stays in order": (InsertionContract, {}, 2, 2),
    "answers hold the best in order": (RankContract, {}, 7, 9),
}


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_holds(name):
    contract, parameters, depth, _ = CONTRACTS[name]
    proof = prove(contract(**parameters), mode="bmc", depth=depth)
    assert proof, proof


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name, (*_, ci, night) in CONTRACTS.items() if night > ci])
def test_holds_for_longer(name):
    contract, parameters, _, depth = CONTRACTS[name]
    proof = prove(contract(**parameters), mode="bmc", depth=depth, timeout_s=3600)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_is_not_vacuous(name):
    contract, parameters, *_ = CONTRACTS[name]
    proof = prove(contract(**parameters), mode="cover", depth=24)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_fails_without_the_rule(name):
    contract, parameters, *_ = CONTRACTS[name]
    proof = prove(contract(**parameters, fault=True), mode="bmc", depth=16)
    assert proof.status == "FAIL", proof
