"""The bench runner and the stream helpers: they carry data, and they fail when they must."""

import random

import cocotb
import pytest

from tests.support.bench import BenchError, bench_parameters, run_bench
from tests.support.demo import Crossing, Queue
from tests.support.streams import StreamSink, StreamSource, start_clocks


@cocotb.test()
async def keeps_order(dut):
    waits = bench_parameters()
    source_clock = dut.mem_clk if hasattr(dut, "mem_clk") else dut.clk
    source = StreamSource(dut, "i", clock=source_clock, wait=waits["wait"])
    sink = StreamSink(dut, "o", clock=dut.clk, stall=waits["stall"])
    await start_clocks(dut)
    words = [random.getrandbits(8) for _ in range(300)]
    source.send(words)
    assert await sink.receive(len(words)) == words
    await source.drain()


@cocotb.test()
async def moves_a_word_per_cycle(dut):
    source = StreamSource(dut, "i", clock=dut.clk)
    sink = StreamSink(dut, "o", clock=dut.clk)
    await start_clocks(dut)
    source.send(range(100))
    await sink.receive(100)
    assert sink.cycles[-1] - sink.cycles[0] == 99
    # SyncFIFOBuffered: one cycle into the memory, one into the output register
    assert sink.cycles[0] - source.cycles[0] == 2


@pytest.mark.parametrize("wait", [0, 0.5])
@pytest.mark.parametrize("stall", [0, 0.5])
def test_keeps_order_under_waits(wait, stall):
    run_bench(Queue(), module=__name__, scenarios=["keeps_order"], parameters={"wait": wait, "stall": stall})


def test_measures_cycles():
    run_bench(Queue(), module=__name__, scenarios=["moves_a_word_per_cycle"])


def test_crosses_clock_domains():
    run_bench(Crossing(), module=__name__, scenarios=["keeps_order"], parameters={"wait": 0.3, "stall": 0.3})


@pytest.mark.parametrize(
    ("fault", "message"),
    [("drops_valid", "valid fell"), ("swaps_bits", "keeps_order"), ("asserts", "assertion of the hardware failed")],
)
def test_fails_on_a_broken_component(fault, message):
    with pytest.raises(BenchError, match=message) as failure:
        run_bench(
            Queue(fault=fault),
            module=__name__,
            scenarios=["keeps_order"],
            parameters={"wait": 0, "stall": 0.5},
            seed=7,
            waves_on_failure=False,
        )
    assert "seed 7" in str(failure.value)
