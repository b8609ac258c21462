"""The whole compute side: scores equal to the reference, and to a second statement of the arithmetic."""

import math
import random
from fractions import Fraction

import cocotb
import numpy as np
import pytest

from microduet_hw import places, reference
from microduet_hw.config import Array, Precision
from microduet_hw.image import parameter_beats, weight_beats
from microduet_hw.layout import plan_layer
from microduet_hw.result import BEAT
from tests.support.bench import bench_parameters, run_bench
from tests.support.compute import Compute, VectorSource
from tests.support.flow import Bare
from tests.support.models import random_model, random_vectors, small_config, vector_words
from tests.support.streams import StreamSink, StreamSource, start_clocks


def one_array(pes, lanes, layers):
    return (Array(pes=pes, lanes=lanes, drain=lanes, layers=tuple(range(layers))),)


BALANCED = "fixed16, rounds longer than the way between arrays"
SHORT = "fixed16, rounds much shorter than the way between arrays"
ENGINES = {
    "fixed16, three layers on one array, leftovers": small_config(
        elements=30, hidden=(33, 21, 8), arrays=one_array(10, 4, 3)
    ),
    "fixed16, an array per layer": small_config(
        elements=13,
        hidden=(14, 9, 5),
        arrays=(
            Array(pes=6, lanes=3, drain=4, layers=(0,)),
            Array(pes=4, lanes=4, drain=3, layers=(1,)),
            Array(pes=2, lanes=3, drain=2, layers=(2,)),
        ),
    ),
    BALANCED: small_config(
        elements=24,
        hidden=(16, 4),
        arrays=(Array(pes=4, lanes=2, drain=1, layers=(0,)), Array(pes=4, lanes=1, drain=1, layers=(1,))),
    ),
    SHORT: small_config(
        elements=24,
        hidden=(16, 8),
        arrays=(Array(pes=16, lanes=8, drain=8, layers=(0,)), Array(pes=8, lanes=8, drain=8, layers=(1,))),
    ),
    "fixed16, fewer elements than lanes": small_config(elements=7, hidden=(7,), arrays=one_array(2, 5, 1), relu=False),
    "fixed16, no hidden layer and no sigmoid": small_config(elements=37, sigmoid=False),
    "fixed16, a bottom layer": small_config(elements=10, dense=7, hidden=(6, 9), bottom=1, arrays=one_array(4, 4, 2)),
    "fixed16, two bottom layers, leftovers, and a second array": small_config(
        elements=30,
        dense=13,
        hidden=(11, 17, 14, 5),
        bottom=2,
        arrays=(Array(pes=6, lanes=4, drain=4, layers=(0, 1, 2)), Array(pes=4, lanes=4, drain=2, layers=(3,))),
    ),
    "fixed32, a bottom layer of one word": small_config(
        precision=Precision.FIXED32, elements=3, dense=2, hidden=(3, 4), bottom=1, arrays=one_array(4, 5, 2)
    ),
    "int8, two bottom layers and two others": small_config(
        precision=Precision.INT8, elements=21, dense=9, hidden=(18, 7, 15, 6), bottom=2, arrays=one_array(8, 5, 4)
    ),
    "fixed32, two layers on one array": small_config(
        precision=Precision.FIXED32, elements=11, hidden=(9, 7), arrays=one_array(4, 3, 2)
    ),
    "int8, leftovers": small_config(
        precision=Precision.INT8, elements=19, hidden=(17, 11, 3), arrays=one_array(6, 4, 3)
    ),
    "int8, an array per layer, no ReLU": small_config(
        precision=Precision.INT8,
        elements=9,
        hidden=(8, 4),
        arrays=(Array(pes=4, lanes=2, drain=2, layers=(0,)), Array(pes=2, lanes=2, drain=4, layers=(1,))),
        relu=False,
    ),
}


def exact_output(layer, output, inputs, low, high):
    """One output of one layer, from the definition."""
    terms = (int(w) * (x - layer.input_zero_point) for w, x in zip(layer.weights[output], inputs, strict=True))
    total = int(layer.bias[output]) + sum(terms)
    if layer.multiplier is None:
        value = round(Fraction(total, 1 << layer.shift))
    else:
        value = int(np.rint(np.float32(total) * layer.multiplier[output])) + layer.output_zero_point
    return min(max(value, layer.output_zero_point if layer.relu else low), high)


