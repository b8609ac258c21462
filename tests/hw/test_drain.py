"""The drain: captured rounds leave as the next layer's words, leftovers gathered, each word in its cycle."""

import math
import random
from typing import NamedTuple

import cocotb
import pytest

from microduet_hw.config import Array, Precision
from microduet_hw.drain import Drain
from microduet_hw.layout import HOLE, drain_order, input_order
from microduet_hw.pe_array import pe_array_shape
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle
from tests.support.models import small_config


class Engine(NamedTuple):
    """Layers of one array; `options` are those of the drain's shape."""

    precision: Precision
    hidden: tuple[int, ...]
    pes: int
    lanes: int
    options: tuple[str, ...] = ()


ENGINES = {
    "leftovers of two of three rounds": Engine(Precision.FIXED16, (15, 9), 6, 4),
    "fewer elements than lanes": Engine(Precision.INT8, (7,), 2, 5),
    "no leftovers": Engine(Precision.FIXED32, (11,), 4, 2),
    "words of eight rounds": Engine(Precision.INT8, (70, 12), 4, 32),
    "words of three rounds, two layers": Engine(Precision.FIXED16, (40, 24), 6, 18),
    # Last rounds of two steps, four, four and one; leftovers of theirs in every place of a word, or none.
    "four layers, users, checked": Engine(Precision.FIXED16, (43, 79, 40, 66), 20, 6, ("users", "checked")),
}


def engine_of(name):
    engine = ENGINES[name]
    layers = tuple(range(len(engine.hidden)))
    array = Array(pes=engine.pes, lanes=engine.lanes, drain=engine.lanes, layers=layers)
    config = small_config(precision=engine.precision, hidden=engine.hidden, arrays=(array,))
    return config, array, pe_array_shape(config, array).drain.replace(**dict.fromkeys(engine.options, True))


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


def random_size(top):
    """A number of either sign, small as often as large: every bit of it counts somewhere, and some saturate."""
    bound = min(top, 1 << random.randint(1, top.bit_length()))
    return random.randint(-bound, bound)


def random_bias(shape):
    """As large as it may be beside a sum of this bench."""
    return random_size((1 << shape.bias_bits - 1) - (1 << 2 * shape.pe.precision.width - 2))


def random_parameters(shape):
    lanes = [{"bias": random_bias(shape)} for _ in range(shape.lanes)]
    if shape.mantissa:
        lanes = [
            {**lane, "mantissa": random.getrandbits(23) | 1 << 23, "exponent": random.randint(30, 50)} for lane in lanes
        ]
    # Without a mantissa nobody reads the zero point, but it is there.
    zero_point = random.randrange(256)
    return {
        "lanes": lanes,
        "shift": random.choice([0, random.randrange(28)]),
        "zero_point": zero_point,
        "relu": random.randrange(2),
    }


def random_sums(shape):
    """What a PE may hold: one product per limb."""
    top = (1 << shape.pe.precision.width - 1) - 1
    return shape.pe.products(abs(random_size(top)), random_size(top))


