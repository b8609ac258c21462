"""The memoisation register: only what the latest inputs give becomes its value, and only when nobody looks."""

import random
from collections import Counter

import cocotb
import pytest

from microduet_hw.config import Layer, Precision
from microduet_hw.edge.memo import TAG_BITS, MemoRegister
from microduet_hw.stack import Stack
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle

LANES = 2
BITS = LANES * 16
IDLE = {"i_inputs__valid": 0, "i_words__valid": 0, "i_space": 0, "i_bad": 0, "i_hold": 0}


def stack_of(words, outputs):
    layers = (Layer(inputs=words * LANES - 1, outputs=outputs, relu=False),)
    return Stack(precision=Precision.FIXED16, inputs=layers[0].inputs, layers=layers, pes=2, lanes=LANES)


def outputs_of(inputs, outputs):
    """What the array of this bench makes of words of inputs."""
    return random.Random(repr(inputs)).getrandbits(16 * outputs)


class Inputs:
    """New inputs at random, with gaps between words; often when a result is about to become the value."""

    def __init__(self, words, *, eagerness, change):
        self.words, self.eagerness, self.change = words, eagerness, change
        self.waiting, self.tag = [], 0

    def drive(self, *, tempted):
        if not self.waiting and random.random() < (0.3 if tempted else self.change):
            self.waiting = [random.getrandbits(BITS) for _ in range(self.words)]
            self.tag = random.getrandbits(TAG_BITS)
        if not self.waiting or random.random() >= self.eagerness:
            return {"i_inputs__valid": 0, "i_tag": random.getrandbits(TAG_BITS)}
        last = len(self.waiting) == 1
        return {"i_inputs__valid": 1, "i_inputs__payload": self.waiting.pop(0) | last << BITS, "i_tag": self.tag}


