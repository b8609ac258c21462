"""The sequencer: which step goes out when, and what each waits for."""

import random

import cocotb
import pytest

from microduet_hw.config import Array
from microduet_hw.layout import plan_layer
from microduet_hw.sequencer import Sequencer, SequencerShape
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle
from tests.support.models import small_config

ENGINES = {
    "three layers with leftovers": ((15, 9, 4), 6, 4),
    "one layer of one step and one round": ((2,), 2, 12),
    "drains longer than rounds, a layer of one step": ((1, 40), 20, 1),
}
"""Outputs of the hidden layers, PEs and lanes of their one array."""


def shape_of(name):
    hidden, pes, lanes = ENGINES[name]
    array = Array(pes=pes, lanes=lanes, drain=lanes, layers=tuple(range(len(hidden))))
    config = small_config(hidden=hidden, arrays=(array,))
    return SequencerShape(plans=tuple(plan_layer(config, number) for number in range(len(hidden))))


def steps_of(shape):
    """The steps of one item, in order."""
    row = 0
    for number, plan in enumerate(shape.plans):
        for turn in range(plan.rounds):
            for word in range(plan.steps):
                last = word == plan.steps - 1
                yield {
                    "plan": number,
                    "word": word,
                    "row": row,
                    "first": int(word == 0),
                    "last": int(last),
                    "vector_last": int(last and turn == plan.rounds - 1),
                    "starts": word == 0 and turn == 0,
                }
                row += 1


class Buffers:
    """Words that have come per layer, at random; a released vector makes room for the next one's."""

    def __init__(self, shape, probability):
        self.plans, self.probability = shape.plans, probability
        self.counts = [0] * len(shape.plans)

    def edge(self, released):
        for k, plan in enumerate(self.plans):
            if released >> k & 1:
                self.counts[k] = 0
            elif self.counts[k] < plan.steps and random.random() < self.probability:
                self.counts[k] += random.randint(1, plan.steps - self.counts[k])


@cocotb.test()
async def waits_for_all_it_needs(dut):
    parameters = bench_parameters()
    shape = shape_of(parameters["engine"])
    buffers = Buffers(shape, parameters["words"])
    layers = len(shape.plans)
    width = max(plan.steps for plan in shape.plans).bit_length()
    steps, remaining, items, last_at = list(steps_of(shape)), [], 0, -shape.drain
    causes = dict.fromkeys(("word", "place", "drain", "hold"), 0)
    await begin(dut, i_counts=0, i_spaces=0, i_hold=0)
    for now in range(1500):
        if not remaining:
            remaining, items = list(steps), items + 1
        step = remaining[0]
        spaces = sum((random.random() < parameters["places"]) << k for k in range(layers))
        hold, reset = random.random() < parameters["hold"], random.random() < 0.005
        counts = sum(count << k * width for k, count in enumerate(buffers.counts))
        await cycle(dut, i_counts=counts, i_spaces=spaces, i_hold=int(hold), rst=int(reset))
        came = buffers.counts[step["plan"]] > step["word"]
        placed = not step["starts"] or bool(spaces >> step["plan"] & 1)
        drained = not step["last"] or now - last_at >= shape.drain
        goes = came and placed and drained and not hold
        assert dut.o_step__valid.value == goes
        assert dut.o_starved.value == (not came)
        assert dut.o_blocked.value == (came and not (placed and drained))
        reserved, released = int(dut.o_reserve.value), int(dut.o_release.value)
        assert reserved == (goes and step["starts"]) << step["plan"]
        assert released == (goes and step["vector_last"]) << step["plan"]
        for cause, fine in zip(causes, (came, placed, drained, not hold), strict=True):
            causes[cause] += not fine
        hit("sequencer: waits for a word", not came)
        hit("sequencer: waits for a place", not placed)
        hit("sequencer: waits for the drain", not drained)
        hit("sequencer: a vector begins and ends in one step", goes and step["starts"] and step["vector_last"])
        if goes:
            said = shape.step.from_bits(int(dut.o_step__payload.value))
            assert {name: said[name] for name in shape.step.members} == {
                name: step[name] for name in shape.step.members
            }
            last_at = now if step["last"] else last_at
            remaining.pop(0)
        buffers.edge(released)
        if reset:
            remaining, last_at = [], now - shape.drain
    assert items > 5
    possible = {"word", "place", "hold"} | (
        {"drain"} if shape.drain > min(plan.steps for plan in shape.plans) else set()
    )
    assert all(causes[cause] for cause in possible)


