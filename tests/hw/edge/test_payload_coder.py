"""The payload coder: codes are the reference's, whatever waits, and longer ones are told."""

import random

import cocotb
import numpy as np
import pytest

from microduet_hw.edge.payload_coder import BEAT_BYTES, PayloadCoder
from microduet_hw.user_code import code
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import begin, cycle
from tests.support.streams import StreamSource

SHAPES = {
    # elements, lanes
    "RM4": (768, 32),
    "RM5": (120, 18),
    "one": (1, 4),
    "a group and one, of odd words": (17, 5),
}
IDLE = {"i_words__valid": 0, "i_release": 0, "i_beat": 0}


def vector_of(length):
    """A random vector: no zeros, zeros only, or some."""
    rng = np.random.default_rng(random.getrandbits(32))
    share = random.choice([0.0, 1.0, 0.1, 0.5, 0.9])
    return np.where(rng.random(length) < share, 0, rng.integers(1, 256, length)).astype(np.uint8)


def words_of(vector, lanes):
    """The words of a vector, with anything behind its end."""
    padding = np.frombuffer(random.randbytes(-len(vector) % lanes), np.uint8)
    return [int.from_bytes(word.tobytes(), "little") for word in np.concatenate([vector, padding]).reshape(-1, lanes)]


async def read(dut, length):
    """The code that the coder holds."""
    text = b""
    for number in range(-(-length // BEAT_BYTES)):
        await cycle(dut, i_beat=number)
        await cycle(dut)
        text += int(dut.o_beat.value).to_bytes(BEAT_BYTES, "little")
    return list(text[:length])


@cocotb.test()
async def codes_payloads(dut):
    parameters = bench_parameters()
    length, lanes = SHAPES[parameters["shape"]]
    await begin(dut, **IDLE)
    vectors = [vector_of(length) for _ in range(100)]
    source = StreamSource(dut, "i_words", clock=dut.clk, wait=parameters["wait"])
    source.send(word for vector in vectors for word in words_of(vector, lanes))
    words, seen = -(-length // lanes), set()
    for number, vector in enumerate(vectors, 1):
        passed = 0
        while not dut.o_done.value:
            assert passed < 1000, "a payload was never coded"
            await cycle(dut, i_release=0)
            passed += 1
        assert len(source.cycles) == number * words
        due = code(vector)
        found = int(dut.o_length.value)
        assert found == (len(due) if len(due) < length else 0)
        assert await read(dut, found) == due[:found].tolist()
        assert (dut.o_done.value, int(dut.o_length.value), len(source.cycles)) == (1, found, number * words)
        await cycle(dut, i_release=1)
        await cycle(dut, i_release=0)
        assert dut.o_done.value == 0
        hit("payload coder: a code that is not shorter", not found)
        hit("payload coder: a code that is shorter", found)
        seen.add(found > 0)
    assert seen == ({True, False} if length > 2 else {False})


@cocotb.test()
async def is_done_as_soon_as_it_says(dut):
    length, lanes = SHAPES[bench_parameters()["shape"]]
    await begin(dut, **IDLE)
    for _ in range(10):
        *first, last = words_of(vector_of(length), lanes)
        for word in first:
            await cycle(dut, i_words__valid=1, i_words__payload=word)
            assert dut.i_words__ready.value == 1
            for _ in range(2):
                await cycle(dut, i_words__valid=0)
        await cycle(dut, i_words__valid=1, i_words__payload=last)
        for passed in range(PayloadCoder(length=length, lanes=lanes).latency):
            assert dut.o_done.value == 0, passed
            await cycle(dut, i_words__valid=0)
        assert dut.o_done.value == 1
        await cycle(dut, i_release=1)
        await cycle(dut, i_release=0)


@pytest.mark.parametrize("wait", [0.0, 0.6])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_codes_payloads(shape, wait):
    length, lanes = SHAPES[shape]
    coder = PayloadCoder(length=length, lanes=lanes)
    run_bench(coder, module=__name__, parameters={"shape": shape, "wait": wait})


@pytest.mark.parametrize(("length", "lanes"), [(0, 4), (4, 0)])
def test_a_payload_of_nothing_is_refused(length, lanes):
    with pytest.raises(ValueError, match=f"length and lanes must be at least 1, not {length} and {lanes}"):
        PayloadCoder(length=length, lanes=lanes)