class ArrayModel:
    """Takes the words that are sent, computes for a while, and sends the words of its result with gaps."""

    def __init__(self, words, outputs, *, busy):
        self.words, self.outputs, self.busy = words, outputs, busy
        self.due, self.came, self.result, self.wait = 0, [], [], 0

    def drive(self):
        self.wait = max(0, self.wait - 1)
        if not self.result or self.wait or random.random() < 0.3:
            return {"i_words__valid": 0, "i_words__payload": random.getrandbits(BITS + 1)}
        return {"i_words__valid": 1, "i_words__payload": self.result.pop(0)}

    def edge(self, dut):
        """Words come without a gap from the cycle after the reservation on."""
        valid = bool(dut.o_words__valid.value)
        assert valid == (self.due > 0)
        if valid:
            word = int(dut.o_words__payload.value)
            assert word >> BITS == (self.due == 1)
            self.came.append(word & (1 << BITS) - 1)
            self.due -= 1
            if not self.due:
                value, count = outputs_of(self.came, self.outputs), -(-self.outputs // LANES)
                words = [value >> BITS * k & (1 << BITS) - 1 for k in range(count)]
                self.result = [word | (k == count - 1) << BITS for k, word in enumerate(words)]
                self.came, self.wait = [], random.randint(0, self.busy)
        if dut.o_reserve.value:
            assert not self.due
            assert not self.result
            self.due = self.words


class Model:
    """The register as one sees it: the latest inputs, the ones being computed, and the value."""

    def __init__(self, outputs, *, seen=None):
        self.outputs = outputs
        self.latest, self.tag, self.coming, self.changed = [], 0, False, False
        self.computing = self.done = self.valid = False
        self.value = self.value_tag = 0
        self.seen = Counter() if seen is None else seen

    def is_last(self, inputs):
        """Whether a result's last word comes."""
        return bool(inputs["i_words__valid"] and inputs["i_words__payload"] >> BITS)

    def expected(self, inputs):
        """Outputs of the cycle with these inputs."""
        quiet = not inputs["i_inputs__valid"]
        start = self.changed and not self.coming and not self.computing and inputs["i_space"] and quiet
        fresh = self.done and not self.changed and quiet
        commit = fresh and not inputs["i_hold"] and not inputs["i_bad"]
        return {"o_reserve": start, "o_commit": commit, "o_updating": self.changed or self.computing}

    def edge(self, inputs, *, o_reserve, o_commit, **_):
        comes, last = inputs["i_inputs__valid"], self.is_last(inputs)
        dropped = self.done and (self.changed or comes or inputs["i_bad"])
        self._count(inputs, comes=comes, last=last, dropped=dropped, commit=o_commit)
        if o_reserve:
            self.changed, self.computing = False, True
        if o_commit:
            self.value, self.value_tag, self.valid = outputs_of(self.latest, self.outputs), self.tag, True
        if o_commit or dropped:
            self.done = self.computing = False
        if last:
            self.done = True
        if comes:
            word = inputs["i_inputs__payload"]
            self.latest = [*(self.latest if self.coming else []), word & (1 << BITS) - 1]
            self.coming, self.changed = not word >> BITS, True
            self.tag = inputs["i_tag"]

    def _count(self, inputs, *, comes, last, dropped, commit):
        held = self.done and inputs["i_hold"] and not self.changed and not inputs["i_bad"]
        self.seen["changed while computed"] += bool(comes and self.computing and not self.done)
        self.seen["changed with the last word"] += bool(comes and last and not self.changed)
        self.seen["changed while held"] += bool(comes and held)
        self.seen["held"] += bool(held)
        self.seen["bad"] += bool(dropped and inputs["i_bad"] and not self.changed and not comes)
        self.seen["overtaken"] += bool(dropped and self.changed)
        self.seen["commits"] += bool(commit)
        self.seen["back to back"] += bool(comes and self.changed and not self.coming)


@cocotb.test()
async def keeps_what_the_latest_inputs_give(dut):
    names = ("words", "outputs", "eagerness", "change", "busy")
    words, outputs, eagerness, change, busy = (bench_parameters()[name] for name in names)
    inputs, array = Inputs(words, eagerness=eagerness, change=change), ArrayModel(words, outputs, busy=busy)
    model, held = Model(outputs), False
    await begin(dut, **IDLE)
    for _ in range(6000):
        held = random.random() < (0.8 if held else 0.1)
        driven = array.drive()
        driven |= inputs.drive(tempted=model.done or model.is_last(driven))
        bad = random.random() < (0.25 if model.done else 0.1)
        driven |= {"i_space": int(random.random() < 0.7), "i_hold": int(held), "i_bad": int(bad)}
        driven |= {"rst": int(random.random() < 0.003)}
        await cycle(dut, **driven)
        expected = model.expected(driven)
        assert {name: int(getattr(dut, name).value) for name in expected} == expected
        assert dut.o_valid.value == model.valid
        if model.valid:
            assert int(dut.o_values.value) == model.value
            assert int(dut.o_tag.value) == model.value_tag
        array.edge(dut)
        model.edge(driven, **expected)
        if driven["rst"]:
            inputs, array = Inputs(words, eagerness=eagerness, change=change), ArrayModel(words, outputs, busy=busy)
            model = Model(outputs, seen=model.seen)
    assert len(model.seen) == 8
    for name, count in model.seen.items():
        hit(f"memo: {name}", count)
    assert min(model.seen.values()) > 0, model.seen


@cocotb.test()
async def is_in_time(dut):
    """Two cycles from the last input to the first word, and a commit in the cycle after the result's last word."""
    words, outputs = (bench_parameters()[name] for name in ("words", "outputs"))
    results = -(-outputs // LANES)
    await begin(dut, **IDLE | {"i_space": 1})
    for k in range(words):
        await cycle(dut, i_inputs__valid=1, i_inputs__payload=k | (k == words - 1) << BITS, i_tag=7)
        assert dut.o_updating.value == (k > 0)
    await cycle(dut, i_inputs__valid=0, i_tag=0)
    for k in range(words):
        assert dut.o_reserve.value == (k == 0)
        await cycle(dut)
        assert dut.o_words__valid.value == 1
        assert dut.o_words__payload.value == k | (k == words - 1) << BITS
    for k in range(results):
        assert dut.o_commit.value == 0
        await cycle(dut, i_words__valid=1, i_words__payload=k + 1 | (k == results - 1) << BITS)
        assert dut.o_words__valid.value == 0
    await cycle(dut, i_words__valid=0)
    assert (dut.o_commit.value, dut.o_valid.value, dut.o_updating.value) == (1, 0, 1)
    await cycle(dut)
    assert (dut.o_commit.value, dut.o_valid.value, dut.o_updating.value) == (0, 1, 0)
    expected = sum(k + 1 << BITS * k for k in range(results)) & (1 << 16 * outputs) - 1
    assert (int(dut.o_values.value), int(dut.o_tag.value)) == (expected, 7)


CASES = [
    # words of inputs, outputs, eagerness of the inputs, probability of new ones, longest computation
    (1, 2, 1.0, 0.10, 6),
    (4, 3, 0.5, 0.05, 20),
    (5, 4, 1.0, 0.04, 12),
]


@pytest.mark.parametrize(("words", "outputs", "eagerness", "change", "busy"), CASES)
def test_keeps_what_the_latest_inputs_give(words, outputs, eagerness, change, busy):
    parameters = {"words": words, "outputs": outputs, "eagerness": eagerness, "change": change, "busy": busy}
    run_bench(Bare(MemoRegister(stack=stack_of(words, outputs))), module=__name__, parameters=parameters)
