"""The short queue: equal, cycle by cycle, to a few lines of Python."""

import random

import cocotb
import pytest

from microduet_hw.lookup.queue import Queue
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import begin, cycle

BITS = 6


class Model:
    """What is at the output, None if nothing, and what waits behind it."""

    def __init__(self, depth):
        self.depth, self.head, self.waiting = depth, None, []

    def expected(self):
        """Whether there is something at the output, whether one more fits, and whether two do."""
        waiting = len(self.waiting)
        return self.head is not None, waiting < self.depth, waiting <= self.depth - 2

    def edge(self, *, pushed, taken):
        """`pushed` is what comes, or None."""
        if taken:
            self.head = None
        self.waiting += [pushed] * (pushed is not None)
        if self.head is None and self.waiting:
            self.head = self.waiting.pop(0)


@cocotb.test()
async def is_first_in_first_out(dut):
    """Sometimes more comes than leaves and sometimes less, so that it is full and empty again and again."""
    depth = bench_parameters()["depth"]
    await begin(dut, i__valid=0, i__payload=0, o__ready=0)
    model, offered, eagerness, seen = Model(depth), None, 0.5, set()
    for now in range(150 * depth):
        if now % (4 * depth) == 0:
            eagerness = random.choice([0.1, 0.5, 0.9, 1.0])
        if offered is None and random.random() < eagerness:
            offered = random.getrandbits(BITS)
        ready, reset = random.random() >= eagerness / 2, random.random() < 0.01
        payload = random.getrandbits(BITS) if offered is None else offered
        inputs = {"i__valid": int(offered is not None), "i__payload": payload, "o__ready": int(ready)}
        await cycle(dut, clock="mem_clk", **inputs, mem_rst=int(reset))
        valid, fits, room = model.expected()
        assert (dut.o__valid.value, dut.i__ready.value, dut.o_room.value) == (valid, fits, room)
        assert not valid or int(dut.o__payload.value) == model.head
        seen.add((valid, fits, room))
        model.edge(pushed=offered if fits else None, taken=valid and ready)
        offered = None if fits else offered
        if reset:
            model, offered = Model(depth), None
    assert {(False, True, True), (True, True, False), (True, False, False)} <= seen


@pytest.mark.parametrize("depth", [4, 8])
def test_is_first_in_first_out(depth):
    run_bench(Queue(shape=BITS, depth=depth), module=__name__, parameters={"depth": depth})


@pytest.mark.parametrize("depth", [2, 5])
def test_only_powers_of_two_are_depths(depth):
    with pytest.raises(ValueError, match=f"depth must be a power of two of at least 4, not {depth}"):
        Queue(shape=BITS, depth=depth)
