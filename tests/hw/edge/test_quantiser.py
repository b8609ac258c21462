"""The quantiser: sums of up to 40 bits become bytes as numpy's single precision makes them."""

import random

import cocotb
import numpy as np
import pytest

from microduet_hw.edge.quantiser import Quantiser, QuantiserShape
from microduet_hw.image import split_multiplier
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, FlowMonitor, FlowSource
from tests.support.streams import start_clocks

MULTIPLIERS = [
    np.float32(2.0**-40),  # the greatest exponent
    *(np.float32(2.0**-k) for k in (1, 8, 12, 17, 23, 30)),  # ties, of values within and beyond 24 bits
    *(np.float32(3 * 2.0**-k) for k in (9, 20, 33)),
    np.nextafter(np.float32(1), np.float32(0)),
    np.nextafter(np.float32(2.0**-12), np.float32(1)),
    np.nextafter(np.float32(2.0**-20), np.float32(0)),
]


def single_precision(values, multiplier, zero_point):
    """What numpy makes of int64 values."""
    quotients = np.rint(values.astype(np.float32) * multiplier)
    return np.clip(np.clip(quotients, -1000, 1000).astype(np.int64) + zero_point, 0, 255)


def hard_values(rng, count, *, bits, multiplier):
    """Of every magnitude, round 2^24 and its doubles, extremes, and by a hair beside ties of outputs.

    Only beside ties do the two roundings to 24 bits ever show.
    """
    top = (1 << bits - 1) - 1
    spread = rng.integers(-top - 1, top, count, endpoint=True) >> rng.integers(0, bits - 1, count)
    edges = rng.choice([-1, 1], count) * (1 << np.minimum(rng.integers(23, 40, count), bits - 2))
    edges += rng.integers(-9, 9, count) * rng.choice([1, 1, 1 << max(0, bits - 26)], count)
    ties = np.rint((rng.integers(-257, 257, count) + 0.5) / np.float64(multiplier))
    ties = ties + rng.choice([0, 1, -1, 2, -2, 15, -15, 63, -63, 4095, -4095], count)
    ties = ties[np.abs(ties) < top].astype(np.int64)
    return np.clip(np.concatenate([[0, 1, -1, top, -top - 1], spread, edges, ties]), -top - 1, top)


@pytest.mark.parametrize(("bits", "zero_point"), [(17, 0), (24, 255), (25, 3), (32, 128), (40, 7), (40, 0)])
def test_reference_equals_single_precision(bits, zero_point):
    """A million values in all."""
    rng = np.random.default_rng(bits + zero_point)
    compared, seen = 0, set()
    for multiplier in [*MULTIPLIERS, *(rng.uniform(1, 2, 5) * 2.0 ** rng.integers(-39, -1, 5)).astype(np.float32)]:
        values = hard_values(rng, 4500, bits=bits, multiplier=multiplier)
        mantissa, exponent = split_multiplier(multiplier)
        found = [
            QuantiserShape.compute(value, mantissa=mantissa, exponent=exponent, zero_point=zero_point)
            for value in values.tolist()
        ]
        expected = single_precision(values, multiplier, zero_point)
        assert np.array_equal(found, expected), multiplier
        compared, seen = compared + len(values), seen | set(found)
    assert compared > 1_000_000 // 6
    assert seen == set(range(256))


BY_HAND = [
    # value, multiplier, zero point, output
    (3, 0.5, 0, 2),
    (5, 0.5, 0, 2),
    (-3, 0.5, 10, 8),
    (-5, 0.5, 10, 8),
    ((1 << 24) + 1, 2.0**-17, 0, 128),
    ((1 << 39) - 1, 2.0**-32, 0, 128),  # rounds to 2^39 first
    (-(1 << 39), 2.0**-32, 200, 72),
    ((1 << 25) + 2, 2.0**-18, 0, 128),  # 128.0000076: its own rounding to 24 bits drops the last bit
    ((1 << 25) * 3 // 2, 2.0**-25, 0, 2),  # 1.5, a tie
    (1 << 39, 1.0 - 2.0**-24, 0, 255),
]


@pytest.mark.parametrize(("value", "multiplier", "zero_point", "output"), BY_HAND)
def test_cases_by_hand(value, multiplier, zero_point, output):
    mantissa, exponent = split_multiplier(np.float32(multiplier))
    found = QuantiserShape.compute(value, mantissa=mantissa, exponent=exponent, zero_point=zero_point)
    assert found == output


def multiplier_beside_a_tie(rng, value):
    """One that takes a value, not 0, to the middle between two outputs, or by a hair beside it."""
    middle = rng.integers(min(abs(value), 256)) + 0.5
    bits = np.float32(middle / abs(value)).view(np.uint32) + rng.integers(-2, 2, endpoint=True)
    return max(MULTIPLIERS[0], np.uint32(bits).view(np.float32))


def random_steps(shape, count):
    """Steps as fields, and their outputs as numpy makes them."""
    rng = np.random.default_rng(random.getrandbits(32))
    steps = []
    for _ in range(count):
        multiplier = MULTIPLIERS[rng.integers(len(MULTIPLIERS))]
        if rng.random() < 0.5:
            multiplier = np.float32(rng.uniform(1, 2) * 2.0 ** float(rng.integers(-39, -1)))
        values = rng.choice(hard_values(rng, 8, bits=shape.bits, multiplier=multiplier), shape.lanes)
        if rng.random() < 0.5 and values[0]:
            multiplier = multiplier_beside_a_tie(rng, int(values[0]))
        mantissa, exponent = split_multiplier(multiplier)
        zero_point, last = int(rng.choice([0, 255, rng.integers(256)])), int(rng.random() < 0.2)
        fields = {"mantissa": mantissa, "exponent": exponent, "zero_point": zero_point, "last": last}
        outputs = single_precision(values, multiplier, zero_point).tolist()
        steps.append(({"values": values.tolist(), **fields}, {"values": outputs, "last": last}))
    return steps


@cocotb.test()
async def quantises_every_step_in_time(dut):
    shape = QuantiserShape(**bench_parameters())
    steps = random_steps(shape, 3000)
    monitor, source = FlowMonitor(dut, "o"), FlowSource(dut, "i", wait=0.3)
    await start_clocks(dut)
    source.send(shape.step.const(fields).as_bits() for fields, _ in steps)
    seen = set()
    for (fields, outputs), bits in zip(steps, await monitor.receive(len(steps)), strict=True):
        assert bits == shape.result.const(outputs).as_bits(), fields
        seen |= set(outputs["values"])
    late = {out - into for out, into in zip(monitor.cycles, source.cycles, strict=True)}
    assert late == {Quantiser.LATENCY}
    assert {0, 255} < seen


@pytest.mark.parametrize(("lanes", "bits"), [(3, 40), (2, 32), (1, 25), (2, 17), (1, 4)])
def test_hardware_equals_single_precision(lanes, bits):
    run_bench(Bare(Quantiser(lanes=lanes, bits=bits)), module=__name__, parameters={"lanes": lanes, "bits": bits})


@pytest.mark.parametrize(
    ("lanes", "bits", "message"),
    [
        (0, 32, "lanes must be at least 1, not 0"),
        (1, 1, "bits must be 2 to 64, not 1"),
        (1, 65, "bits must be 2 to 64, not 65"),
    ],
)
def test_refuses_impossible_sizes(lanes, bits, message):
    with pytest.raises(ValueError, match=message):
        Quantiser(lanes=lanes, bits=bits)
