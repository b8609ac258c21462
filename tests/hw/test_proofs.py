"""Proofs of the compute side: rules of its ports that hold for all inputs, and that break when they must."""

import pytest

from microduet_hw.config import Array
from microduet_hw.layout import plan_layer
from microduet_hw.sequencer import SequencerShape
from tests.support.contracts import (
    ActivationContract,
    BasesContract,
    RegistersContract,
    ResultContract,
    SequencerContract,
)
from tests.support.formal import prove
from tests.support.models import small_config
from tests.support.share_contracts import ShareContract
from tests.support.weight_check_contracts import CheckFolds, CheckReads


def sequencer_shape():
    """Two layers whose rounds are no longer than their drains."""
    array = Array(pes=8, lanes=2, drain=2, layers=(0, 1))
    config = small_config(elements=5, hidden=(12, 4), arrays=(array,))
    return SequencerShape(plans=tuple(plan_layer(config, number) for number in range(2)))


CONTRACTS = {
    # the contract, how it is proven, cycles; "prove" is for all time, "bmc" for so many cycles after reset
    "results stand until taken": (ResultContract, "bmc", 11),
    "registers answer once": (lambda **fault: RegistersContract(config=small_config(), **fault), "prove", 3),
    "bases answer once, or whoever is behind them": (BasesContract, "prove", 6),
    "buffers lose nothing": (lambda **fault: ActivationContract(words=2, **fault), "bmc", 14),
    "buffers of one word lose nothing": (lambda **fault: ActivationContract(words=1, **fault), "bmc", 16),
    "buffers of four vectors lose nothing": (
        lambda **fault: ActivationContract(words=2, vectors=4, **fault),
        "bmc",
        14,
    ),
    "shares leave whole and in order": (lambda **fault: ShareContract(words=1, **fault), "bmc", 8),
    "weights that are folded make the CRC": (CheckFolds, "prove", 1),
    "weights that are asked for are folded": (CheckReads, "bmc", 22),
    "rounds wait for the drain": (lambda **fault: SequencerContract(shape=sequencer_shape(), **fault), "prove", 7),
}


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_holds(name):
    contract, mode, depth = CONTRACTS[name]
    proof = prove(contract(), mode=mode, depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_is_not_vacuous(name):
    proof = prove(CONTRACTS[name][0](), mode="cover", depth=40)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_fails_without_the_rule(name):
    contract, _, depth = CONTRACTS[name]
    proof = prove(contract(fault=True), mode="bmc", depth=max(depth, 14))
    assert proof.status == "FAIL", proof
