"""Processing elements and their pairs: exact sums, capture, shift, and loads that reach the right element only."""

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge
from hypothesis import given
from hypothesis import strategies as st

from microduet_hw.config import Array, Precision
from microduet_hw.pe import PAIR_BITS, PePair, PeShape, ProcessingElement, output_shape, pe_shape
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import begin, cycle, signed_of
from tests.support.models import small_config

PAIR = 5
STEPS = 4
"""The most steps that the accumulators of the benches' shapes are wide enough for."""


def shape_of(precision):
    return PeShape(precision=Precision(precision), lanes=3, rows=6, terms=3 * STEPS)


def ranges(precision):
    """Least and greatest operand, least and greatest weight."""
    top = (1 << precision.width - 1) - 1
    return ((-top - 1, top) if precision.signed else (0, 2 * top + 1)), (-top, top)


def drawn(bounds, extremes):
    return random.choice(bounds) if random.random() < extremes else random.randint(*bounds)


def pack(values, bits):
    return sum((value & ((1 << bits) - 1)) << bits * lane for lane, value in enumerate(values))


def operand(shape, x):
    """One lane's operand: in fixed32 the sum of its limbs above it."""
    if shape.precision is not Precision.FIXED32:
        return x
    return (x & 0xFFFFFFFF) | ((((x >> 16) + (x & 0xFFFF)) & 0x3FFFF) << 32)


def chain_value(shape, bits):
    """The sum of products that a shadow register stands for."""
    sums = []
    for width in shape.sum_widths:
        sums.append(signed_of(bits, width))
        bits >>= width
    return shape.join(tuple(sums))


class Element:
    """One half of a pair in exact integers; None stands for what nobody may rely on."""

    def __init__(self, shape):
        self.rows = [None] * (shape.rows + 1)
        self.read = None
        self.sums = [None] * 2
        self.accumulator = None
        self.shadow = None

    def edge(self, *, operands, address, control, load, chain):
        """One clock edge. `operands` is None in a load, `load` is None or the row of weights for this element."""
        known = None not in (operands, self.read)
        total = sum(x * w for x, w in zip(operands, self.read, strict=True)) if known else None
        before = 0 if control["i_first"] else self.accumulator
        following = None if None in (before, self.sums[1]) else before + self.sums[1]
        if control["i_capture"]:
            self.shadow = None if following is None else ("sum", following)
        elif control["i_shift"]:
            self.shadow = ("bits", chain)
        if control["i_accumulate"]:
            self.accumulator = following
        self.sums = [total, self.sums[0]]
        self.read = self.rows[address]
        if load is not None:
            self.rows[address] = load

    def check(self, shape, bits):
        """Compare with the output; whether there was anything to compare."""
        if self.shadow is None:
            return False
        kind, value = self.shadow
        assert value == (bits if kind == "bits" else chain_value(shape, bits)), (kind, value, bits)
        return True


CONTROL = ("i_first", "i_accumulate", "i_capture", "i_shift")
IDLE = dict.fromkeys(["i_x", "i_address", "i_index", "i_load", "i_load_pair", "i_load_half", *CONTROL], 0)
IDLE |= {"i_chain_0": 0, "i_chain_1": 0}


def random_control(steps):
    """Random control; the accumulator starts again before it could overflow."""
    control = {name: int(random.random() < p) for name, p in (("i_first", 0.3), ("i_accumulate", 0.7))}
    control |= {name: int(random.random() < 0.3) for name in ("i_capture", "i_shift")}
    control["i_first"] |= int(steps >= STEPS)
    return control


