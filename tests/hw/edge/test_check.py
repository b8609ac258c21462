"""The check of an edge unit: it waits for what is under way, and keeps and shows what cannot be read elsewhere."""

import random
import zlib

import cocotb
import numpy as np
import pytest

from microduet_hw.config import CHECKSUM_BITS
from microduet_hw.edge.answers import WAITING
from microduet_hw.edge.arrays import array_shape
from microduet_hw.edge.check import EdgeCheck, checked_memories, sum_unit
from microduet_hw.edge.check_image import weight_checks
from microduet_hw.edge.image import load_beats
from microduet_hw.edge.message import CONSTANTS
from microduet_hw.loader import Target
from microduet_hw.pe import PAIR_BITS
from microduet_hw.weight_check import WeightCheck, word_bits
from tests.support.bench import bench_parameters, run_bench
from tests.support.edge import UNITS
from tests.support.edge_sessions import random_edge_model
from tests.support.flow import begin, cycle

CASES = {name: unit.replace(checksum_bits=CHECKSUM_BITS) for name, unit in UNITS.items()}
STATE = ("i_message", "i_updating", "i_acted", "i_sent", "i_ran")


class Bench:
    """The check of a unit, with zeros in all memories that it does not keep itself."""

    def __init__(self, dut):
        self.dut, self.config = dut, CASES[bench_parameters()["case"]]
        self.names = list(self.config.stacks)
        self.crc = 0
        words = [f"load__o_{part}" for part in ("valid", "reads", "unit")]
        self.inputs = dict.fromkeys((*words, "i_constants", *STATE), 0)
        self.inputs |= {
            f"array_{name}__stream__{end}": 0 for name in self.config.streams for end in ("busy", "changed")
        }

    async def start(self):
        zeros = {"load__o_row": 0}
        for name, stack in self.config.stacks.items():
            if stack is not None:
                self.inputs[f"array_{name}__parameters__data"] = 0
                zeros |= {} if stack.streamed else {f"array_{name}__weights__data": 0}
        await begin(self.dut, **self.inputs, **zeros)

    async def step(self, **changes):
        # Rows, and the data where no word is loaded, are whatever they are.
        any_word = {
            "load__o_row": random.getrandbits(24),
            "load__o_data": random.getrandbits(len(self.dut.load__o_data)),
        }
        await cycle(self.dut, **{**self.inputs, **any_word, **changes})

    def again(self):
        return [name for name in self.config.streams if getattr(self.dut, f"array_{name}__stream__again").value]

    async def load(self, unit, data, **changes):
        """Load a word of the model; the streams that are to be read anew."""
        await self.step(load__o_valid=1 << Target.MODEL, load__o_unit=unit, load__o_data=data, **changes)
        again = self.again()
        await self.step()
        return again

    async def read(self, target, unit, *, steps=1):
        """Have a memory read; the streams that are to be read anew."""
        asked = {"load__o_reads": 1 << target, "load__o_unit": unit}
        await self.step(**asked)
        again = self.again()
        assert (self.dut.o_busy.value, self.dut.o_idle.value) == (1, 0)
        self.inputs["load__o_unit"] = unit
        passed = 1
        while self.dut.o_busy.value:
            await self.step()
            passed += 1
        assert passed <= WeightCheck.LATENCY + steps + 2
        return again

    def fold(self, bits):
        size = word_bits(checked_memories(self.config)) // 8
        self.crc = zlib.crc32(bits.to_bytes(size, "little"), self.crc)


@cocotb.test()
async def shows_constants_parameters_and_the_sums_of_streamed_weights(dut):
    bench = Bench(dut)
    await bench.start()
    for _ in range(20):
        constants = random.getrandbits(CONSTANTS.size)
        bench.inputs["i_constants"] = constants
        await bench.read(Target.MODEL, 0)
        bench.fold(constants)
        for unit, (name, stack) in enumerate(bench.config.stacks.items()):
            if stack is not None:
                parameters = random.getrandbits(array_shape(stack).drain.requantiser.parameters.size)
                bench.inputs[f"array_{name}__parameters__data"] = parameters
                await bench.read(Target.PARAMETERS, unit)
                bench.fold(parameters)
        for name in bench.config.streams:
            unit, changed, wanted = bench.names.index(name), random.getrandbits(1), random.getrandbits(32)
            ran = random.getrandbits(1)
            # A load of other memories or units is none of these.
            await bench.step(load__o_valid=1 << Target.PARAMETERS, load__o_unit=sum_unit(unit), load__o_data=wanted ^ 1)
            assert await bench.load(sum_unit(unit), wanted, i_ran=ran) == ([name] if ran else [])
            assert await bench.load(0, wanted ^ 2, i_ran=ran) == []
            bench.inputs[f"array_{name}__stream__changed"] = changed
            assert getattr(dut, f"array_{name}__stream__sum").value == wanted
            await bench.read(Target.MODEL, sum_unit(unit))
            bench.fold(wanted | changed << 32)
        assert dut.o_check.value == bench.crc


