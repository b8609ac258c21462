"""Layers on one array alone: outputs equal to the reference, also where a round does not fill a word."""

import itertools
import math
import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from microduet_hw import reference
from microduet_hw.config import Layer, Precision
from microduet_hw.image import stack_beats, stream_image
from microduet_hw.layout import HOLE, input_order, plan_layer
from microduet_hw.stack import Stack
from tests.support.axi_memory import Fate, Memory
from tests.support.bench import bench_parameters, run_bench
from tests.support.compute import StackCompute, VectorSource
from tests.support.flow import Bare, FlowMonitor, signed_of
from tests.support.models import random_layers, random_vectors, vector_words
from tests.support.streams import StreamSource, start_clocks

UNIT = 5


def stack(*sizes, precision=Precision.INT8, pes, lanes, relu=True, streamed=False):
    layers = tuple(Layer(inputs=i, outputs=o, relu=relu) for i, o in itertools.pairwise(sizes))
    return Stack(precision=precision, inputs=sizes[0], layers=layers, pes=pes, lanes=lanes, streamed=streamed)


STACKS = {
    "int8, 4 elements for words of 32": stack(64, 40, 24, pes=4, lanes=32),
    "int8, 6 elements for words of 18, no ReLU": stack(36, 120, 30, pes=6, lanes=18, relu=False),
    "fixed16, 4 elements for words of 8": stack(13, 40, 9, precision=Precision.FIXED16, pes=4, lanes=8),
    "fixed16, 2 elements for words of 8, three layers": stack(
        20, 30, 11, 16, precision=Precision.FIXED16, pes=2, lanes=8
    ),
    "fixed16, words that rounds do not fill": stack(7, 12, 9, precision=Precision.FIXED16, pes=4, lanes=7),
    "fixed32, as many elements as lanes": stack(9, 10, 5, precision=Precision.FIXED32, pes=4, lanes=4),
    "int8, weights from four channels": stack(64, 40, 24, pes=4, lanes=32, streamed=True),
    "fixed16, weights from a channel": stack(13, 40, 9, precision=Precision.FIXED16, pes=2, lanes=8, streamed=True),
    "int8, a layer that is less than a round": stack(10, 3, 2, pes=4, lanes=8),
}


def telling(stack, rng):
    """Random layers and 24 vectors whose outputs differ: a small layer of ReLUs may give nothing but zeros."""
    while True:
        layers, vectors = random_layers(stack, rng), random_vectors(stack, rng, items=24)
        outputs = reference.array_outputs(stack, layers, vectors.astype(object))
        if len({tuple(row) for row in outputs.tolist()}) > 12:
            return layers, vectors