@cocotb.test()
async def computes_as_told(dut):
    shape, extremes = shape_of(bench_parameters()["precision"]), bench_parameters()["extremes"]
    xs, ws = ranges(shape.precision)
    halves = [Element(shape), Element(shape)]
    await begin(dut, **IDLE)
    steps, compared, cycles, index = STEPS, 0, 2000, PAIR
    for number in range(cycles):
        control = random_control(steps)
        steps = (0 if control["i_first"] else steps) + control["i_accumulate"]
        # All rows of both halves first, then loads in between, half of them for other pairs.
        first_loads = number < 2 * shape.rows
        loading = first_loads or random.random() < 0.1
        # Every pair has its own number; a load for another differs from it in as little as a bit.
        index = random.getrandbits(PAIR_BITS) if random.random() < 0.1 else index
        pair = index if first_loads or random.random() < 0.5 else index ^ 1 << random.randrange(PAIR_BITS)
        half = number % 2 if first_loads else random.randrange(2)
        address = number // 2 if first_loads else random.randrange(shape.rows)
        weights = [drawn(ws, extremes) for _ in range(shape.lanes)]
        operands = [drawn(xs, extremes) for _ in range(shape.lanes)]
        x = pack([operand(shape, value) for value in operands], shape.operand_bits)
        chains = [random.getrandbits(shape.chain_bits) for _ in range(2)]
        await cycle(
            dut,
            i_x=pack(weights, shape.precision.width) if loading else x,
            i_address=address,
            i_index=index,
            i_load=int(loading),
            i_load_pair=pair,
            i_load_half=half,
            i_chain_0=chains[0],
            i_chain_1=chains[1],
            **control,
        )
        for k, element in enumerate(halves):
            compared += element.check(shape, getattr(dut, f"o_chain_{k}").value.to_unsigned())
            addressed = loading and (pair, half) == (index, k)
            element.edge(
                operands=None if loading else operands,
                address=address,
                control=control,
                load=weights if addressed else None,
                chain=chains[k],
            )
    assert compared > cycles


@cocotb.test()
async def sums_after_its_latency(dut):
    """A row read in one cycle, its operand in the next, the sum captured `SUM_LATENCY - 1` cycles later."""
    shape = shape_of(bench_parameters()["precision"])
    await begin(dut, **IDLE)
    await cycle(dut, i_index=PAIR, i_load_pair=PAIR)
    for half in range(2):
        row = pack([half + 1] * shape.lanes, shape.precision.width)
        await cycle(dut, i_load=1, i_load_half=half, i_address=2, i_x=row)
    await cycle(dut, i_load=0, i_address=2)
    await cycle(dut, i_x=pack([operand(shape, 7)] * shape.lanes, shape.operand_bits))
    for _ in range(ProcessingElement.SUM_LATENCY - 2):
        await cycle(dut, i_x=0)
    await cycle(dut, i_x=0, i_first=1, i_capture=1)
    await FallingEdge(dut.clk)
    await cycle(dut, i_capture=0)
    for half in range(2):
        found = chain_value(shape, getattr(dut, f"o_chain_{half}").value.to_unsigned())
        assert found == 7 * (half + 1) * shape.lanes


@pytest.mark.parametrize("extremes", [0.2, 1.0])
@pytest.mark.parametrize("precision", list(Precision))
def test_pair_computes_as_told_and_in_time(precision, extremes):
    run_bench(
        PePair(shape=shape_of(precision)),
        module=__name__,
        scenarios=["computes_as_told", "sums_after_its_latency"],
        parameters={"precision": precision, "extremes": extremes},
    )


@given(st.data(), st.sampled_from(list(Precision)), st.integers(1, 4096))
def test_products_join_to_the_exact_sum(data, precision, terms):
    shape = PeShape(precision=precision, lanes=1, rows=1, terms=terms)
    xs, ws = ranges(precision)
    x = data.draw(st.integers(*xs) | st.sampled_from(xs))
    w = data.draw(st.integers(*ws) | st.sampled_from(ws))
    sums = tuple(terms * part for part in shape.products(x, w))
    assert shape.join(sums) == terms * x * w
    assert chain_value(shape, shape.pack_chain(sums)) == terms * x * w
    for part, width in zip(sums, shape.sum_widths, strict=True):
        assert signed_of(part, width) == part


@pytest.mark.parametrize("terms", [1, 2, 3, 1000, 1024, 1025])
def test_accumulators_hold_the_largest_sums(terms):
    for precision in Precision:
        shape = PeShape(precision=precision, lanes=1, rows=1, terms=terms)
        limbs = [-(1 << 15) * 65536, (1 << 31) - 1, -1, 65535, -(1 << 31) + 65535] if precision.width == 32 else []
        for x in [*ranges(precision)[0], *limbs]:
            for w in [*ranges(precision)[1], *limbs]:
                sums = tuple(terms * part for part in shape.products(x, w))
                assert all(signed_of(s, width) == s for s, width in zip(sums, shape.sum_widths, strict=True))


def test_shapes_follow_the_configuration():
    array = Array(pes=4, lanes=3, drain=3, layers=(0, 1))
    config = small_config(elements=10, hidden=(9, 5), arrays=(array,))
    # 3 rounds of 4 words; then 9 outputs in 3 rounds of 1 word and leftovers of 1, 3 to a word
    assert pe_shape(config, array) == PeShape(precision=Precision.FIXED16, lanes=3, rows=3 * 4 + 2 * 4, terms=10)
    # words 0-2, 4, and 3, which was left over
    assert output_shape(config).rows == 3
