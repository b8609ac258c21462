"""Proofs of the edge unit: rules of its parts' ports that hold for all inputs, and that break when they must."""

import msgspec
import pytest

from tests.support.edge import bottom, small_edge
from tests.support.edge_contracts import MessageCounts, MessageStands
from tests.support.formal import prove

EDGE = msgspec.structs.replace(small_edge(((4,), 2), ((4, 4), 3), static=bottom(40)), watchdog=2)

CONTRACTS = {
    # the contract, how it is proven, cycles; "prove" is for all time, "bmc" for so many cycles after reset
    "messages stand until released": (MessageStands, "prove", 2),
    "messages act only if they are whole": (MessageCounts, "bmc", 8),
}


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_holds(name):
    contract, mode, depth = CONTRACTS[name]
    proof = prove(contract(config=EDGE), mode=mode, depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_is_not_vacuous(name):
    proof = prove(CONTRACTS[name][0](config=EDGE), mode="cover", depth=12)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_fails_without_the_rule(name):
    proof = prove(CONTRACTS[name][0](config=EDGE, fault=True), mode="bmc", depth=12)
    assert proof.status == "FAIL", proof
