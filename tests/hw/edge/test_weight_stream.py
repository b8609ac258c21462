"""Streamed weights: the same rows over and over, ahead of use, whatever memory does."""

import math
import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge

from microduet_hw.config import AXI_BYTES
from microduet_hw.edge.message import EdgeStatus
from microduet_hw.edge.weight_stream import WeightStream
from tests.support.axi_memory import Fate, row_memories
from tests.support.axi_port import DECERR, SLVERR
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.streams import StreamSink, start_clocks

WATCHDOG = 40
CASES = {
    # rows, channels, beats of a burst, places
    "passes of odd length, two channels": {"beats": 37, "channels": 2, "burst": 16, "depth": 64},
    "a pass shorter than a burst": {"beats": 5, "channels": 1, "burst": 8, "depth": 16},
    "bursts of whole pages": {"beats": 256, "channels": 2, "burst": 128, "depth": 256},
    "one row, single beats": {"beats": 1, "channels": 3, "burst": 1, "depth": 4},
}


class Bench:
    """A `WeightStream`, a memory of random beats behind each port, and the end of the stream.

    `fate` : of the reads of channel `troubled`
    """

    def __init__(self, dut, *, stall=0.0, wait=0.0, fate=lambda _number: Fate(), troubled=-1):
        self.dut = dut
        self.case = CASES[bench_parameters()["case"]]
        rows, channels = self.case["beats"], self.case["channels"]
        self.rows = [[random.getrandbits(8 * AXI_BYTES) for _ in range(channels)] for _ in range(rows)]
        fates = [lambda _number: Fate()] * channels
        fates[troubled] = fate
        self.memories = row_memories(dut, self.rows, fates=fates, stall=stall, wait=wait)
        self.sink = StreamSink(dut, "o_rows", clock=dut.clk, stall=stall)
        dut.i_run.value = 0

    def expected(self, count):
        words = [sum(beat << 8 * AXI_BYTES * k for k, beat in enumerate(row)) for row in self.rows]
        return [words[k % len(words)] for k in range(count)]

    @property
    def status(self):
        return EdgeStatus(self.dut.o_status.value.to_unsigned())

    async def run(self):
        await start_clocks(self.dut)
        await ClockCycles(self.dut.clk, 20)
        assert not any(memory.requests for memory in self.memories), "nothing is read before the unit runs"
        self.dut.i_run.value = 1


@cocotb.test()
async def delivers_pass_after_pass_whatever_the_stalls(dut):
    bench = Bench(dut, stall=0.3, wait=0.3, fate=lambda _number: Fate(latency=random.choice([0, 3, 30])))
    await bench.run()
    count = 3 * len(bench.rows) + 50
    assert await bench.sink.receive(count) == bench.expected(count)
    size, burst = len(bench.rows), bench.case["burst"]
    bursts = [(first * AXI_BYTES, min(burst, size - first)) for first in range(0, size, burst)]
    for memory in bench.memories:
        assert memory.requests == [bursts[k % len(bursts)] for k in range(len(memory.requests))]
    assert bench.status == EdgeStatus.OK


@cocotb.test()
async def reads_ahead_as_far_as_it_has_places(dut):
    bench = Bench(dut)
    bench.sink.stall = 0.999999999
    await bench.run()
    await ClockCycles(dut.clk, 8 * bench.case["depth"] + 50)
    hit("weight stream: no place is left to read ahead")
    for memory in bench.memories:
        asked = sum(beats for _, beats in memory.requests)
        assert bench.case["depth"] - bench.case["burst"] < asked <= bench.case["depth"]
        assert len(memory.answered) == len(memory.requests)
    while len(bench.sink.received) < bench.case["depth"]:
        bench.sink.stall = 0.5
        await ClockCycles(dut.clk, random.randrange(4))
        bench.sink.stall = 0.999999999
        await ClockCycles(dut.clk, bench.case["burst"] + 8)
        for memory in bench.memories:
            free = bench.case["depth"] - sum(beats for _, beats in memory.requests) + len(bench.sink.received)
            assert free < bench.case["burst"], "a burst that has its places is not asked for"
    bench.sink.stall = 0
    count = 2 * bench.case["depth"]
    assert await bench.sink.receive(count) == bench.expected(count)


@cocotb.test()
async def stops_reading_while_it_does_not_run(dut):
    bench = Bench(dut)
    await bench.run()
    await bench.sink.receive(2 * bench.case["depth"])
    await RisingEdge(dut.clk)
    dut.i_run.value = 0
    await ClockCycles(dut.clk, 3)
    asked = [len(memory.requests) for memory in bench.memories]
    await ClockCycles(dut.clk, 2 * bench.case["depth"] + 3 * WATCHDOG)
    assert [len(memory.requests) for memory in bench.memories] == asked
    hit("weight stream: stands still in the middle of a pass")
    assert bench.status == EdgeStatus.OK, "a pause is no fault"
    dut.i_run.value = 1
    count = 3 * bench.case["depth"]
    await bench.sink.receive(count)
    assert bench.sink.received == bench.expected(len(bench.sink.received))


