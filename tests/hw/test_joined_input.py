"""The input of the layer behind a bottom MLP: two producers' words as one vector, and the vector's parts to each."""

import random
from collections import deque

import cocotb
import pytest

from microduet_hw.activation import VECTORS
from microduet_hw.joined_input import JoinedBuffer, SectionSplit
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle

BITS = 9


class Producer:
    """Reserves places for vectors and sends their words, one producer of a joined buffer."""

    def __init__(self, words, places, eagerness):
        self.words, self.places, self.eagerness = words, places, eagerness
        self.clear()

    def clear(self):
        """Nothing is reserved or on its way."""
        self.waiting, self.vectors = deque(), deque()
        self.used = 0

    def act(self):
        """What it does in this cycle: reserve or not, and the word that it sends, if any."""
        reserve = self.used < self.places and random.random() < self.eagerness
        word = self.waiting.popleft() if self.waiting and random.random() < self.eagerness else None
        if reserve:
            self.waiting.extend((random.getrandbits(BITS), int(k == self.words - 1)) for k in range(self.words))
        return reserve, word

    def edge(self, reserve, word, *, release):
        if word:
            if not self.vectors or len(self.vectors[-1]) == self.words:
                self.vectors.append([])
            self.vectors[-1].append(word[0])
        if release:
            self.vectors.popleft()
        self.used += reserve - release

    @property
    def oldest(self):
        return self.vectors[0] if self.vectors else []


def payload(word):
    return word[0] | word[1] << BITS if word else random.getrandbits(BITS + 1)


@cocotb.test()
async def reads_two_producers_as_one(dut):
    parameters = bench_parameters()
    beside = Producer(parameters["beside"], JoinedBuffer.VECTORS, parameters["eagerness"][0])
    layer = Producer(parameters["words"], VECTORS, parameters["eagerness"][1])
    total = beside.words + layer.words
    await begin(dut, i_release=0, i_reserve=0, i_reserve_beside=0, i_words__valid=0, i_beside__valid=0)
    expected, releases, filled, waited = None, 0, [False, False], False
    for number in range(3000):
        # As `begin` leaves it, at any time: all that was in the buffers or on its way has gone.
        reset = number % 1000 == 999
        (reserve_beside, word_beside), (reserve, word) = beside.act(), layer.act()
        complete = len(beside.oldest) == beside.words
        words = [*beside.oldest, *(layer.oldest if complete else [])]
        address = random.randrange(len(words)) if words else 0
        release = len(words) == total and random.random() < parameters["release"]
        if release:  # the last read may be in the cycle of the release
            address = random.choice([address, total - 1])
        await cycle(
            dut,
            i_address=address,
            i_release=int(release),
            i_reserve_beside=int(reserve_beside),
            i_beside__valid=int(word_beside is not None),
            i_beside__payload=payload(word_beside),
            i_reserve=int(reserve),
            i_words__valid=int(word is not None),
            i_words__payload=payload(word),
            rst=int(reset),
        )
        assert dut.o_space_beside.value == (beside.used < beside.places)
        assert dut.o_space.value == (layer.used < layer.places)
        assert dut.o_count.value == len(words)
        assert dut.o_ready.value == (complete and layer.used > 0)
        if expected is not None:
            assert dut.o_data.value == expected
        expected = words[address] if words else None
        releases += release
        filled = [full or one.used == one.places for full, one in zip(filled, (beside, layer), strict=True)]
        waited |= bool(layer.oldest) and not complete
        beside.edge(reserve_beside, word_beside, release=release)
        layer.edge(reserve, word, release=release)
        if reset:
            beside.clear()
            layer.clear()
            expected = None
    assert releases > 20
    # A slow producer outside keeps the layer's words waiting; a fast one fills all that there is.
    assert waited if parameters["eagerness"][0] < parameters["eagerness"][1] else all(filled)


@cocotb.test()
async def parts_vectors(dut):
    """Words go where they belong; a vector comes only if both have a place."""
    words, beyond = bench_parameters()["words"], bench_parameters()["beyond"]
    await begin(dut, i_reserve=0, i_words__valid=0, i_spaces=0)
    for _ in range(30):
        await part(dut, words, words + beyond)


@cocotb.test()
async def parts_vectors_after_a_reset(dut):
    """The next word is a vector's first, wherever the one before was left."""
    words, beyond = bench_parameters()["words"], bench_parameters()["beyond"]
    await begin(dut, i_reserve=0, i_words__valid=0, i_spaces=0)
    for cut in range(words + beyond):
        await part(dut, words, words + beyond, sent=cut)
        # What comes in the cycle of the reset is lost.
        await cycle(dut, i_words__valid=random.getrandbits(1), i_words__payload=random.getrandbits(BITS), rst=1)
        await cycle(dut, i_words__valid=0, rst=0)
        await part(dut, words, words + beyond)


async def part(dut, words, total, *, sent=None):
    """A vector of `total` words of which `words` are for the first buffer; only the first `sent` of them."""
    for k in range(total if sent is None else sent):
        gaps = [0] * random.choice([0, 0, 1, 4])
        for valid in [*gaps, 1]:
            spaces, data, reserve = random.getrandbits(2), random.getrandbits(BITS), random.getrandbits(1)
            word = data | (k == total - 1) << BITS
            await cycle(dut, i_words__valid=valid, i_words__payload=word, i_spaces=spaces, i_reserve=reserve)
            assert dut.o_space.value == (spaces == 3)
            assert dut.o_reserve.value == reserve
            assert dut.o_words_0__valid.value == (valid and k < words)
            assert dut.o_words_1__valid.value == (valid and k >= words)
            if valid and k < words:
                assert dut.o_words_0__payload.value == data | (k == words - 1) << BITS
            elif valid:
                assert dut.o_words_1__payload.value == word


CASES = [
    # words from outside, of the layer; eagerness of both, probability that a vector that is there goes
    (5, 3, (0.8, 0.8), 0.2),
    (1, 1, (0.9, 0.9), 0.1),
    (4, 7, (0.1, 0.9), 0.9),
    (8, 1, (0.8, 0.6), 0.2),
]


@pytest.mark.parametrize(("beside", "words", "eagerness", "release"), CASES)
def test_reads_two_producers_as_one(beside, words, eagerness, release):
    run_bench(
        Bare(JoinedBuffer(beside=beside, words=words, bits=BITS)),
        module=__name__,
        scenarios=["reads_two_producers_as_one"],
        parameters={"beside": beside, "words": words, "eagerness": eagerness, "release": release},
    )


@pytest.mark.parametrize(("words", "beyond"), [(1, 1), (3, 2), (2, 5)])
def test_parts_vectors(words, beyond):
    run_bench(
        Bare(SectionSplit(words=words, bits=BITS)),
        module=__name__,
        scenarios=["parts_vectors", "parts_vectors_after_a_reset"],
        parameters={"words": words, "beyond": beyond},
    )


@pytest.mark.parametrize(("beside", "words"), [(0, 3), (3, 0)])
def test_refuses_a_producer_without_words(beside, words):
    with pytest.raises(ValueError, match="words and bits must be at least 1, not 0 and 9"):
        JoinedBuffer(beside=beside, words=words, bits=BITS)


def test_refuses_a_section_without_words():
    with pytest.raises(ValueError, match="words must be at least 1, not 0"):
        SectionSplit(words=0, bits=BITS)