class Bench:
    """A `StackCompute` with random layers, the ends of its streams, and a consumer that is not always there."""

    def __init__(self, dut, name):
        self.dut, self.stack = dut, STACKS[name]
        seed = random.getrandbits(32)
        dut._log.info("layers and vectors of numpy seed %d", seed)
        self.rng = np.random.default_rng(seed)
        self.layers, self.vectors = telling(self.stack, self.rng)
        self.load = StreamSource(dut, "i_load", clock=dut.clk)
        self.source = VectorSource(dut, word_bits=self.stack.lanes * self.stack.precision.width)
        self.monitor = FlowMonitor(dut, "o_words")
        self.absent = 0.0
        self.random = random.Random(random.getrandbits(64))
        self.busy = 0
        self.memories = [self._memory(k) for k in range(STACKS[name].streamed * self.channels)]
        cocotb.start_soon(self._consume())

    @property
    def channels(self):
        return self.stack.multipliers * self.stack.precision.width // 256

    def _memory(self, channel):
        """Channel `channel` of streamed weights: 32 bytes of every row."""
        rows = stream_image(self.stack, self.layers)
        assert rows.shape[1] == 32 * self.channels
        beats = [int.from_bytes(row[32 * channel : 32 * channel + 32].tobytes(), "little") for row in rows]
        self.dut.i_run.value = 0
        return Memory(
            dut=self.dut,
            name=f"m_axi_{channel}",
            read=lambda address: beats[address // 32],
            fate=lambda _number: Fate(latency=random.choice([1, 10, 80])),
            stall=0.1,
            wait=0.2,
            one_id=True,
        )

    async def _consume(self):
        while True:
            await RisingEdge(self.dut.clk)
            self.busy += self.dut.o_busy.value == 1
            self.dut.i_space.value = int(self.random.random() >= self.absent)

    async def start(self):
        await start_clocks(self.dut)
        self.load.send(int.from_bytes(beat.tobytes(), "little") for beat in self.beats())
        await self.load.drain()
        if self.memories:
            await RisingEdge(self.dut.clk)
            self.dut.i_run.value = 1

    def beats(self):
        """Those of another array come first: they must not touch this one."""
        other = stack_beats(self.stack, random_layers(self.stack, self.rng), unit=UNIT ^ 1)
        return np.concatenate([stack_beats(self.stack, self.layers, unit=UNIT), other])

    async def run(self, vectors, *, wait, absent):
        """Outputs of some vectors, (vectors, outputs) in the layer's own order."""
        self.source.wait, self.absent = wait, absent
        order = input_order(self.stack, len(self.stack.layers))
        self.source.send([vector_words(self.stack, vector) for vector in vectors])
        due = len(self.monitor.received) + len(vectors) * len(order)
        words = (await self.monitor.receive(due, timeout_us=2000))[-len(vectors) * len(order) :]
        return [self._outputs(order, words[k * len(order) :]) for k in range(len(vectors))]

    def _outputs(self, order, words):
        precision, outputs = self.stack.precision, [None] * self.stack.outputs
        for number, (places, word) in enumerate(zip(order, words, strict=False)):
            assert word >> self.stack.lanes * precision.width == (number == len(order) - 1)
            for lane, output in enumerate(places):
                if output != HOLE:
                    bits = word >> lane * precision.width & (1 << precision.width) - 1
                    outputs[output] = signed_of(bits, precision.width) if precision.signed else bits
        return outputs


@cocotb.test()
async def outputs_equal_the_reference(dut):
    bench = Bench(dut, bench_parameters()["stack"])
    await bench.start()
    vectors = bench.vectors
    found = await bench.run(vectors[:8], wait=0, absent=0)
    found += await bench.run(vectors[8:16], wait=0.5, absent=0.3)
    found += await bench.run(vectors[16:], wait=0.1, absent=0.95)
    expected = reference.array_outputs(bench.stack, bench.layers, vectors.astype(object))
    assert found == expected.tolist()
    assert not bench.memories or dut.o_status.value == 0


@cocotb.test()
async def takes_the_steps_of_its_plan(dut):
    """A step of all multipliers per cycle, and no more of them than rounds of whole words."""
    bench = Bench(dut, bench_parameters()["stack"])
    await bench.start()
    before = bench.busy
    await bench.run(random_vectors(bench.stack, bench.rng, items=5), wait=0, absent=0)
    plans = [plan_layer(bench.stack, number) for number in range(len(bench.stack.layers))]
    assert bench.busy - before == 5 * sum(plan.rounds * plan.steps for plan in plans)


@pytest.mark.parametrize("name", list(STACKS))
def test_outputs_equal_the_reference(name):
    run_bench(Bare(StackCompute(stack=STACKS[name], unit=UNIT)), module=__name__, parameters={"stack": name})


def test_knows_its_size():
    shape = stack(64, 40, 24, pes=4, lanes=32)
    assert (shape.multipliers, shape.macs, shape.outputs) == (128, 64 * 40 + 40 * 24, 24)
    plans = [plan_layer(shape, number) for number in range(2)]
    assert [(plan.rounds, plan.steps, plan.words) for plan in plans] == [(10, 2, 2), (6, 2, math.ceil(24 / 32))]


REFUSED = [
    # changes of a stack of two layers, what the message says
    ({"layers": ()}, "at least one layer, not"),
    ({"inputs": 65}, "layer 0: inputs must be 65, not 64"),
    ({"layers": (Layer(inputs=64, outputs=40), Layer(inputs=41, outputs=2))}, "layer 1: inputs must be 40, not 41"),
    ({"pes": 3}, "even number of PEs"),
    ({"lanes": 0}, "lanes and drain must be at least 1"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_refuses_layers_that_do_not_chain_and_impossible_arrays(changes, message):
    with pytest.raises(ValueError, match=message):
        stack(64, 40, 24, pes=4, lanes=32).replace(**changes)
