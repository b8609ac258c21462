"""Readers and the whole memory side on the timing of real DRAM: idle latency, order, refresh, and every bit right."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from microduet_hw.config import Precision, SourceKind
from microduet_hw.lookup.assembler import Assembler
from microduet_hw.lookup.reader import ChannelReader
from microduet_hw.lookup.router import Router
from microduet_hw.lookup.unit import LookupUnit
from microduet_sim.dram.channels import default_parameters
from microduet_sim.dram.parameters import DramParameters
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.cover_plan import hit
from tests.support.flow import Bare
from tests.support.lookup_bench import LookupBench
from tests.support.lookups import HBM, ONCHIP, Table, interleaved, lookup_config, replicas
from tests.support.reader_bench import ReaderBench
from tests.support.streams import start_clocks

DDR = SourceKind.DDR
FAR = {"padding": 512, "watchdog": 4096}
"""Tables are rows of DRAM apart, so most of them begin in the same bank; a read may wait for refreshes."""

READERS = {
    "rows_of_a_beat": lambda kind: lookup_config([Table(rows=9000, dim=16)], [kind], outstanding=16, **FAR),
    "many_tables": lambda kind: lookup_config(
        [Table(rows=99, dim=dim, lookups=n) for dim, n in ((8, 1), (70, 2), (16, 5), (1, 1), (33, 1))],
        [kind],
        outstanding=16,
        **FAR,
    ),
    "impatient": lambda kind: lookup_config(
        [Table(rows=700, dim=16)], [kind], outstanding=4, padding=512, watchdog=100
    ),
    "two_at_a_time": lambda kind: lookup_config([Table(rows=3000, dim=40)], [kind], outstanding=2, **FAR),
}

UNITS = {
    "every_kind": lambda: lookup_config(
        [
            Table(rows=4000, dim=40, places=((0, 0, 4000, 0, 16), (1, 0, 4000, 16, 24))),  # by columns
            Table(rows=90, dim=5, places=((0, 0, 40, 0, 5), (1, 40, 25, 0, 5), (3, 65, 25, 0, 5))),  # by rows
            Table(rows=30, dim=7, lookups=5, places=((3, 0, 30, 0, 7),)),
            Table(rows=400, dim=33, lookups=3, places=((2, 0, 400, 0, 33),)),
        ],
        [HBM, DDR, HBM, ONCHIP],
        dense=35,
        outstanding=16,
        **FAR,
    ),
    "partners": lambda: lookup_config(
        [
            Table(rows=60, dim=20, lookups=7, places=replicas(60, 20, {0: 2, 1: 2, 2: 2, 3: 1})),
            Table(rows=99, dim=40, places=interleaved(99, 40, range(4))),
        ],
        [HBM, DDR, HBM, ONCHIP],
        precision=Precision.INT8,
        lanes=10,
        outstanding=16,
        **FAR,
    ),
}

REFRESHES = {
    "aligned": {},
    "staggered": {"refresh_phase": "staggered"},
    "single_bank": {"refresh": "single-bank", "refresh_phase": "staggered", "refresh_postpone": 8},
}

# Cycles at 450 MHz from a read taken at the port to its first beat there. Measured on the card, in ns: HBM 106.7, 122.2
# and 137.8, DDR4 73.3, 89.9 and 106.6. The clocks are in no simple ratio, so one read may be a cycle off.
IDLE = {"hbm": {"closed": 55, "hit": 48, "miss": 62}, "ddr": {"closed": 41, "hit": 33, "miss": 48}}
ONE_TABLE = Table(rows=4097, dim=4)
OTHER_ROW = {"hbm": 512, "ddr": 4096}
"""The first of its rows that lies in the same bank as row 0, but in another row of DRAM."""


def drams(refresh: str) -> dict[SourceKind, DramParameters]:
    """The card's two kinds of channel; DDR4 has no refresh of single banks."""
    changes = REFRESHES[refresh]
    common = {name: value for name, value in changes.items() if value != "single-bank"}
    return {HBM: default_parameters(HBM).replace(**changes), DDR: default_parameters(DDR).replace(**common)}


@cocotb.test()
async def reads_in_order_what_comes_out_of_order(dut):
    parameters = bench_parameters()
    kind = SourceKind(parameters["kind"])
    config = READERS[parameters["case"]](kind)
    bench = ReaderBench(dut, config, drams(parameters["refresh"])[kind], waits=0.2)
    items = await bench.run(refreshes=3)
    assert bench.check(items) == 0
    if config.outstanding > 2:  # of two in flight, the second one seldom finds the better bank in time
        assert bench.memory.answered != sorted(bench.memory.answered), "no read overtook another"


