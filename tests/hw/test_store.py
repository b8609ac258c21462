"""Memories, small and large: rows come out as they went in, a cycle after they were asked for."""

import random

import cocotb
import pytest

from microduet_hw.store import LARGE, Store
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import begin, cycle

SIZES = {"lone": (1, 7), "small": (37, 9), "large": (LARGE // 512 + 5, 512)}


@cocotb.test()
async def gives_back_what_it_was_given(dut):
    rows, bits = SIZES[bench_parameters()["size"]]
    await begin(dut, i_write=0, i_read=0)
    held, expected = {}, None
    for _ in range(2000):
        row, other = random.randrange(rows), random.randrange(rows)
        other = row if random.random() < 0.2 else other
        write, value = random.random() < 0.6, random.getrandbits(bits)
        read = random.random() < 0.6 and other in held
        await cycle(dut, i_write=write, i_row=row, i_data=value, i_read=read, i_read_row=other)
        # What was read stays until the next read, and is as old as the cycle in which it was asked for.
        assert expected is None or int(dut.o_data.value) == expected
        expected = held[other] if read else expected
        if write:
            held[row] = value


@pytest.mark.parametrize("size", list(SIZES))
def test_gives_back_what_it_was_given(size):
    rows, bits = SIZES[size]
    run_bench(Store(rows=rows, bits=bits), module=__name__, parameters={"size": size})


@pytest.mark.parametrize(("rows", "bits"), [(0, 1), (1, 0)])
def test_memories_of_nothing_are_refused(rows, bits):
    with pytest.raises(ValueError, match="rows and bits must be at least 1"):
        Store(rows=rows, bits=bits)
