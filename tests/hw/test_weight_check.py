"""Weights that are read on request: rows into a CRC, one after another, and what of a change the CRC shows."""

import random
import zlib
from itertools import pairwise

import cocotb
import numpy as np
import pytest

from microduet_hw.config import Precision
from microduet_hw.loader import Target
from microduet_hw.operands import check_numbers
from microduet_hw.pe import PAIR_BITS, PeShape
from microduet_hw.weight_check import CheckedMemory, WeightCheck, word_bits
from tests.support.bench import bench_parameters, run_bench
from tests.support.flow import Bare, begin, cycle

MEMORIES = (
    CheckedMemory(target=Target.WEIGHTS, unit=0, bits=40, steps=3),
    CheckedMemory(target=Target.PARAMETERS, unit=0, bits=61),
    CheckedMemory(target=Target.WEIGHTS, unit=1, bits=7, steps=1),
    CheckedMemory(target=Target.PARAMETERS, unit=1, bits=9),
    CheckedMemory(target=Target.SIGMOID, bits=32),
)
LONG = 9


class Model:
    """What a check shows in every cycle, and its CRC."""

    def __init__(self, memories):
        self.memories, self.size = memories, word_bits(memories) // 8
        self.memory, self.passed, self.crc = None, 0, 0

    def begins(self, target, unit):
        """Take what is asked for in this cycle."""
        array = unit >> PAIR_BITS + 1 if target is Target.WEIGHTS else unit
        named = [k for k, one in enumerate(self.memories) if (one.target, one.unit) == (target, array)]
        self.memory, self.passed = (named[0] if named else None), 0

    @property
    def folds(self):
        return self.memory is not None and self.passed >= WeightCheck.LATENCY

    def look(self, dut, given, *, asked):
        """Compare the outputs of a cycle in which the memories gave `given`."""
        reading = self.memory if self.passed else None
        assert [getattr(dut, f"memory_{k}__read").value for k in range(len(self.memories))] == [
            k == reading for k in range(len(self.memories))
        ]
        assert dut.o_busy.value == (asked or self.memory is not None)
        assert dut.o_take.value == (self.memory is not None and self.passed == WeightCheck.LATENCY - 1)
        assert dut.o_shift.value == self.folds
        assert dut.o_check.value == self.crc
        if self.folds:
            self.crc = zlib.crc32(given[self.memory].to_bytes(self.size, "little"), self.crc)
        self.passed += 1
        if self.memory is not None and self.passed == WeightCheck.LATENCY + self.memories[self.memory].steps:
            self.memory = None


@cocotb.test()
async def folds_what_is_asked_for(dut):
    memories = CASES[bench_parameters()["case"]]
    model, asks = Model(memories), 0
    await begin(dut, i_reads=0, i_unit=0, **{f"memory_{k}__data": 0 for k in range(len(memories))})
    for _ in range(3000):
        given = [random.getrandbits(memory.bits) for memory in memories]
        asked = 0
        if model.memory is None and random.random() < 0.6:
            named = random.choice(memories)
            target, unit = random.choice([(named.target, named.unit), (random.choice(list(Target)), 2)])
            if target is Target.WEIGHTS:  # which of the array's PEs is named does not matter
                unit = unit << PAIR_BITS + 1 | random.getrandbits(PAIR_BITS + 1)
            model.begins(target, unit)
            asked, asks = 1 << target, asks + (model.memory is not None)
        inputs = {f"memory_{k}__data": bits for k, bits in enumerate(given)}
        reset = random.random() < 0.005
        await cycle(dut, i_reads=asked, **({"i_unit": unit} if asked else {}), **inputs, rst=int(reset))
        model.look(dut, given, asked=bool(asked))
        model = Model(memories) if reset else model
    assert asks > 100


@cocotb.test()
async def follows_beat_by_beat_at_its_throughput(dut):
    """What is asked for as soon as nothing is on its way, a cycle behind the beat."""
    memories = CASES[bench_parameters()["case"]]
    await begin(dut, i_reads=0, i_unit=0, **{f"memory_{k}__data": 0 for k in range(len(memories))})
    for memory in memories:
        unit = memory.unit << PAIR_BITS + 1 if memory.target is Target.WEIGHTS else memory.unit
        begun, taken = [], False
        for number in range(60):
            await cycle(dut, i_reads=taken << memory.target, i_unit=unit)
            if taken:
                begun.append(number)
            taken = dut.o_busy.value == 0
        gaps = {after - before for before, after in pairwise(begun)}
        assert gaps == {WeightCheck.LATENCY + 1 + memory.steps}