@cocotb.test()
async def takes_a_row_per_cycle(dut):
    bench = Bench(dut)
    await bench.run()
    count = 3 * max(len(bench.rows), bench.case["depth"])
    await bench.sink.receive(count)
    full, size = len(bench.rows) // bench.case["burst"], math.ceil(len(bench.rows) / bench.case["burst"])
    cycles = bench.sink.cycles[count - 1] - bench.sink.cycles[count // 3]
    # A read costs a cycle of the port, also one of a single beat.
    if bench.case["burst"] > 1 and full + 1 >= size > 1:
        assert cycles == count - 1 - count // 3


@cocotb.test()
@cocotb.parametrize(troubled=[0, -1])
async def says_that_memory_answered_with_an_error(dut, troubled):
    code = DECERR if bench_parameters()["case"] == "bursts of whole pages" else SLVERR
    bench = Bench(dut, fate=lambda number: Fate(error_beat=0 if number == 2 else None, code=code), troubled=troubled)
    await bench.run()
    seen = []
    count = 3 * bench.case["depth"]
    while len(bench.sink.received) < count:
        await RisingEdge(dut.clk)
        await ReadOnly()
        seen.append(bench.status)
    assert bench.sink.received == bench.expected(len(bench.sink.received))
    assert seen == sorted(seen), "a flag that is set stays"
    assert set(seen) == {EdgeStatus.OK, EdgeStatus.AXI_ERROR}
    hit("weight stream: AXI_ERROR")


async def flagged(dut, excess, troubled):
    """The third burst has so many beats too many: until the flag is set, every row is right."""
    bench = Bench(dut, fate=lambda number: Fate(excess=excess if number == 2 else 0), troubled=troubled)
    await bench.run()
    while bench.status == EdgeStatus.OK:
        assert bench.sink.received == bench.expected(len(bench.sink.received)), "a wrong row came unannounced"
        await RisingEdge(dut.clk)
        await ReadOnly()
    assert bench.status == EdgeStatus.AXI_ERROR
    assert len(bench.memories[troubled].answered) <= 3


@cocotb.test()
@cocotb.parametrize(troubled=[0, -1])
async def says_that_a_burst_was_too_long(dut, troubled):
    await flagged(dut, 1, troubled)


@cocotb.test()
@cocotb.parametrize(troubled=[0, -1])
async def says_that_a_burst_was_too_short(dut, troubled):
    if bench_parameters()["case"] != "one row, single beats":
        await flagged(dut, -1, troubled)


@cocotb.test()
async def drops_beats_of_other_ids(dut):
    bench = Bench(dut, stall=0.2, wait=0.2)
    await bench.run()
    for memory in bench.memories:
        memory.stray = 0.3
        memory.spared = frozenset({0})  # the ID of reads: a beat of it that none is due for is an error
    count = 3 * len(bench.rows) + 50
    assert await bench.sink.receive(count) == bench.expected(count)
    assert bench.status == EdgeStatus.OK
    assert min(memory.strays for memory in bench.memories) > 10


@cocotb.test()
async def gives_zeros_when_memory_is_silent(dut):
    bench = Bench(dut, fate=lambda number: Fate(lost=number >= 1))
    await bench.run()
    good = min(bench.case["burst"], len(bench.rows))
    assert await bench.sink.receive(good) == bench.expected(good)
    assert bench.status == EdgeStatus.OK
    assert await bench.sink.receive(200) == [0] * 200
    assert bench.sink.cycles[good] - bench.sink.cycles[good - 1] == WATCHDOG + 1
    hit("weight stream: TIMEOUT")
    assert bench.status == EdgeStatus.TIMEOUT


@cocotb.test()
async def answers_that_come_too_late_do_no_harm(dut):
    # Rows of the first burst are taken meanwhile.
    late = CASES[bench_parameters()["case"]]["burst"] + WATCHDOG + 20
    bench = Bench(dut, fate=lambda number: Fate(latency=late if number == 1 else 0))
    await bench.run()
    good = min(bench.case["burst"], len(bench.rows))
    rows = await bench.sink.receive(good + 300)
    assert rows == bench.expected(good) + [0] * 300
    assert bench.status == EdgeStatus.TIMEOUT
    assert all(len(memory.answered) == len(memory.requests) for memory in bench.memories)
    assert all(sum(beats for _, beats in m.requests) <= good + bench.case["depth"] for m in bench.memories)


@pytest.mark.parametrize("case", list(CASES))
def test_weight_stream(case):
    run_bench(WeightStream(watchdog=WATCHDOG, **CASES[case]), module=__name__, parameters={"case": case})


def test_no_stray_has_the_id_of_reads_while_none_is_in_flight():
    """With this seed one had, and the stream said so."""
    case = "one row, single beats"
    run_bench(
        WeightStream(watchdog=WATCHDOG, **CASES[case]),
        module=__name__,
        scenarios=["drops_beats_of_other_ids"],
        parameters={"case": case},
        seed=126458656,
    )


REFUSED = [
    ({"beats": 0}, "beats must be 1 to 2.24, not 0"),
    ({"burst": 24}, "burst must be a power of two of at most 128, not 24"),
    ({"burst": 256}, "burst must be a power of two of at most 128, not 256"),
    ({"depth": 31}, "depth must be at least 4 and two bursts of 16, not 31"),
    ({"burst": 1, "depth": 3}, "depth must be at least 4 and two bursts of 1, not 3"),
    ({"channels": 0}, "channels and watchdog must be at least 1, not 0 and 9"),
    ({"watchdog": 0}, "channels and watchdog must be at least 1, not 1 and 0"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_refuses_impossible_sizes(changes, message):
    with pytest.raises(ValueError, match=message):
        WeightStream(**{"beats": 8, "channels": 1, "watchdog": 9, **changes})
