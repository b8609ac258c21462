"""Requantisers: one rounding, one saturation, in integers; in mantissa mode as single precision does it."""

import random
from fractions import Fraction

import cocotb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet_hw.config import Precision
from microduet_hw.image import split_multiplier
from microduet_hw.pe import PeShape
from microduet_hw.requantiser import Requantiser, RequantiserShape
from microduet_hw.single_precision import round_half_even, round_significant
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, FlowMonitor, FlowSource, signed_of
from tests.support.streams import start_clocks

ACCUMULATOR = {Precision.FIXED16: 39, Precision.FIXED32: 71, Precision.INT8: 32}
EDGE = 1 << 24
"""Accumulators of this size and more are rounded before they are multiplied."""


def shape_of(precision, *, logit=False):
    """Two lanes; with `logit` the widths of an output layer."""
    precision = Precision(precision)
    width = precision.logit_width if logit else precision.width
    return RequantiserShape(
        pe=PeShape(precision=precision, lanes=1, rows=1, terms=100),
        lanes=2,
        bias_bits=ACCUMULATOR[precision],
        width=width,
        signed=precision.signed or logit,
    )


def accumulators(rng, count, *, multiplier, top):
    """int32 sums: of every magnitude, round 2^24, extremes, and by a hair beside ties of outputs up to `top`.

    Only beside ties do the two roundings to 24 bits ever show.
    """
    spread = (rng.integers(-(1 << 31), 1 << 31, count) >> rng.integers(0, 31, count)).tolist()
    edge = rng.choice([-EDGE, EDGE, -2 * EDGE, 2 * EDGE, 4 * EDGE], count // 4) + rng.integers(-9, 9, count // 4)
    ties = np.rint((rng.integers(-top - 1, top, count) + 0.5) / np.float64(multiplier))
    beside = ties + rng.choice([0, 1, -1, 2, -2, 15, -15, 63, -63], count)
    beside = beside[np.abs(beside) < 1 << 31].astype(np.int64)
    return [0, 1, -1, -(1 << 31), (1 << 31) - 1, EDGE, EDGE - 1, EDGE + 1, *edge.tolist(), *spread, *beside.tolist()]


MULTIPLIERS = [
    *(np.float32(2.0**-k) for k in (1, 2, 4, 8, 15, 20, 30)),  # ties
    np.float32(2.0**-40),  # the greatest exponent
    *(np.float32(3 * 2.0**-k) for k in (3, 9, 17)),
    np.nextafter(np.float32(1), np.float32(0)),
    np.nextafter(np.float32(2.0**-12), np.float32(1)),
    np.nextafter(np.float32(2.0**-20), np.float32(0)),
    *(np.float32(2.0**-k) for k in (12, 17, 23)),  # ties of sums beyond 2^24
]


@pytest.mark.parametrize(
    ("logit", "zero_point", "relu"), [(False, 0, False), (False, 7, True), (False, 255, False), (True, 0, False)]
)
def test_reference_equals_single_precision(logit, zero_point, relu):
    shape, rng = shape_of(Precision.INT8, logit=logit), np.random.default_rng(zero_point)
    low, high = shape.bounds
    multipliers = [*MULTIPLIERS, *(rng.uniform(1, 2, 20) * 2.0 ** rng.integers(-24, -1, 20)).astype(np.float32)]
    for multiplier in multipliers:
        totals = accumulators(rng, 4000, multiplier=multiplier, top=high)
        expected = np.rint(np.array(totals, np.int32).astype(np.float32) * multiplier) + np.float32(zero_point)
        expected = np.clip(expected, zero_point if relu else low, high).astype(np.int64)
        mantissa, exponent = split_multiplier(multiplier)
        found = [
            shape.compute(total, shift=exponent, relu=relu, mantissa=mantissa, zero_point=zero_point)
            for total in totals
        ]
        assert np.array_equal(found, expected), multiplier


@given(st.integers(-(1 << 40), 1 << 40), st.integers(0, 63), st.integers(-1, 1))
def test_rounds_to_the_nearest_and_ties_to_even(whole, places, beside):
    value = (whole << places) + (1 << places >> 1) + beside
    # Python rounds fractions exactly, half to even.
    assert round_half_even(value, places) == round(Fraction(value, 1 << places))


@given(st.integers(0, 1 << 60), st.integers(1, 30))
def test_keeps_significant_bits(value, bits):
    kept, dropped = round_significant(value, bits)
    assert kept <= 1 << bits
    assert dropped == max(0, value.bit_length() - bits)
    assert kept == round(Fraction(value, 1 << dropped))


@given(st.data(), st.sampled_from([Precision.FIXED16, Precision.FIXED32]), st.booleans(), st.integers(0, 63))
def test_shift_mode_saturates_the_rounded_quotient(data, precision, relu, shift):
    shape = shape_of(precision)
    top = 1 << ACCUMULATOR[precision] - 1
    total = data.draw(st.integers(-top, top - 1))
    low, high = -(1 << precision.width - 1), (1 << precision.width - 1) - 1
    expected = sorted((low, round(Fraction(total, 1 << shift)), high))[1]
    assert shape.compute(total, shift=shift, relu=relu) == (max(expected, 0) if relu else expected)


SATURATING = [
    # precision, total, shift, relu, output
    (Precision.FIXED16, 32767, 0, False, 32767),
    (Precision.FIXED16, 32768, 0, False, 32767),
    (Precision.FIXED16, -32769, 0, False, -32768),
    (Precision.FIXED16, -5, 0, True, 0),
    (Precision.FIXED16, (32767 << 4) + 7, 4, False, 32767),
    (Precision.FIXED16, (32767 << 4) + 8, 4, False, 32767),
    (Precision.FIXED16, (-32768 << 4) - 9, 4, False, -32768),
    (Precision.FIXED16, 1, 1, False, 0),
    (Precision.FIXED16, 3, 1, False, 2),
    (Precision.FIXED16, -1, 1, False, 0),
    (Precision.FIXED16, -3, 1, False, -2),
    (Precision.FIXED32, 1 << 40, 8, False, (1 << 31) - 1),
    (Precision.FIXED32, -(1 << 40), 8, False, -(1 << 31)),
]


@pytest.mark.parametrize(("precision", "total", "shift", "relu", "output"), SATURATING)
def test_cases_by_hand(precision, total, shift, relu, output):
    assert shape_of(precision).compute(total, shift=shift, relu=relu) == output


def shift_step(shape, rng):
    """A step of shift mode: the sums' bits, the parameters, the outputs."""
    bits = shape.bias_bits
    shift = rng.choice([0, 63, rng.randrange(64), rng.randrange(bits - shape.width + 1)])
    relu = rng.randrange(2)
    sums, lanes, outputs = [], [], []
    for _ in range(shape.lanes):
        terms = [exact_products(shape, rng) for _ in range(100 if rng.random() < 0.1 else 3)]
        parts = tuple(map(sum, zip(*terms, strict=True)))
        total = shape.pe.join(parts)
        bias = rng.choice([0, rng.getrandbits(bits - 2) >> rng.randrange(bits - 2), -total])
        if rng.random() < 0.3:  # a tie
            bias += ((rng.getrandbits(shape.width + 1) << shift) | (1 << shift >> 1)) - bias - total
        bias = max(min(bias, (1 << bits - 2) - 1), -(1 << bits - 2))
        sums.append(shape.pe.pack_chain(parts))
        lanes.append({"bias": bias})
        outputs.append(shape.compute(total + bias, shift=shift, relu=bool(relu)))
        see(shape, total + bias, shift, relu, outputs[-1])
    return sums, {"lanes": lanes, "shift": shift, "zero_point": 0, "relu": relu}, outputs


def see(shape, total, shift, relu, output):
    """Say which corner of the plan a number is."""
    top, rest = (1 << shape.width - 1) - 1, total & (1 << shift) - 1
    hit("requantiser: saturates above", output == top and total >> shift > top)
    hit("requantiser: saturates below", output == -top - 1 and total >> shift < -top - 1)
    hit("requantiser: a tie to even below", shift and rest == 1 << shift - 1 and not total >> shift & 1)
    hit("requantiser: a tie to even above", shift and rest == 1 << shift - 1 and total >> shift & 1)
    hit("requantiser: ReLU of a negative sum", relu and total < 0)
    hit("requantiser: no shift", not shift)
    hit("requantiser: the longest shift", shift == 63)


def exact_products(shape, rng):
    top = (1 << shape.pe.precision.width - 1) - 1
    x = rng.choice([-top - 1, top, rng.randint(-top, top), rng.randint(-top, top)])
    return shape.pe.products(x, rng.choice([-top, top, rng.randint(-top, top)]))


def mantissa_step(shape, rng):
    """A step of mantissa mode."""
    relu, zero_point = rng.randrange(2), 0 if shape.signed else rng.choice([0, 255, rng.randrange(256)])
    sums, lanes, outputs = [], [], []
    generator = np.random.default_rng(rng.getrandbits(32))
    for _ in range(shape.lanes):
        hard = rng.random() < 0.6
        near, far = np.float32(rng.uniform(1, 2) * 2.0**-18), np.float32(rng.uniform(1, 2) * 2.0 ** -rng.randint(2, 36))
        multiplier = rng.choice([*MULTIPLIERS[-3:], near] if hard else [*MULTIPLIERS, far])
        totals = accumulators(generator, 16, multiplier=multiplier, top=shape.bounds[1])
        total = rng.choice(totals[-8:] if hard else totals)
        bias = rng.randint(-(1 << 30), 1 << 30)
        mantissa, exponent = split_multiplier(multiplier)
        sums.append((total - bias) & 0xFFFFFFFF)
        lanes.append({"bias": bias, "mantissa": mantissa, "exponent": exponent})
        outputs.append(shape.compute(total, shift=exponent, relu=bool(relu), mantissa=mantissa, zero_point=zero_point))
    return sums, {"lanes": lanes, "shift": 0, "zero_point": zero_point, "relu": relu}, outputs


@cocotb.test()
async def computes_the_reference(dut):
    parameters = bench_parameters()
    shape = shape_of(parameters["precision"], logit=parameters["logit"])
    rng = random.Random(random.getrandbits(64))
    steps = [(mantissa_step if shape.mantissa else shift_step)(shape, rng) for _ in range(1500)]
    sums_bits = shape.lanes * shape.pe.chain_bits
    words = []
    for sums, values, _ in steps:
        packed = sum(word << lane * shape.pe.chain_bits for lane, word in enumerate(sums))
        words.append(packed | shape.parameters.const(values).as_bits() << sums_bits)
    monitor, source = FlowMonitor(dut, "o"), FlowSource(dut, "i", wait=0.3)
    await start_clocks(dut)
    source.send(words)
    for (sums, values, outputs), bits in zip(steps, await monitor.receive(len(steps)), strict=True):
        lanes = [bits >> lane * shape.width & (1 << shape.width) - 1 for lane in range(shape.lanes)]
        found = [signed_of(lane, shape.width) if shape.signed else lane for lane in lanes]
        assert found == outputs, (sums, values)
    assert [out - into for out, into in zip(monitor.cycles, source.cycles, strict=True)] == [shape.latency] * len(steps)
    extremes = {output for _, _, outputs in steps for output in outputs}
    assert set(shape.bounds) <= extremes


@pytest.mark.parametrize(
    ("precision", "logit"),
    [(Precision.FIXED16, False), (Precision.FIXED32, False), (Precision.INT8, False), (Precision.INT8, True)],
)
def test_hardware_computes_the_reference(precision, logit):
    run_bench(
        Bare(Requantiser(shape=shape_of(precision, logit=logit))),
        module=__name__,
        scenarios=["computes_the_reference"],
        parameters={"precision": precision, "logit": logit},
    )