@cocotb.test()
async def issues_a_step_per_cycle(dut):
    """With everything there, rounds follow each other without a gap, unless their drain takes longer."""
    shape = shape_of(bench_parameters()["engine"])
    width = max(plan.steps for plan in shape.plans).bit_length()
    counts = sum(plan.steps << k * width for k, plan in enumerate(shape.plans))
    await begin(dut, i_counts=0, i_spaces=0, i_hold=0)
    cycles = 0
    for _ in range(3 * len(list(steps_of(shape)))):
        for _ in range(shape.drain + 1):
            await cycle(dut, i_counts=counts, i_spaces=(1 << len(shape.plans)) - 1, i_hold=0)
            cycles += 1
            if dut.o_step__valid.value:
                break
    waits = sum(max(plan.steps, shape.drain) * plan.rounds for plan in shape.plans)
    # The first round has no drain before it.
    assert 3 * waits - shape.drain <= cycles <= 3 * waits


@cocotb.test()
async def takes_layers_in_turn(dut):
    """Layers of several vectors in any order: each is done whole, and what a layer waits for is as ever."""
    parameters = bench_parameters()
    shape = shape_of(parameters["engine"])
    buffers = Buffers(shape, parameters["words"])
    layers, width = len(shape.plans), max(plan.steps for plan in shape.plans).bit_length()
    done, orders, current, free_at = [0] * layers, set(), [], 0
    await begin(dut, i_counts=0, i_spaces=0, i_ready=0, i_hold=0)
    for now in range(3000):
        spaces = sum((random.random() < parameters["places"]) << k for k in range(layers))
        hold, reset = random.random() < parameters["hold"], random.random() < 0.005
        ready = sum(
            (count == plan.steps) << k for k, (count, plan) in enumerate(zip(buffers.counts, shape.plans, strict=True))
        )
        counts = sum(count << k * width for k, count in enumerate(buffers.counts))
        await cycle(dut, i_counts=counts, i_spaces=spaces, i_ready=ready, i_hold=int(hold), rst=int(reset))
        reserved, released = int(dut.o_reserve.value), int(dut.o_release.value)
        if dut.o_step__valid.value:
            said = shape.step.from_bits(int(dut.o_step__payload.value))
            layer = said["plan"]
            starts = not current
            if starts:
                current = [step for step in steps_of(shape) if step["plan"] == layer]
                assert spaces >> layer & 1
            step = current.pop(0)
            assert {name: said[name] for name in shape.step.members} == {
                name: step[name] for name in shape.step.members
            }
            assert buffers.counts[layer] > step["word"]
            assert not hold
            assert (reserved, released) == (starts << layer, (not current) << layer)
            if step["last"]:
                assert now >= free_at
                free_at = now + len(shape.plans[layer].drains[-1 if step["vector_last"] else 0])
            if not current:
                done[layer] += 1
                orders.add(tuple(count - min(done) for count in done))
        else:
            assert (reserved, released) == (0, 0)
        buffers.edge(released)
        if reset:
            current, free_at = [], 0
    assert min(done) > 5
    assert len(orders) > layers  # not one after the other only


@pytest.mark.parametrize("engine", [name for name, (hidden, *_) in ENGINES.items() if len(hidden) > 1])
def test_takes_layers_in_turn(engine):
    run_bench(
        Bare(Sequencer(shape=shape_of(engine).replace(overlaps=True))),
        module=__name__,
        scenarios=["takes_layers_in_turn"],
        parameters={"engine": engine, "words": 0.5, "places": 0.15, "hold": 0.1},
    )


@pytest.mark.parametrize("engine", list(ENGINES))
def test_waits_for_all_it_needs(engine):
    run_bench(
        Bare(Sequencer(shape=shape_of(engine))),
        module=__name__,
        scenarios=["waits_for_all_it_needs", "issues_a_step_per_cycle"],
        parameters={"engine": engine, "words": 0.5, "places": 0.6, "hold": 0.1},
    )
