"""The joiner: partners' partial sums, however far apart they come, add up to the reference's elements."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ReadOnly, RisingEdge

from microduet_hw.config import Precision
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.joiner import Joiner, joined
from microduet_hw.lookup.layouts import row_layout
from microduet_hw.lookup.pooling import PoolingAdder, saturated
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.flow import Bare
from tests.support.lookups import HBM, Table, lookup_config, replicas
from tests.support.streams import start_clocks

SHARES = {"two": {0: 1, 1: 1}, "three_unlike": {0: 5, 1: 1, 2: 2}, "five": dict.fromkeys(range(5), 3)}
ITEMS = 30


def config_of(parameters):
    """One feature of some beats, so that beats are told apart."""
    shares = SHARES[parameters["shares"]]
    table = Table(rows=20, dim=36, lookups=sum(shares.values()), places=replicas(20, 36, shares))
    return lookup_config([table], [HBM] * len(shares), precision=Precision(parameters["precision"]), slots=2)


def plans_of(config):
    return tuple(source_plan(config, number) for number in config.partners[0])


def packed(layout, width, lanes, fields):
    values = {**fields, "data": sum((int(v) & ((1 << width) - 1)) << width * k for k, v in enumerate(lanes))}
    return sum(value << layout[name].offset for name, value in values.items())


def items_and_sums(config, adders, rng):
    """Per partner the payloads of all items; the fields of the joined beats."""
    plans = plans_of(config)
    part, width = plans[0].parts[0], config.precision.width
    zero = 128 if config.precision is Precision.INT8 else 0
    low = -(1 << width - 1)
    sent, expected = [[] for _ in plans], []
    for _ in range(ITEMS):
        found = 0
        for beat in range(part.beats):
            fields = {"part": 0, "beat": beat, "first": 0, "last": 1, "end": int(beat == part.beats - 1)}
            total, absents = np.zeros(part.elements, np.int64), []
            for sums, plan, adder in zip(sent, plans, adders, strict=True):
                absent = int(rng.random() < 0.4)
                flags = int(rng.choice([0, 0, 0, 1, 2, 4]))
                edges = plan.lookups * np.array([low, -low - 1])
                lanes = np.where(
                    rng.random(part.elements) < 0.4, rng.choice(edges), rng.integers(*edges, part.elements)
                )
                lanes = lanes * (1 - absent)
                layout = row_layout(plan, bits=len(lanes) * adder.sum_bits)
                told = {**fields, "flags": flags, "absent": absent}
                sums.append(packed(layout, adder.sum_bits, lanes, told))
                total += lanes
                absents.append(absent)
                found |= flags
            elements = saturated(total + zero, precision=config.precision) * (not all(absents))
            expected.append(packed(row_layout(joined(plans)), width, elements, {**fields, "flags": found}))
            found = 0
    return sent, expected


class Ends:
    """Sends the partners' beats at random, as far ahead as items in flight allow, and collects the sums."""

    def __init__(self, dut, config, sent):
        self.dut, self.sent, self.received = dut, sent, []
        self.ahead = config.vector_slots * plans_of(config)[0].parts[0].beats
        self.done, self.cycle, self.last_sent, self.out_cycles = [0] * len(sent), 0, {}, []

    async def run(self, rates):
        while len(self.received) < len(self.sent[0]):
            await RisingEdge(self.dut.mem_clk)
            for number, (sums, rate) in enumerate(zip(self.sent, rates, strict=True)):
                place = self.done[number]
                go = place < len(sums) and place - len(self.received) < self.ahead and random.random() < rate
                getattr(self.dut, f"i_sums_{number}__valid").value = int(go)
                if go:
                    getattr(self.dut, f"i_sums_{number}__payload").value = sums[place]
                    self.last_sent[place] = self.cycle
                    self.done[number] += 1
            await ReadOnly()
            if self.dut.o__valid.value == 1:
                self.received.append(self.dut.o__payload.value.to_unsigned())
                self.out_cycles.append(self.cycle)
            self.cycle += 1


async def run(dut, rates):
    config = config_of(bench_parameters())
    adders = [PoolingAdder(config=config, plan=plan) for plan in plans_of(config)]
    sent, expected = items_and_sums(config, adders, np.random.default_rng(random.getrandbits(32)))
    for number in range(len(sent)):
        getattr(dut, f"i_sums_{number}__valid").value = 0
    await start_clocks(dut)
    ends = Ends(dut, config, sent)
    await ends.run(rates(len(sent)))
    assert ends.received == expected
    return ends, Joiner(config=config, plans=plans_of(config)).latency


@cocotb.test()
async def adds_what_comes_apart(dut):
    await run(dut, lambda count: [random.uniform(0.1, 1) for _ in range(count)])


@cocotb.test()
async def adds_in_its_latency(dut):
    """Partners far apart: what the slowest sends finds the others' beats waiting."""
    ends, latency = await run(dut, lambda count: [1.0] * (count - 1) + [0.2])
    assert {out - ends.last_sent[place] for place, out in enumerate(ends.out_cycles)} == {latency}


@cocotb.test()
async def adds_a_beat_in_every_cycle(dut):
    ends, latency = await run(dut, lambda count: [1.0] * count)
    assert {out - ends.last_sent[place] for place, out in enumerate(ends.out_cycles)} == {latency}


@pytest.mark.parametrize("precision", by_night(Precision, [Precision.FIXED32]))
@pytest.mark.parametrize("shares", SHARES)
def test_joiner(shares, precision):
    parameters = {"shares": shares, "precision": precision}
    config = config_of(parameters)
    run_bench(Bare(Joiner(config=config, plans=plans_of(config))), module=__name__, parameters=parameters)
