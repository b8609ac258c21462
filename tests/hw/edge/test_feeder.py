"""The word feeder: a vector's words out of the rows of a message, one per cycle."""

import random

import cocotb
import pytest

from microduet_hw.edge.feeder import WordFeeder
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle

WORD_BITS = 12


class Message:
    """A buffered message: a row comes a cycle after its address, and means nothing if nobody asked."""

    def __init__(self, *, words, per_row):
        self.words = [random.getrandbits(WORD_BITS) for _ in range(words)]
        padded = self.words + [random.getrandbits(WORD_BITS) for _ in range(-words % per_row)]
        rows = [padded[k : k + per_row] for k in range(0, len(padded), per_row)]
        self.rows = [sum(word << WORD_BITS * k for k, word in enumerate(row)) for row in rows]


@cocotb.test()
async def sends_a_word_per_cycle(dut):
    words, per_row, pause = (bench_parameters()[name] for name in ("words", "per_row", "pause"))
    await begin(dut, i_start=0, i_row=0)
    message, row, due, vectors, without_a_gap, resets = None, 0, [], 0, 0, 0
    while vectors < 120:
        busy = len(due) > 1
        start, reset = not busy and random.random() >= pause, pause > 0 and random.random() < 0.1
        await cycle(dut, i_start=int(start), i_row=row, rst=int(reset))
        assert dut.o_busy.value == busy
        assert dut.o_words__valid.value == bool(due)
        if due:
            assert dut.o_words__payload.value == due[0] | (len(due) == 1) << WORD_BITS
        if start:
            without_a_gap += bool(due)
            message = Message(words=words, per_row=per_row)
            due, vectors = list(message.words), vectors + 1
        else:
            due = due[1:]
        row = message.rows[int(dut.o_row.value)] if start or busy else random.getrandbits(per_row * WORD_BITS)
        if reset:
            resets += bool(due)
            due = []
    assert bool(resets) == (pause > 0)
    assert without_a_gap == vectors - 1 if pause == 0 else 0 < without_a_gap < vectors


CASES = [
    # words, words per row, probability that a cycle passes without a start
    (1, 1, 0.5),
    (5, 1, 0.5),
    (1, 2, 0.0),
    (3, 2, 0.0),
    (7, 2, 0.5),
    (3, 4, 0.5),
    (8, 4, 0.5),
    (21, 8, 0.0),
]


@pytest.mark.parametrize(("words", "per_row", "pause"), CASES)
def test_sends_a_word_per_cycle(words, per_row, pause):
    run_bench(
        Bare(WordFeeder(row_bits=per_row * WORD_BITS, word_bits=WORD_BITS, words=words)),
        module=__name__,
        parameters={"words": words, "per_row": per_row, "pause": pause},
    )


@pytest.mark.parametrize(("row_bits", "words"), [(13, 1), (6, 1), (24, 0), (0, 1)])
def test_refuses_what_is_not_whole_words(row_bits, words):
    with pytest.raises(ValueError, match=f"rows of {row_bits} bits must be whole words of 12, and words at least 1"):
        WordFeeder(row_bits=row_bits, word_bits=WORD_BITS, words=words)
