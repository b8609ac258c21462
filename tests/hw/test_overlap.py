"""An array with a bottom MLP works on several vectors at once: what it costs per vector, and the order of each."""

import cocotb
import pytest
from cocotb.triggers import ReadOnly, RisingEdge

from microduet_hw.config import Array
from microduet_hw.layout import plan_layer, vector_words
from microduet_hw.pe_array import PeArray, pe_array_shape
from microduet_hw.sequencer import SequencerShape
from tests.support.bench import bench_parameters, run_bench
from tests.support.compute import VectorSource
from tests.support.flow import Bare
from tests.support.models import small_config
from tests.support.streams import start_clocks

VECTORS, SETTLED = 30, 10


def engine(*, features, dense, bottom, hidden, pes, lanes):
    array = Array(pes=pes, lanes=lanes, drain=lanes, layers=tuple(range(len(hidden))))
    return small_config(elements=features, dense=dense, bottom=bottom, hidden=hidden, arrays=(array,))


ENGINES = {
    # What a vector's steps are per layer, and the cycles that it takes when vectors follow each other.
    "RM1, 256 x 18": (
        engine(features=256, dense=128, bottom=2, hidden=(64, 32, 256, 64), pes=256, lanes=18),
        [8, 4, 17, 15],
        44,
    ),
    "RM1, 128 x 36": (
        engine(features=256, dense=128, bottom=2, hidden=(64, 32, 256, 64), pes=128, lanes=36),
        [4, 2, 18, 8],
        32,
    ),
    # Words leave slower than steps go out: the drain of the last layer but one is longer than what could follow it.
    "layers of a few steps": (
        engine(features=64, dense=13, bottom=1, hidden=(32, 64), pes=32, lanes=8),
        [2, 24],
        28,
    ),
}


@cocotb.test()
async def takes_as_many_cycles_as_steps(dut):
    config, steps, expected = ENGINES[bench_parameters()["engine"]]
    source = VectorSource(dut, word_bits=config.input_lanes * config.precision.width)
    dut.i_space.value, dut.pairs__tail.value = 1, 0
    dut.load__valid.value = dut.load_parameters.value = 0
    await start_clocks(dut)
    source.send([[0] * len(vector_words(config))] * VECTORS)
    starts, busy = [], 0
    for now in range(VECTORS * 3 * sum(steps)):
        await RisingEdge(dut.clk)
        await ReadOnly()
        busy += dut.o_busy.value == 1
        if dut.o_reserve.value == 1:
            starts.append(now)
    assert len(starts) == VECTORS
    assert busy == VECTORS * sum(steps)
    settled = starts[SETTLED : VECTORS - SETTLED + 1]
    assert (settled[-1] - settled[0]) / (len(settled) - 1) == expected


@pytest.mark.parametrize("name", list(ENGINES))
def test_takes_as_many_cycles_as_steps(name):
    config, steps, _ = ENGINES[name]
    plans = [plan_layer(config, number) for number in range(len(config.hidden))]
    assert [plan.rounds * plan.steps for plan in plans] == steps
    component = PeArray(shape=pe_array_shape(config, config.arrays[0]))
    run_bench(Bare(component), module=__name__, parameters={"engine": name})


def test_rows_of_layers_follow_each_other():
    config = ENGINES["RM1, 256 x 18"][0]
    shape = pe_array_shape(config, config.arrays[0])
    assert shape.sequencer == SequencerShape(plans=shape.sequencer.plans, overlaps=True)
    assert shape.sequencer.first_rows == (0, 8, 12, 29)
    # 64, 32, 256 and 64 outputs leave 18 at a time; those of the last layer in as many steps as they need.
    assert shape.drain.first_rows == (0, 4, 6, 21)
