"""The sigmoid's table: near the function, monotone, and the same in hardware."""

import math
import random

import cocotb
import numpy as np
import pytest

from microduet_hw.sigmoid import INDEX_BITS, Sigmoid, sigmoid_entries, sigmoid_knots, sigmoid_reference
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, FlowMonitor, FlowSource, begin, cycle

CURVATURE = 0.0963
"""The greatest second derivative of the logistic function: sqrt(3) / 18."""
LOGITS = np.arange(-32768, 32768)


def table(fraction):
    """`sigmoid_reference` of all logits at once: int64 (65536,)."""
    entries = np.repeat(sigmoid_entries(fraction), 16)
    return (entries & 0xFFFF) + ((entries >> 16) * (LOGITS + 32768 & 15) >> 4)


@pytest.mark.parametrize("fraction", range(16))
def test_stays_near_the_function_and_rises(fraction):
    with np.errstate(over="ignore"):  # far down the exact value is zero
        exact = 1 / (1 + np.exp(-LOGITS * 2.0**-fraction))
    found = table(fraction)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 65535
    stretch = 2.0 ** (4 - fraction)
    assert np.abs(found / 65536 - exact).max() <= 1.5 * 2.0**-16 + stretch**2 / 8 * CURVATURE


@pytest.mark.parametrize("fraction", [0, 5, 6, 12, 15])
def test_knots_are_rounded_values_of_the_function(fraction):
    for knot, value in random.Random(fraction).sample(list(enumerate(sigmoid_knots(fraction).tolist())), 300):
        x = (16 * knot - 32768) * 2.0**-fraction
        exact = 65536 / (1 + math.exp(-x)) if x > -700 else 0
        assert value == min(65535, math.floor(exact + 0.5))


def test_reference_equals_the_table():
    for logit in [-32768, -32767, -17, -16, -1, 0, 1, 15, 16, 32766, 32767]:
        assert sigmoid_reference(logit, 12) == table(12)[logit + 32768]
    assert sigmoid_reference(0, 12) == 32768


ROWS = range(0, 1 << INDEX_BITS, 61)
"""Some, whose numbers have each bit set and not."""


async def load(dut, entries):
    """Entries by row, after a reset."""
    await begin(dut, i_load=0, i__valid=0, **({"check__read": 0} if bench_parameters()["checked"] else {}))
    for row, entry in entries.items():
        await cycle(dut, i_load=1, i_load_row=row, i_load_data=int(entry))
    await cycle(dut, i_load=0)


@cocotb.test()
async def scores_equal_the_reference(dut):
    fraction = bench_parameters()["fraction"]
    monitor, source = FlowMonitor(dut, "o"), FlowSource(dut, "i", wait=0.2)
    await load(dut, dict(enumerate(sigmoid_entries(fraction))))
    logits = [-32768, 32767, -1, 0, 1, *(random.randint(-32768, 32767) for _ in range(3000))]
    source.send([logit & 0xFFFF for logit in logits])
    expected = table(fraction)
    assert await monitor.receive(len(logits)) == [int(expected[logit + 32768]) for logit in logits]
    assert {b - a for a, b in zip(source.cycles, monitor.cycles, strict=True)} == {Sigmoid.LATENCY}


@cocotb.test()
async def one_entry_is_loaded_without_touching_others(dut):
    entries = sigmoid_entries(12)
    monitor, source = FlowMonitor(dut, "o"), FlowSource(dut, "i")
    await load(dut, dict(enumerate(entries)))
    row = random.randrange(1 << INDEX_BITS)
    await cycle(dut, i_load=1, i_load_row=row, i_load_data=0x00101234)
    await cycle(dut, i_load=0)
    near = [min(max(other, 0), (1 << INDEX_BITS) - 1) for other in (row - 1, row, row + 1)]
    source.send([(16 * other - 32768) & 0xFFFF for other in near])
    assert await monitor.receive(3) == [0x1234 if other == row else int(entries[other]) & 0xFFFF for other in near]


@cocotb.test()
async def any_entry_is_interpolated(dut):
    """As steep as one may be, at every place of its stretch."""
    entries = {row: (base := random.randrange(65536)) | random.randrange(65536 - base) << 16 for row in ROWS}
    monitor, source = FlowMonitor(dut, "o"), FlowSource(dut, "i")
    await load(dut, entries)
    source.send((16 * row + place - 32768) & 0xFFFF for row in entries for place in range(16))
    expected = [(entry & 0xFFFF) + ((entry >> 16) * place >> 4) for entry in entries.values() for place in range(16)]
    assert await monitor.receive(len(expected)) == expected


@cocotb.test()
async def the_table_is_read_as_it_was_loaded(dut):
    """Between logits, whose scores stay what they are."""
    entries = [random.getrandbits(32) for _ in range(1 << INDEX_BITS)]
    await load(dut, dict(enumerate(entries)))
    for _ in range(300):
        row, logit = random.randrange(1 << INDEX_BITS), random.randint(-32768, 32767)
        await cycle(dut, i__valid=1, i__payload=logit & 0xFFFF)
        await cycle(dut, i__valid=0, check__read=1, i_load_row=row)
        await cycle(dut)
        assert dut.check__data.value == entries[row]
        index, place = divmod(logit + 32768, 16)
        score = (entries[index] & 0xFFFF) + ((entries[index] >> 16) * place >> 4)
        assert (dut.o__valid.value, int(dut.o__payload.value)) == (1, score & 0xFFFF)
        await cycle(dut, check__read=0)


SCENARIOS = ["scores_equal_the_reference", "one_entry_is_loaded_without_touching_others", "any_entry_is_interpolated"]
CASES = [
    # fraction: at 0 an entry rises by half of all scores; whether the table can be read
    (12, False),
    (0, True),
]


@pytest.mark.parametrize(("fraction", "checked"), CASES)
def test_hardware_equals_the_reference(fraction, checked):
    parameters = {"fraction": fraction, "checked": checked}
    scenarios = SCENARIOS + ["the_table_is_read_as_it_was_loaded"] * checked
    run_bench(Bare(Sigmoid(checked=checked)), module=__name__, scenarios=scenarios, parameters=parameters)