@cocotb.test()
async def reads_nothing_for_a_unit_that_differs_in_one_bit(dut):
    memories = CASES[bench_parameters()["case"]]
    await begin(dut, i_reads=0, i_unit=0, **{f"memory_{k}__data": 0 for k in range(len(memories))})
    mine = {(memory.target, memory.unit) for memory in memories}
    for target, unit in sorted(mine):
        # Of weights the bits below name one of the array's PEs, which does not matter.
        lowest = PAIR_BITS + 1 if target is Target.WEIGHTS else 0
        for bit in range(16 - lowest):
            if (target, unit ^ 1 << bit) in mine:
                continue
            await cycle(dut, i_reads=1 << target, i_unit=(unit ^ 1 << bit) << lowest)
            await cycle(dut, i_reads=0)
            assert [getattr(dut, f"memory_{k}__read").value for k in range(len(memories))] == [0] * len(memories)
            assert dut.o_busy.value == 0, f"{target.name} {unit} is read for bit {bit}"


CASES = {"five memories": MEMORIES, "one": MEMORIES[-1:], "many steps": (MEMORIES[0].replace(steps=LONG), MEMORIES[1])}


@pytest.mark.parametrize("case", list(CASES))
def test_folds_rows(case):
    run_bench(Bare(WeightCheck(memories=CASES[case])), module=__name__, parameters={"case": case})


def test_refuses_to_check_nothing():
    with pytest.raises(ValueError, match=r"at least one memory must be checked, not \(\)"):
        WeightCheck(memories=())


PRECISIONS = list(Precision)


def element(precision, lanes=32):
    return PeShape(precision=precision, lanes=lanes, rows=4, terms=64)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_one_or_two_changed_bits_of_a_row_leave_its_sums_as_they_were(precision):
    """Every bit, and every two bits, of a random row, each set where it was clear and the other way round."""
    shape = element(precision, lanes=9 if precision is Precision.FIXED32 else 18)
    width, rng = precision.width, np.random.default_rng(2)
    weights, numbers = rng.integers(-(1 << width - 1), 1 << width - 1, shape.lanes), check_numbers(shape)

    def after(lane, bit):
        changed = int(weights[lane]) & (1 << width) - 1 ^ 1 << bit
        return changed - (1 << width) * (changed >> width - 1)

    terms = {
        (lane, bit): np.subtract(
            shape.products(numbers[lane], after(lane, bit)), shape.products(numbers[lane], int(weights[lane]))
        )
        for lane in range(shape.lanes)
        for bit in range(width)
    }
    one = {tuple(term) for term in terms.values()}
    assert len(one) == len(terms), "two changes are alike"
    assert not [term for term in one if not any(term)]
    # Bits of two lanes are summed; of one lane, the change of both is that of each.
    assert not one & {tuple(-np.array(term)) for term in one}


def patterns(number, start, width):
    """The bits in which a sum of `width` bits may differ when ``number << start`` is added to it, or taken from it.

    They are some of the number's own bits and, where these carry, a run of ones above them.
    """
    low = number.bit_length()
    for other in range(1 << low):
        carries, digits = divmod(other + number, 1 << low)
        runs = range(1, width - start - low + 1) if carries else [0]
        yield from ((other ^ digits | ((1 << run) - 1) << low) << start for run in runs)


def residue(bits):
    """Of a polynomial, by the CRC's own: 0 is what the CRC does not see."""
    return zlib.crc32(bits.to_bytes(20, "little")) ^ zlib.crc32(bytes(20))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_changed_bit_is_never_lost_in_the_crc(precision):
    """In fixed32 a bit of a low limb changes two sums, which lie side by side, by as much."""
    shape = element(precision)
    width, bits = shape.sum_widths[0], precision.width
    for number, start in [(number, start) for number in check_numbers(shape) for start in range(bits)]:
        found = {residue(pattern) for pattern in patterns(number, start, width)}
        assert 0 not in found
        if precision is Precision.FIXED32 and start < 16:
            middle = shape.sum_widths[1]
            assert not found & {residue(pattern << width) for pattern in patterns(number, start, middle)}


@pytest.mark.parametrize("lanes", [1, 18, 128])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_lane_has_an_odd_number_of_its_own(precision, lanes):
    numbers = check_numbers(element(precision, lanes=lanes))
    assert len(set(numbers)) == lanes
    assert {number % 2 for number in numbers} == {1}
    assert max(numbers) < 1 << min(15, precision.width)
