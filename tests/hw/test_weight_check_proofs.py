"""Proofs of the weight check: its CRC is zlib's of the rows that are asked for, each folded once and in its cycle."""

import pytest

from tests.support.formal import prove
from tests.support.weight_check_contracts import CheckFolds, CheckReads

CONTRACTS = {
    # the contract, how it is proven, cycles; "prove" is for all time, "bmc" for so many cycles after reset
    "what is folded makes the CRC": (CheckFolds, "prove", 1),
    "what is asked for is folded": (CheckReads, "bmc", 22),
}


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_holds(name):
    contract, mode, depth = CONTRACTS[name]
    proof = prove(contract(), mode=mode, depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_is_not_vacuous(name):
    proof = prove(CONTRACTS[name][0](), mode="cover", depth=12)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_fails_without_the_rule(name):
    proof = prove(CONTRACTS[name][0](fault=True), mode="bmc", depth=14)
    assert proof.status == "FAIL", proof