@cocotb.test()
async def gives_up_only_what_a_refresh_delays(dut):
    """The watchdog is longer than any read takes, and shorter than a refresh."""
    config = READERS["impatient"](HBM)
    bench = ReaderBench(dut, config, default_parameters(HBM))
    items = await bench.run(refreshes=12)
    late = bench.check(items)
    assert 3 <= late <= config.outstanding * 12, f"{late} of {len(bench.beats)} late"
    hit("dram: a refresh outlasts the watchdog")


@cocotb.test()
async def an_idle_read_takes_the_cards_cycles_and_the_readers(dut):
    kind = SourceKind(bench_parameters()["kind"])
    config = lookup_config([ONE_TABLE], [kind], **FAR)
    bench = ReaderBench(dut, config, default_parameters(kind).replace(refresh="off", page="open"))
    await start_clocks(dut)
    own = ChannelReader.REQUEST_LATENCY + ChannelReader.RESPONSE_LATENCY
    for number, (found, index) in enumerate(
        [("closed", 0), *[("hit", 0), ("miss", OTHER_ROW[kind]), ("miss", 0)] * 12]
    ):
        await ClockCycles(dut.mem_clk, random.randrange(200, 300))
        bench.send([index])
        await bench.received(number + 1)
        latency = bench.cycles[-1] - bench.lookups.cycles[-1]
        hit(f"dram: a row that is {found}")
        expected = own + IDLE[kind][found]
        assert abs(latency - expected) <= 1, f"{found}: {latency} cycles, not {expected}"


@cocotb.test()
async def assembles_what_the_reference_says(dut):
    parameters = bench_parameters()
    bench = LookupBench(dut, UNITS[parameters["case"]](), items=250, waits=0.2, dram=drams(parameters["refresh"]))
    await bench.run()
    bench.check()
    memories = bench.memories.values()
    assert min(memory.refresh_intervals for memory in memories) > 2
    hit("dram: refreshes while items are in flight")
    assert any(memory.answered != sorted(memory.answered) for memory in memories), "no read overtook another"


@cocotb.test()
async def an_idle_item_takes_the_cards_cycles_and_the_units(dut):
    kind = SourceKind(bench_parameters()["kind"])
    quiet = {kind: default_parameters(kind).replace(refresh="off")}
    bench = LookupBench(dut, lookup_config([ONE_TABLE], [kind], **FAR), items=1, waits=0.0, dram=quiet)
    await bench.run()
    bench.check()
    own = Router.LATENCY + ChannelReader.REQUEST_LATENCY + ChannelReader.RESPONSE_LATENCY + Assembler.COMPLETE_LATENCY
    assert abs(bench.complete_cycles[0] - bench.beat_cycles[0] - own - IDLE[kind]["closed"]) <= 1


PATIENT = [case for case in READERS if case != "impatient"]
READER_CASES = [
    *[(case, kind, "aligned") for case in PATIENT for kind in (HBM, DDR)],
    ("many_tables", HBM, "single_bank"),
]


@pytest.mark.parametrize(("case", "kind", "refresh"), READER_CASES)
def test_reader_on_dram(case, kind, refresh):
    run_bench(
        Bare(ChannelReader(config=READERS[case](kind), source=0)),
        module=__name__,
        scenarios=["reads_in_order_what_comes_out_of_order"],
        parameters={"case": case, "kind": kind, "refresh": refresh},
    )


def test_reader_with_a_short_watchdog():
    run_bench(
        Bare(ChannelReader(config=READERS["impatient"](HBM), source=0)),
        module=__name__,
        scenarios=["gives_up_only_what_a_refresh_delays"],
    )


@pytest.mark.parametrize("kind", [HBM, DDR])
def test_idle_latency_of_a_reader(kind):
    run_bench(
        Bare(ChannelReader(config=lookup_config([ONE_TABLE], [kind], **FAR), source=0)),
        module=__name__,
        scenarios=["an_idle_read_takes_the_cards_cycles_and_the_readers"],
        parameters={"kind": kind},
    )


@pytest.mark.parametrize("kind", [HBM, DDR])
def test_idle_latency_of_a_unit(kind):
    run_bench(
        Bare(LookupUnit(config=lookup_config([ONE_TABLE], [kind], **FAR))),
        module=__name__,
        scenarios=["an_idle_item_takes_the_cards_cycles_and_the_units"],
        parameters={"kind": kind},
    )


@pytest.mark.parametrize("refresh", by_night(REFRESHES, ["single_bank"]))
@pytest.mark.parametrize("case", UNITS)
def test_lookup_unit_on_dram(case, refresh):
    run_bench(
        Bare(LookupUnit(config=UNITS[case]())),
        module=__name__,
        scenarios=["assembles_what_the_reference_says"],
        parameters={"case": case, "refresh": refresh},
    )
