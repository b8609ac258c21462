"""Proofs of what acts on messages and answers them: rules that hold for all inputs, and that break when they must."""

import pytest

from microduet_hw.config import Layer, Precision
from microduet_hw.edge.config import EdgeConfig, History
from microduet_hw.stack import Stack
from tests.support.edge_answer_contracts import AnswerContract, DispatcherContract, MemoContract, MemoValues
from tests.support.formal import prove


def unit_of(*, payload_bytes, lanes=4):
    layer = Layer(inputs=lanes, outputs=payload_bytes, relu=False)
    top = Stack(precision=Precision.INT8, inputs=lanes, layers=(layer,), pes=2, lanes=lanes)
    return EdgeConfig(name="small", histories=(History(dims=(lanes,), slots=2),), top=top)


def memo_stack(*, words, outputs):
    layer = Layer(inputs=words, outputs=outputs, relu=False)
    return Stack(precision=Precision.FIXED16, inputs=words, layers=(layer,), pes=2, lanes=1)


CONTRACTS = {
    # the contract, how it is proven, cycles; "prove" is for all time, "bmc" for so many cycles after reset
    "messages have one answer": (DispatcherContract, {}, "prove", 18),
    "without statics too": (DispatcherContract, {"statics": False}, "prove", 18),
    "commits alone change a value": (MemoContract, {"stack": memo_stack(words=2, outputs=1)}, "prove", 16),
    "values are of the latest inputs": (MemoValues, {"stack": memo_stack(words=2, outputs=2)}, "bmc", 18),
    "answers stand and keep their order": (AnswerContract, {"config": unit_of(payload_bytes=8)}, "bmc", 12),
    "coded ones too": (AnswerContract, {"config": unit_of(payload_bytes=64, lanes=32), "coded": 40}, "bmc", 12),
}


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_holds(name):
    contract, parameters, mode, depth = CONTRACTS[name]
    proof = prove(contract(**parameters), mode=mode, depth=depth)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_is_not_vacuous(name):
    contract, parameters, _, depth = CONTRACTS[name]
    proof = prove(contract(**parameters), mode="cover", depth=depth + 10)
    assert proof, proof


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_fails_without_the_rule(name):
    contract, parameters, _, depth = CONTRACTS[name]
    proof = prove(contract(**parameters, fault=True), mode="bmc", depth=depth)
    assert proof.status == "FAIL", proof