def exact_score(logit, fraction):
    """The sigmoid at the ends of a stretch of 16 logits, and a straight line between them."""
    knots = [
        min(65535, math.floor(65536 / (1 + math.exp(-end * 16 * 2.0**-fraction)) + 0.5))
        for end in (logit // 16, logit // 16 + 1)
    ]
    return knots[0] + (knots[1] - knots[0]) * (logit % 16) // 16


def exact_result(config, model, vector):
    """Logit and score of one vector, from the definitions of the layers, output by output."""
    width, logit_width = config.precision.width, config.precision.logit_width
    values = [int(value) for value in vector]
    bounds = (-(1 << width - 1), (1 << width - 1) - 1) if config.precision.signed else (0, (1 << width) - 1)
    features: list[int] = []
    if config.bottom:
        values, features = values[: config.dense], values[config.dense :]
    for number, layer in enumerate(model.layers[:-1]):
        if config.bottom and number == config.bottom:
            values = features + values
        values = [exact_output(layer, output, values, *bounds) for output in range(len(layer.bias))]
    top = 1 << logit_width - 1
    logit = exact_output(model.layers[-1], 0, values, -top, top - 1)
    dropped = logit_width - 16
    return logit, exact_score(logit >> dropped, model.logit_fraction - dropped) if config.sigmoid else 0


def case(name, seed, items):
    """A model, vectors, and the beats that load the model."""
    config, rng = ENGINES[name], np.random.default_rng(seed)
    while True:
        model, vectors = random_model(config, rng), random_vectors(config, rng, items=items)
        # Now and then every ReLU of a random layer is closed; such a model would show nothing.
        if len(set(reference.scores(config, model, vectors)[0].tolist())) > items // 4:
            break
    beats = np.concatenate([weight_beats(config, model), parameter_beats(config, model)])
    words = [int.from_bytes(beat.tobytes(), "little") for beat in beats]
    return config, model, vectors, words


class Bench:
    """A `Compute` with a random model, and the ends of its streams."""

    def __init__(self, dut, engine, *, items):
        seed = random.getrandbits(32)
        dut._log.info("model and vectors of numpy seed %d", seed)
        self.config, self.model, self.vectors, self.beats = case(engine, seed, items)
        self.load = StreamSource(dut, "i_load", clock=dut.clk)
        self.headers = StreamSource(dut, "i_headers", clock=dut.clk)
        self.sink = StreamSink(dut, "o_results", clock=dut.clk)
        self.source = VectorSource(dut, word_bits=self.config.input_lanes * self.config.precision.width)
        self.sent = [(random.getrandbits(32), random.getrandbits(5)) for _ in range(items)]

    async def run(self, first, count, *, wait, stall):
        """Send some of the items and return the beats that come back."""
        self.source.wait = self.headers.wait = wait
        self.sink.stall = stall
        chosen = slice(first, first + count)
        self.headers.send([tag | status << 32 for tag, status in self.sent[chosen]])
        self.source.send([vector_words(self.config, vector) for vector in self.vectors[chosen]])
        return await self.sink.receive(count)


@cocotb.test()
async def scores_equal_the_reference(dut):
    bench = Bench(dut, bench_parameters()["engine"], items=36)
    config, model, vectors = bench.config, bench.model, bench.vectors
    await start_clocks(dut)
    bench.load.send(bench.beats)
    await bench.load.drain()
    beats = await bench.run(0, 12, wait=0, stall=0)
    beats += await bench.run(12, 12, wait=0.5, stall=0.2)
    # Results that are hardly ever taken hold everything up, as far as the first layer's input.
    beats += await bench.run(24, 12, wait=0.1, stall=0.97)
    logits, scores = reference.scores(config, model, vectors)
    for number, bits in enumerate(beats):
        found = BEAT.from_bits(bits)
        assert (found["tag"], found["status"]) == bench.sent[number]
        assert (found["logit"], found["score"]) == (int(logits[number]), int(scores[number])), f"item {number}"
        assert (found["logit"], found["score"]) == exact_result(config, model, vectors[number]), f"item {number}"
        assert {found[name] for name in ("slot", "rank", "user_status", "count", "reserved")} == {0}


@cocotb.test()
async def keeps_its_slowest_array_busy(dut):
    bench = Bench(dut, bench_parameters()["engine"], items=40)
    await start_clocks(dut)
    await bench.run(0, 40, wait=0, stall=0)
    plans = [plan_layer(bench.config, number) for number in range(len(bench.config.hidden))]
    expected = max(plan.rounds * max(plan.steps, *map(len, plan.drains)) for plan in plans)
    # The first results come sooner, while buffers fill.
    assert (bench.sink.cycles[-1] - bench.sink.cycles[19]) / 20 == expected


@pytest.mark.parametrize("engine", list(ENGINES))
def test_scores_equal_the_reference(engine):
    scenarios = ["scores_equal_the_reference"] + ["keeps_its_slowest_array_busy"] * (engine in (BALANCED, SHORT))
    run_bench(
        Bare(Compute(config=ENGINES[engine])), module=__name__, scenarios=scenarios, parameters={"engine": engine}
    )


def test_places_are_as_many_as_the_way_is_long():
    """Items are in front of the second array for 13 cycles, results on their way for 21, of 3 or 2 each."""
    config = ENGINES[SHORT]
    assert [places.input_places(config, number) for number in range(2)] == [2, 8]
    assert places.result_places(config) == places.RESULTS
    assert places.result_places(small_config(elements=16, hidden=(16, 8), arrays=config.arrays)) == 16
    assert [places.input_places(ENGINES[BALANCED], number) for number in range(2)] == [2, 2]
    assert places.result_places(ENGINES[BALANCED]) == places.RESULTS


@pytest.mark.parametrize("engine", list(ENGINES))
def test_reference_equals_the_definition(engine):
    config, model, vectors, _ = case(engine, seed=1, items=100)
    logits, scores = reference.scores(config, model, vectors)
    expected = [exact_result(config, model, vector) for vector in vectors]
    assert list(zip(logits.tolist(), scores.tolist(), strict=True)) == expected
