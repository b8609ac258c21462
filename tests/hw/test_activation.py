"""The input buffer of a layer: a few vectors, counted word by word, read while they come."""

import random
from collections import deque

import cocotb
import pytest

from microduet_hw.activation import ActivationBuffer, word_layout
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle

BITS = 9
PARAMETERS = ("words", "eagerness", "patience", "vectors")
IDLE = {"i_reserve": 0, "i_release": 0, "i_words__valid": 0}


class Producer:
    """Reserves a place, then sends the words of a vector with gaps."""

    def __init__(self, words, eagerness):
        self.words, self.eagerness = words, eagerness
        self.waiting = deque()

    def inputs(self, *, space):
        reserve = space and random.random() < self.eagerness
        send = bool(self.waiting) and random.random() < self.eagerness
        inputs = {"i_reserve": int(reserve), "i_words__valid": int(send)}
        if send:
            data, last = self.waiting.popleft()
            inputs["i_words__payload"] = data | last << BITS
        if reserve:
            self.waiting.extend((random.getrandbits(BITS), int(k == self.words - 1)) for k in range(self.words))
        return inputs


class Model:
    """Vectors that have a place, the oldest first, as the words that have come."""

    def __init__(self):
        self.vectors = deque()
        self.used = 0

    def edge(self, inputs, *, release):
        if inputs["i_words__valid"]:
            word, last = inputs["i_words__payload"] & (1 << BITS) - 1, inputs["i_words__payload"] >> BITS
            if not self.vectors or self.vectors[-1][1]:
                self.vectors.append([[], False])
            self.vectors[-1][0].append(word)
            self.vectors[-1][1] = bool(last)
        if release:
            self.vectors.popleft()
        self.used += inputs["i_reserve"] - release

    @property
    def oldest(self):
        return self.vectors[0][0] if self.vectors else []


@cocotb.test()
async def keeps_vectors_apart(dut):
    words, eagerness, patience, vectors = (bench_parameters()[name] for name in PARAMETERS)
    producer, model = Producer(words, eagerness), Model()
    await begin(dut, **IDLE)
    expected, releases, filled = None, 0, False
    for _ in range(1500):
        inputs = producer.inputs(space=model.used < vectors)
        count = len(model.oldest)
        address = random.randrange(count) if count else 0
        release = count == words and random.random() > patience
        if release:  # the last read may be in the cycle of the release
            address = random.choice([address, words - 1])
        reset = random.random() < 0.005
        await cycle(dut, i_address=address, i_release=int(release), **inputs, rst=int(reset))
        assert (dut.o_space.value, dut.o_reserved.value) == (model.used < vectors, model.used > 0)
        assert dut.o_count.value == count
        if expected is not None:
            assert dut.o_data.value == expected
        expected = model.oldest[address] if count else None
        hit("activation: full", model.used == vectors)
        hit("activation: one reserved and one released at once", inputs["i_reserve"] and release)
        hit("activation: read in the cycle of the release", release and address == words - 1)
        releases += release
        filled |= model.used == vectors
        model.edge(inputs, release=int(release))
        if reset:
            producer, model = Producer(words, eagerness), Model()
    assert releases > 20
    assert filled


@cocotb.test()
async def takes_a_word_per_cycle(dut):
    """A producer that never waits and a reader one word behind it move a word in every cycle."""
    words = bench_parameters()["words"]
    layout = word_layout(BITS)
    await begin(dut, **IDLE)
    total = 8 * words
    for number in range(total + 1):
        sent, read = number % words, (number - 1) % words
        payload = layout.const({"data": number % 512, "last": int(sent == words - 1)}).as_bits()
        await cycle(
            dut,
            i_reserve=int(sent == 0 and number < total),
            i_words__valid=int(number < total),
            i_words__payload=payload,
            i_address=read,
            i_release=int(number > 0 and read == words - 1),
        )
        if number:
            assert dut.o_count.value == read + 1
        if number > 1:
            assert dut.o_data.value == (number - 2) % 512
        assert dut.o_space.value == 1


CASES = [
    # words, eagerness of the producer, patience of the consumer, vectors
    (5, 0.6, 0.5, 2),
    (5, 1.0, 0.9, 2),
    (1, 0.7, 0.5, 2),
    (4, 0.9, 0.2, 2),
    (2, 1.0, 0.8, 4),
    (5, 0.9, 0.9, 4),
    (1, 0.9, 0.6, 8),
]


@pytest.mark.parametrize(PARAMETERS, CASES)
def test_keeps_vectors_apart(words, eagerness, patience, vectors):
    run_bench(
        Bare(ActivationBuffer(words=words, bits=BITS, vectors=vectors)),
        module=__name__,
        parameters={"words": words, "eagerness": eagerness, "patience": patience, "vectors": vectors},
    )


@pytest.mark.parametrize("vectors", [0, 1, 3, 6])
def test_keeps_a_power_of_two_of_vectors(vectors):
    with pytest.raises(ValueError, match=f"vectors must be a power of two, at least 2, not {vectors}"):
        ActivationBuffer(words=4, bits=8, vectors=vectors)


@pytest.mark.parametrize(("words", "bits"), [(0, 8), (-1, 8), (4, 0)])
def test_refuses_an_empty_buffer(words, bits):
    with pytest.raises(ValueError, match=f"at least 1, not {words} and {bits}"):
        ActivationBuffer(words=words, bits=bits)