@cocotb.test()
async def has_streamed_weights_read_anew_when_they_are_asked_for(dut):
    bench = Bench(dut)
    await bench.start()
    for unit, (name, stack) in enumerate(bench.config.stacks.items()):
        streamed = stack is not None and stack.streamed
        steps = 1 if stack is None or streamed else -(-stack.pes // stack.lanes)
        again = await bench.read(Target.WEIGHTS, unit << PAIR_BITS + 1, steps=steps)
        assert again == ([name] if streamed else [])
        assert await bench.read(Target.PARAMETERS, unit) == []
        if streamed:
            bench.inputs[f"array_{name}__stream__busy"] = 1
            for _ in range(20):
                await bench.step()
                assert (dut.o_busy.value, dut.o_idle.value) == (1, 0)
            bench.inputs[f"array_{name}__stream__busy"] = 0
            await bench.step()
            assert (dut.o_busy.value, dut.o_idle.value) == (0, 1)


@cocotb.test()
async def what_is_not_there_is_neither_loaded_nor_read(dut):
    bench = Bench(dut)
    await bench.start()
    there = {(memory.target, memory.unit) for memory in checked_memories(bench.config)}
    for _ in range(20):
        for target in Target:
            array, low = random.randrange(len(bench.names), 1 << 15 - PAIR_BITS), random.getrandbits(PAIR_BITS + 1)
            unit = array << PAIR_BITS + 1 | low if target is Target.WEIGHTS else random.getrandbits(16)
            if (target, unit) not in there:
                assert await bench.read(target, unit) == []
            await bench.step(load__o_valid=1 << target, load__o_unit=sum_unit(len(bench.names)), i_ran=1)
            assert bench.again() == []
    assert dut.o_check.value == 0


@cocotb.test()
async def is_idle_while_nothing_is_under_way(dut):
    """However many answers are due; as many as there may be."""
    bench = Bench(dut)
    await bench.start()
    due, seen = 0, set()
    for number in range(600):
        filling = number // 60 % 2
        acted = due <= WAITING and random.random() < (0.2, 0.8)[filling]
        sent = due > 0 and random.random() < (0.8, 0.2)[filling]
        message, updating = (int(random.random() < 0.2) for _ in range(2))
        await bench.step(i_acted=int(acted), i_sent=int(sent), i_message=message, i_updating=updating)
        assert dut.o_busy.value == 0
        assert dut.o_idle.value == (due == 0 and not message and not updating)
        due += acted - sent
        seen.add(due)
    assert {0, WAITING + 1} <= seen


@pytest.mark.parametrize("case", list(CASES))
def test_checks_a_unit(case):
    run_bench(EdgeCheck(config=CASES[case]), module=__name__, parameters={"case": case})


@pytest.mark.parametrize("case", list(CASES))
def test_every_memory_of_a_unit_is_checked(case):
    """All rows that are loaded are read: as many as beats that end a word, those of all PEs of an array at once."""
    config, model = CASES[case], random_edge_model(CASES[case], np.random.default_rng(3))
    checks = weight_checks(config, model)
    assert len({check.name for check in checks}) == len(checks)
    loaded = load_beats(config, model).view(np.uint8)
    ends, asked = loaded[loaded[:, 63] > 0], np.concatenate([check.beats.view(np.uint8)[:-1] for check in checks])
    assert set(map(bytes, asked[asked[:, 63] > 0][:, [62]])) == set(map(bytes, ends[:, [62]]))
    for unit, (name, stack) in enumerate(config.stacks.items()):
        if stack is None:
            continue
        others = (ends[:, 62] == Target.PARAMETERS) & (ends[:, 59] == unit)
        assert sum(name in check.name and "parameters" in check.name for check in checks) == len(stack.layers)
        assert sum((asked[:, 62] == Target.PARAMETERS) & (asked[:, 59] == unit)) == others.sum()
        words = ends[:, 59].astype(int) | ends[:, 60].astype(int) << 8
        weights = (ends[:, 62] == Target.WEIGHTS) & (words >> PAIR_BITS + 1 == unit)
        units = asked[:, 59].astype(int) | asked[:, 60].astype(int) << 8
        reads = (asked[:, 62] == Target.WEIGHTS) & (units >> PAIR_BITS + 1 == unit) & (asked[:, 63] > 0)
        assert reads.sum() * stack.pes == weights.sum()
