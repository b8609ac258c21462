"""The vector assembler: sums and bottom outputs, quantised as in plain integers, each word in its cycle."""

import itertools
import random

import cocotb
import numpy as np
import pytest

from microduet_hw.edge.assembler import VectorAssembler
from microduet_hw.edge.message import CONSTANTS
from microduet_hw.edge.quantiser import Quantiser, QuantiserShape
from microduet_hw.image import split_multiplier
from tests.support.bench import bench_parameters, run_bench
from tests.support.edge import bottom, pack, small_edge
from tests.support.flow import Bare, begin, cycle

UNITS = {
    "sums alone": small_edge(((4, 4), 3)),
    "static, a tail word that is not full": small_edge(((4,), 1), static=bottom(4, outputs=3)),
    "dynamic, two tail words": small_edge(((8,), 100), ((4,), 1), dynamic=bottom(4, outputs=6), element_bits=16),
    "both in one word, of one row": small_edge(((4,), 2), static=bottom(4, outputs=1), dynamic=bottom(4, outputs=2)),
    "both, the second word of both": small_edge(((4, 8), 5), static=bottom(4, outputs=5), dynamic=bottom(4, outputs=3)),
}


VECTORS = 150


def random_multiplier(bits):
    """Mostly outputs of values of so many bits fill a byte, and are clipped now and then; else any that there is."""
    places = bits - 8 if random.random() < 0.7 else random.randint(4, 40)
    mantissa, exponent = split_multiplier(np.float32(random.uniform(2, 4) * 2.0**-places))
    return {"mantissa": mantissa, "exponent": exponent}


def random_constants(config):
    constants = {name: random.getrandbits(8) for name in ("version", "scale", "payload_zero_point", "zero_point")}
    return constants | {"pooled": random_multiplier(config.sum_bits), "bottom": random_multiplier(16)}


def random_values(count, bits):
    extremes = [-(1 << bits - 1), (1 << bits - 1) - 1, 0]
    return [random.choice([*extremes, *(random.randint(*extremes[:2]) for _ in range(6))]) for _ in range(count)]


def words_of(values, lanes):
    return [values[k : k + lanes] for k in range(0, len(values), lanes)]


class Part:
    """Words that come to the assembler with gaps, from the cycle after the start on."""

    def __init__(self, name, values, *, lanes, bits):
        self.name, self.lanes, self.bits = name, lanes, bits
        self.words = words_of(values, lanes)
        # Often one part is much later than the other.
        self.chance = random.choice([0.1, 0.8, 1.0])
        self.cycles = []

    @property
    def left(self):
        """Words that are still to come."""
        return len(self.words) - len(self.cycles)

    def drive(self, now, *, wait, at_once):
        if not self.left or wait or not (at_once or random.random() < self.chance):
            return {f"{self.name}__valid": 0}
        word = self.words[len(self.cycles)]
        self.cycles.append(now)
        last = len(self.cycles) == len(self.words)
        payload = pack(word, self.bits) | last << self.lanes * self.bits
        return {f"{self.name}__valid": 1, f"{self.name}__payload": payload}


class Vector:
    """One vector: its parts, the model's constants meanwhile, and the words that should become of them."""

    def __init__(self, config, start, memo, constants):
        self.start, self.constants = start, constants
        dynamic = random_values(config.dynamic.outputs if config.dynamic else 0, 16)
        self.lanes = config.row_elements
        self.sums = Part(
            "i_sums", random_values(config.pooled_elements, config.sum_bits), lanes=self.lanes, bits=config.sum_bits
        )
        self.dynamic = Part("i_dynamic", dynamic, lanes=config.dynamic.lanes if config.dynamic else 1, bits=16)
        bottoms = memo + dynamic
        self.tail = words_of(bottoms + [0] * (-len(bottoms) % self.lanes), self.lanes)
        # Chance alone would hardly ever end a long and a short part in one cycle.
        self.together = random.random() < 0.2

    def drive(self, now):
        """Words of this cycle; parts that end together wait for each other with their last ones."""
        final = [part.left == 1 for part in self.parts]
        inputs = {}
        for part, one in zip(self.parts, final, strict=True):
            wait, at_once = self.together and one and not all(final), self.together and all(final)
            inputs |= part.drive(now, wait=wait, at_once=at_once)
        return inputs

    @property
    def parts(self):
        return [part for part in (self.sums, self.dynamic) if part.words]

    @property
    def complete(self):
        """The cycle in which the last word of all parts came, if it has."""
        came = all(len(part.cycles) == len(part.words) for part in self.parts)
        return max(part.cycles[-1] for part in self.parts) if came else None

    def is_busy(self, now):
        return self.complete is None or now <= self.complete + len(self.tail)

    def expected(self):
        """Words of the vector: (cycle in which they leave, bits)."""
        constants = self.constants
        steps = [(now, row, constants["pooled"]) for now, row in zip(self.sums.cycles, self.sums.words, strict=True)]
        steps += [(self.complete + k, word, constants["bottom"]) for k, word in enumerate(self.tail, 1)]
        for now, values, multiplier in steps:
            word = [QuantiserShape.compute(v, zero_point=constants["zero_point"], **multiplier) for v in values]
            last = now == steps[-1][0]
            yield now + Quantiser.LATENCY, pack(word, 8) | last << 8 * self.lanes


async def observe(dut, config, *, pause):
    """Vectors as they were given, and the words that left by their cycles; when it is busy is checked on the way."""
    given, left, quiet = [], {}, {"i_start": 0, "i_sums__valid": 0, "i_dynamic__valid": 0}
    for now in itertools.count():
        busy = bool(given) and given[-1].is_busy(now)
        inputs = dict(quiet)
        if busy:
            inputs |= given[-1].drive(now)
        elif len(given) == VECTORS and not given[-1].is_busy(now - 2 * Quantiser.LATENCY):
            return given, left
        else:
            # What the register and the model hold in the cycle of a start stays.
            memo = random_values(config.static.outputs if config.static else 0, 16)
            constants = random_constants(config)
            inputs |= {"i_memo": pack(memo, 16), "i_constants": CONSTANTS.const(constants).as_bits()}
            inputs["i_start"] = int(len(given) < VECTORS and random.random() >= pause)
        await cycle(dut, **inputs)
        assert dut.o_busy.value == busy
        if dut.o_words__valid.value:
            left[now] = int(dut.o_words__payload.value)
        if inputs["i_start"]:
            given.append(Vector(config, now, memo, constants))
    return None


@cocotb.test()
async def quantises_each_word_in_its_cycle(dut):
    parameters = bench_parameters()
    config = UNITS[parameters["unit"]]
    await begin(dut, i_start=0, i_sums__valid=0, i_dynamic__valid=0)
    given, left = await observe(dut, config, pause=parameters["pause"])
    words = dict(word for vector in given for word in vector.expected())
    assert left == words
    assert {0, 255} < {word >> 8 * k & 255 for word in words.values() for k in range(config.row_elements)}
    ends = [vector.complete + len(vector.tail) for vector in given]
    assert any(later.start == end + 1 for later, end in zip(given[1:], ends, strict=False))
    if config.dynamic:
        late = [vector.dynamic.cycles[-1] - vector.sums.cycles[-1] for vector in given]
        assert min(late) < 0 < max(late)
        assert 0 in late


@pytest.mark.parametrize(("unit", "pause"), [(unit, 0.5 * (k % 2)) for k, unit in enumerate(UNITS)])
def test_quantises_each_word_in_its_cycle(unit, pause):
    run_bench(Bare(VectorAssembler(config=UNITS[unit])), module=__name__, parameters={"unit": unit, "pause": pause})
