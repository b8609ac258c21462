"""The drain: captured rounds leave as the next layer's words, leftovers gathered."""

import random

import cocotb
import pytest

from microduet_hw.config import Array, Precision
from microduet_hw.drain import Drain
from microduet_hw.layout import HOLE, drain_order, input_order
from microduet_hw.pe_array import pe_array_shape
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle
from tests.support.models import small_config

ENGINES = {
    # precision, outputs of the hidden layers, PEs and lanes of their one array
    "leftovers of two of three rounds": (Precision.FIXED16, (15, 9), 6, 4),
    "fewer elements than lanes": (Precision.INT8, (7,), 2, 5),
    "no leftovers": (Precision.FIXED32, (11,), 4, 2),
    "words of eight rounds": (Precision.INT8, (70, 12), 4, 32),
    "words of three rounds, two layers": (Precision.FIXED16, (40, 24), 6, 18),
}
IDLE = {"i_capture__valid": 0, "i_load": 0}


def engine_of(name):
    precision, hidden, pes, lanes = ENGINES[name]
    array = Array(pes=pes, lanes=lanes, drain=lanes, layers=tuple(range(len(hidden))))
    config = small_config(precision=precision, hidden=hidden, arrays=(array,))
    return config, array, pe_array_shape(config, array).drain


class Chains:
    """The shadow registers of an array's PEs."""

    def __init__(self, array, bits):
        self.array, self.bits = array, bits
        self.shadow = [0] * array.pes

    @property
    def tail(self):
        kept = self.shadow[: self.array.requantised]
        return sum(value << k * self.bits for k, value in enumerate(kept))

    def edge(self, *, captured, shift):
        if captured is not None:
            self.shadow = list(captured)
        elif shift:
            self.shadow = (self.shadow + [0] * self.array.drain)[self.array.drain :][: self.array.pes]


def random_parameters(shape):
    lanes = [{"bias": random.randint(-9999, 9999)} for _ in range(shape.lanes)]
    if shape.mantissa:
        lanes = [
            {**lane, "mantissa": random.getrandbits(23) | 1 << 23, "exponent": random.randint(30, 50)} for lane in lanes
        ]
    zero_point = random.randrange(256) if shape.mantissa else 0
    return {"lanes": lanes, "shift": random.randrange(28), "zero_point": zero_point, "relu": random.randrange(2)}


def random_sums(shape):
    """What a PE may hold: one product per limb."""
    top = (1 << shape.pe.precision.width - 1) - 1
    return shape.pe.products(random.randint(0, top), random.randint(-top, top))


def requantised(shape, sums, row, lane):
    own = row["lanes"][lane]
    return shape.compute(
        shape.pe.join(sums) + own["bias"],
        shift=own.get("exponent", row["shift"]),
        relu=bool(row["relu"]),
        mantissa=own.get("mantissa", 0),
        zero_point=row["zero_point"],
    )


def expected_words(config, layer, *, rows, sums):
    """Words of a layer as lists of values, None where anything may stand; `rows` are those of the layer."""
    shape = pe_array_shape(config, config.arrays[0]).drain.requantiser
    values, rows = {}, iter(rows)
    for turn, (outputs, steps) in enumerate(drain_order(config, layer)):
        for numbers, step in zip(outputs, steps, strict=True):
            row = next(rows)
            for lane, output in enumerate(numbers):
                if output != HOLE:
                    values[int(output)] = requantised(shape, sums[turn][step.first_pe + lane], row, lane)
    order = input_order(config, layer + 1)
    return [[None if output == HOLE else values[int(output)] for output in word] for word in order]


async def load_parameters(dut, shape):
    rows = [random_parameters(shape.requantiser) for _ in range(shape.parameter_rows)]
    for number, row in enumerate(rows):
        bits = shape.requantiser.parameters.const(row).as_bits()
        await cycle(dut, i_capture__valid=0, i_load=1, i_load_row=number, i_load_data=bits)
    await cycle(dut, **IDLE)
    return rows


class Watcher:
    """Compares words that leave with those that are due, and how long the first of each round took."""

    def __init__(self, shape):
        self.shape, self.due = shape, [[] for _ in shape.plans]
        self.words = 0

    def look(self, dut):
        width, lanes = self.shape.requantiser.width, self.shape.drain
        for layer, due in enumerate(self.due):
            if not getattr(dut, f"o_words_{layer}__valid").value:
                continue
            bits = getattr(dut, f"o_words_{layer}__payload").value.to_unsigned()
            found = [bits >> lane * width & (1 << width) - 1 for lane in range(lanes)]
            values, last = due.pop(0)
            for value, other in zip(values, found, strict=True):
                assert value is None or value & (1 << width) - 1 == other
            assert bits >> lanes * width == last
            self.words += 1


@cocotb.test()
async def sends_rounds_as_words(dut):
    config, array, shape = engine_of(bench_parameters()["engine"])
    requantiser = shape.requantiser
    chains, watcher = Chains(array, requantiser.pe.chain_bits), Watcher(shape)
    await begin(dut, **IDLE)
    rows = await load_parameters(dut, shape)
    for _ in range(12):
        # Layers may come in any order, as several vectors are worked on.
        for number in random.sample(range(len(shape.plans)), len(shape.plans)):
            plan, row = shape.plans[number], shape.first_rows[number]
            sums = [[random_sums(requantiser) for _ in range(array.pes)] for _ in plan.drains]
            own = rows[row : row + sum(map(len, plan.drains))]
            words = expected_words(config, number, rows=own, sums=sums)
            watcher.due[number] += [(word, int(k == len(words) - 1)) for k, word in enumerate(words)]
            for turn, drain in enumerate(plan.drains):
                captured = [requantiser.pe.pack_chain(parts) for parts in sums[turn]]
                last = int(turn == plan.rounds - 1)
                gap = random.choice([0, 0, 1, 7])
                for k in range(len(drain) + gap):
                    bits = shape.tag["plan"].width
                    control = {"i_capture__valid": int(k == 0), "i_capture__payload": number | last << bits}
                    await cycle(dut, i_tail=chains.tail, **control)
                    chains.edge(captured=captured if k == 0 else None, shift=dut.o_shift.value == 1)
                    watcher.look(dut)
    for _ in range(requantiser.latency + len(shape.plans[-1].drains[-1]) + 1):
        await cycle(dut, i_tail=chains.tail, **IDLE)
        chains.edge(captured=None, shift=dut.o_shift.value == 1)
        watcher.look(dut)
    assert watcher.due == [[] for _ in shape.plans]
    assert watcher.words == 12 * sum(plan.words for plan in shape.plans)


@cocotb.test()
async def keeps_its_latency(dut):
    _, _, shape = engine_of(bench_parameters()["engine"])
    await begin(dut, **IDLE)
    await load_parameters(dut, shape)
    if not shape.plans[0].drains[0][0].emits:
        return  # the first word of such an engine waits for a second round
    await cycle(dut, i_capture__valid=1, i_capture__payload=0)
    for passed in range(1, 20):
        await cycle(dut, i_capture__valid=0)
        if dut.o_words_0__valid.value:
            assert passed == 1 + shape.requantiser.latency
            return
    raise AssertionError("no word came")


@pytest.mark.parametrize("engine", list(ENGINES))
def test_sends_rounds_as_words(engine):
    run_bench(Bare(Drain(shape=engine_of(engine)[2])), module=__name__, parameters={"engine": engine})
