"""Proofs of the edge unit: rules of its parts' ports that hold for all inputs, and that break when they must."""

import msgspec
import pytest

from tests.support.edge import bottom, small_edge
from tests.support.edge_contracts import MessageCounts, MessageStands, ScratchpadReads
from tests.support.formal import prove

EDGE = msgspec.structs.replace(small_edge(((4,), 2), ((4, 4), 3), static=bottom(40)), watchdog=2)

HISTORY = small_edge(((1, 1), 2), lanes=1, element_bits=16)
"""Two entries of two rows."""

CONTRACTS = {
    # the contract, of which unit, how it is proven, cycles that it and its cover points need; "prove" is for all time,
    # "bmc" for so many cycles after reset
    "messages stand until released": (MessageStands, EDGE, "prove", 2, 12),
    "messages act only if they are whole": (MessageCounts, EDGE, "bmc", 8, 12),
    "histories are read whole": (ScratchpadReads, HISTORY, "bmc", 16, 16),
}


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_holds(name):
    contract, config, mode, depth, _ = CONTRACTS[name]
    proof = prove(contract(config=config), mode=mode, depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_is_not_vacuous(name):
    contract, config, _, _, reached = CONTRACTS[name]
    proof = prove(contract(config=config), mode="cover", depth=reached)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_fails_without_the_rule(name):
    contract, config, _, _, reached = CONTRACTS[name]
    proof = prove(contract(config=config, fault=True), mode="bmc", depth=reached)
    assert proof.status == "FAIL", proof