def requantised(shape, sums, row, lane):
    own = row["lanes"][lane]
    return shape.compute(
        shape.pe.join(sums) + own["bias"],
        shift=own.get("exponent", row["shift"]),
        relu=bool(row["relu"]),
        mantissa=own.get("mantissa", 0),
        zero_point=row["zero_point"] if shape.mantissa else 0,
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


class Bench:
    """A drain behind its PEs: what is due in which cycle, and whether it came."""

    def __init__(self, dut, name):
        self.dut = dut
        self.config, self.array, self.shape = engine_of(name)
        self.requantiser = self.shape.requantiser
        self.rows = [None] * self.shape.parameter_rows
        self.forget()

    def forget(self):
        """As after a reset: nothing is due."""
        self.chains = Chains(self.array, self.requantiser.pe.chain_bits)
        self.cycle, self.biases = 0, None
        self.shifts, self.words, self.reads = set(), {}, {}

    async def step(self, *, capture=None, sums=None, **inputs):
        """One cycle, with a captured (layer, last round) or none; inputs that nobody may read are random."""
        control = random.getrandbits(len(self.dut.i_capture__payload))
        if capture:
            layer, last = capture
            control = layer | last << self.shape.tag["plan"].width
        idle = {
            "i_load": 0,
            "i_load_row": random.randrange(max(2, self.shape.parameter_rows)),
            "i_load_data": random.getrandbits(self.requantiser.parameters.size),
        }
        if self.shape.users:
            size = self.requantiser.lanes * self.requantiser.bias_bits
            idle["biases__data"] = random.getrandbits(size) if self.biases is None else self.biases
        given = {"i_capture__valid": int(capture is not None), "i_capture__payload": control}
        await cycle(self.dut, i_tail=self.chains.tail, **given, **(idle | inputs))
        self.look()
        packed = [self.requantiser.pe.pack_chain(parts) for parts in sums] if capture else None
        self.chains.edge(captured=packed, shift=self.dut.o_shift.value == 1)
        self.cycle += 1

    def look(self):
        dut, now = self.dut, self.cycle
        assert dut.o_shift.value == (now in self.shifts)
        if self.shape.users:
            self.biases = None
            read, last = dut.biases__read.value, dut.biases__last.value
            assert read == (now in self.reads)
            if read:
                row, vectors_last, self.biases = self.reads.pop(now)
                assert (dut.biases__row.value, last) == (row, vectors_last)
            else:
                assert not last
        due = self.words.pop(now, None)
        for layer in range(len(self.shape.plans)):
            valid = getattr(dut, f"o_words_{layer}__valid").value
            assert valid == (due is not None and due[0] == layer), f"layer {layer} in cycle {now}: {valid}"
        if due:
            self.compare(*due)

    def compare(self, layer, values, last):
        width, lanes = self.requantiser.width, self.shape.drain
        bits = getattr(self.dut, f"o_words_{layer}__payload").value.to_unsigned()
        for lane, value in enumerate(values):
            assert value is None or value & (1 << width) - 1 == bits >> lane * width & (1 << width) - 1
        assert bits >> lanes * width == last

    async def load(self, numbers):
        """New parameters for these rows."""
        for number in numbers:
            self.rows[number] = row = random_parameters(self.requantiser)
            bits = self.requantiser.parameters.const(row).as_bits()
            await self.step(i_load=1, i_load_row=number, i_load_data=bits)
        await self.step()

    def parameters(self, layer):
        """Those of a layer's steps for one vector, whose biases may come from outside; and these, or None."""
        plan, first = self.shape.plans[layer], self.shape.first_rows[layer]
        rows = self.rows[first : first + sum(map(len, plan.drains))]
        if layer or not self.shape.users:
            return rows, None
        own = [[random_bias(self.requantiser) for _ in row["lanes"]] for row in rows]
        rows = [{**row, "lanes": [{"bias": b} for b in biases]} for row, biases in zip(rows, own, strict=True)]
        return rows, own

    async def send(self, layer, *, gaps=(0,), cut=None):
        """All rounds of a layer, each `gaps` after the steps of the one before; at most `cut` cycles of them."""
        plan = self.shape.plans[layer]
        sums = [[random_sums(self.requantiser) for _ in range(self.array.pes)] for _ in plan.drains]
        rows, biases = self.parameters(layer)
        words = iter(expected_words(self.config, layer, rows=rows, sums=sums))
        end, sent, row = math.inf if cut is None else self.cycle + cut, 0, 0
        for turn, drain in enumerate(plan.drains):
            if self.cycle >= end:
                return
            last = turn == plan.rounds - 1
            for number, step in enumerate(drain):
                self.shifts.add(self.cycle + 1 + number)
                if step.emits:
                    sent += 1
                    due = layer, next(words), sent == plan.words
                    self.words[self.cycle + 1 + number + self.requantiser.latency] = due
                if biases:
                    mask = (1 << self.requantiser.bias_bits) - 1
                    data = sum((b & mask) << self.requantiser.bias_bits * k for k, b in enumerate(biases[row]))
                    self.reads[self.cycle + number] = row, row == len(rows) - 1, data
                row += 1
            for number in range(len(drain) + random.choice(gaps)):
                if self.cycle >= end:
                    return
                captured = {"capture": (layer, last), "sums": sums[turn]} if number == 0 else {}
                await self.step(**captured)

    async def finish(self):
        for _ in range(len(self.shape.plans[-1].drains[-1]) + self.requantiser.latency + 2):
            await self.step()
        assert not self.words
        assert not self.reads


async def started(dut):
    bench = Bench(dut, bench_parameters()["engine"])
    await begin(dut, **{"i_capture__valid": 0, "i_load": 0} | ({"check__read": 0} if bench.shape.checked else {}))
    await bench.load(range(bench.shape.parameter_rows))
    return bench


def in_any_order(bench):
    """The layers once each: several vectors are worked on."""
    return random.sample(range(len(bench.shape.plans)), len(bench.shape.plans))


@cocotb.test()
async def sends_rounds_as_words(dut):
    bench = await started(dut)
    for _ in range(12):
        for layer in in_any_order(bench):
            await bench.send(layer, gaps=(0, 0, 1, 7))
    await bench.finish()


@cocotb.test()
async def sends_rounds_without_a_gap(dut):
    bench = await started(dut)
    for _ in range(6):
        for layer in in_any_order(bench):
            await bench.send(layer)
    await bench.finish()


@cocotb.test()
async def takes_other_parameters_between_vectors(dut):
    bench = await started(dut)
    rows = bench.shape.parameter_rows
    for _ in range(4):
        await bench.load(random.sample(range(rows), random.randint(1, rows)))
        for layer in in_any_order(bench):
            await bench.send(layer)
        await bench.finish()


@cocotb.test()
async def begins_anew_after_a_reset(dut):
    bench = await started(dut)
    for _ in range(24):
        layers = in_any_order(bench)
        await bench.send(layers[0])
        # In the middle of a layer or behind it, while steps and words are on their way.
        await bench.send(layers[-1], cut=random.randrange(12))
        await bench.step(rst=1)
        bench.forget()
        await bench.step(rst=0)
        for layer in in_any_order(bench):
            await bench.send(layer)
        await bench.finish()


@cocotb.test()
async def gives_its_parameters_back(dut):
    bench = await started(dut)
    for _ in range(2):
        for number in random.sample(range(bench.shape.parameter_rows), bench.shape.parameter_rows):
            for _ in range(2):
                await bench.step(check__read=1, i_load_row=number)
            found = dut.check__data.value.to_unsigned()
            assert found == bench.requantiser.parameters.const(bench.rows[number]).as_bits()
            await bench.step(check__read=0)
        # Where rows are read for the check is no matter for the steps that follow.
        for layer in in_any_order(bench):
            await bench.send(layer)
        await bench.finish()


@cocotb.test()
async def keeps_its_latency(dut):
    bench = await started(dut)
    await cycle(dut, i_capture__valid=1, i_capture__payload=0)
    for passed in range(1, 20):
        await cycle(dut, i_capture__valid=0)
        if dut.o_words_0__valid.value:
            assert passed == 1 + bench.requantiser.latency
            return
    raise AssertionError("no word came")


@pytest.mark.parametrize("engine", list(ENGINES))
def test_sends_rounds_as_words(engine):
    shape = engine_of(engine)[2]
    scenarios = [
        "sends_rounds_as_words",
        "sends_rounds_without_a_gap",
        "takes_other_parameters_between_vectors",
        "begins_anew_after_a_reset",
        *(["gives_its_parameters_back"] if shape.checked else []),
        # The first word of other engines waits for a second round.
        *(["keeps_its_latency"] if shape.plans[0].drains[0][0].emits else []),
    ]
    run_bench(Bare(Drain(shape=shape)), module=__name__, scenarios=scenarios, parameters={"engine": engine})
