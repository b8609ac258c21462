"""The whole memory side: assembled vectors and statuses equal the integer reference, whatever memory does."""

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from microduet_hw.config import Precision, UserPart
from microduet_hw.lookup.assembler import Assembler
from microduet_hw.lookup.reader import ChannelReader
from microduet_hw.lookup.router import Router
from microduet_hw.lookup.row_check import RowChecker
from microduet_hw.lookup.unit import LookupUnit
from microduet_hw.status import Status
from tests.support.axi_memory import Fate
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.channel_counters import counters, shown, since, wind_on
from tests.support.flow import Bare
from tests.support.lookup_bench import LookupBench
from tests.support.lookups import HBM, ONCHIP, Table, lookup_config, replicas
from tests.support.streams import PERIODS_NS

MIXED = [
    Table(rows=30, dim=70, lookups=6),  # a beat more, and its stride longer
    Table(rows=30, dim=5),  # room for a check word
    Table(rows=30, dim=16, places=((0, 0, 11, 0, 16), (1, 11, 19, 0, 16))),  # a beat more for it, of one
    Table(rows=30, dim=32, lookups=3, places=((1, 0, 30, 0, 32),)),
    Table(rows=30, dim=33, lookups=2, places=((2, 0, 30, 0, 33),)),
]

LAST_ROWS = (1 << 34) - 20 * 32
"""Where 20 rows of a beat lie at the end of a channel, so that the address has upper bits too."""


def long_rows(*, pooled, row_check=False):
    """Rows of several beats in few slots; `pooled` elements in those that are summed."""
    tables = [
        Table(rows=6, dim=20),
        Table(rows=8, dim=64, places=((1, 0, 8, 0, 64),)),
        Table(rows=8, dim=pooled, lookups=2),
    ]
    few = {"slots": 2, "outstanding": 3, "padding": 12}
    return lookup_config(tables, [HBM, HBM], precision=Precision.FIXED32, dense=17, row_check=row_check, **few)


def far():
    """A channel from end to end, the longest rows that there are, as many IDs as there are, and a real watchdog."""
    tables = [
        Table(rows=8, dim=1023),
        Table(rows=30, dim=5),
        Table(rows=60, dim=7, places=((0, 0, 60, 0, 7, 0, 0, None, (1 << 34) - 60 * 32),)),
    ]
    many = {"outstanding": 64, "watchdog": 4096, "lanes": 24}
    return lookup_config(tables, [HBM], precision=Precision.FIXED32, row_check=True, **many)


CASES = {
    "far": far,
    "one_table": lambda: lookup_config([Table()], [HBM]),
    "on_chip_only": lambda: lookup_config([Table(dim=3), Table(dim=8, lookups=3)], [ONCHIP], lanes=16),
    "of_users": lambda: lookup_config([Table(rows=30, dim=5, lookups=17)], [HBM], dense=9).replace(
        user=UserPart(layer=1, elements=4, slots=50)
    ),
    "split_tables": lambda: lookup_config(
        [
            Table(rows=40, dim=40, places=((0, 0, 40, 0, 16), (1, 0, 40, 16, 24))),  # by columns
            Table(rows=50, dim=5, places=((0, 0, 20, 0, 5), (1, 20, 25, 0, 5), (2, 45, 5, 0, 5))),  # by rows
            Table(rows=9, dim=7, lookups=5, places=((2, 0, 9, 0, 7),)),
            Table(rows=12, dim=1, places=((1, 0, 12, 0, 1),)),
        ],
        [HBM, HBM, ONCHIP],
        dense=35,
    ),
    "bottom_mlp": lambda: lookup_config(
        [Table(dim=7, lookups=2), Table(dim=33, places=((1, 0, 20, 0, 33),)), Table(dim=4, places=((0, 0, 20, 0, 4),))],
        [HBM, ONCHIP],
        dense=37,
        lanes=6,
        bottom=2,
    ),
    "bottom_mlp_of_one_word": lambda: lookup_config(
        [Table(dim=11)], [HBM], precision=Precision.INT8, dense=1, lanes=12, bottom=1
    ),
    "int8_pooled": lambda: lookup_config(
        [
            Table(rows=30, dim=70, lookups=6),
            Table(rows=30, dim=5),
            Table(rows=30, dim=6, places=((0, 0, 11, 0, 6), (1, 11, 19, 0, 6))),
            Table(rows=30, dim=33, lookups=20, places=((1, 0, 30, 0, 33),)),
        ],
        [HBM, ONCHIP],
        precision=Precision.INT8,
        dense=3,
        lanes=11,
    ),
    "checked": lambda: lookup_config([Table()], [HBM], row_check=True),
    "checked_two_beats": lambda: lookup_config(
        [Table(dim=16), Table(dim=20), Table(dim=5), Table(dim=7, places=((0, 0, 20, 0, 7, 0, 0, None, LAST_ROWS),))],
        [HBM],
        outstanding=64,
        row_check=True,
    ),
    "checked_partners": lambda: lookup_config(
        [Table(rows=40, dim=32, lookups=8, places=replicas(40, 32, {0: 3, 1: 5}))],
        [HBM, HBM],
        precision=Precision.INT8,
        lanes=7,
        row_check=True,
    ),
    "checked_mixed": lambda: lookup_config(MIXED, [HBM, HBM, ONCHIP], dense=3, lanes=11, row_check=True),
    "checked_banks": lambda: lookup_config(
        [Table(dim=3), Table(dim=7, places=((1, 0, 20, 0, 7),)), Table(dim=40, lookups=3, places=((2, 0, 20, 0, 40),))],
        [HBM, ONCHIP, ONCHIP],
        precision=Precision.INT8,
        lanes=16,
        row_check=True,
    ),
    "checked_long_rows": lambda: long_rows(pooled=8, row_check=True),
    "fixed32_long_rows": lambda: long_rows(pooled=9),
}


@cocotb.test()
async def assembles_what_the_reference_says(dut):
    bench = LookupBench(dut, CASES[bench_parameters()["case"]](), items=40)
    await bench.run()
    bench.check()


@cocotb.test()
async def names_what_failed(dut):
    bench = LookupBench(dut, CASES[bench_parameters()["case"]](), items=60, faulty=True, waits=0.2)
    await bench.run()
    bench.check()


@cocotb.test()
async def completes_in_its_latency(dut):
    """With a memory that answers at once: from an item's first beat to its vector, beyond the memory's own cycles."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=1, waits=0.0, latency=1)
    await bench.run()
    bench.check()
    request = bench.memories[0].request_cycles[0] - bench.beat_cycles[0]
    respond = bench.complete_cycles[0] - bench.memories[0].response_cycles[0]
    assert request == Router.LATENCY + ChannelReader.REQUEST_LATENCY
    checked = RowChecker.LATENCY if config.row_check else 0
    assert respond == ChannelReader.RESPONSE_LATENCY + checked + Assembler.COMPLETE_LATENCY
    crossing = (bench.word_times[0] - bench.complete_times[0]) / PERIODS_NS["clk"]
    assert Assembler.WORD_LATENCY - 1 < crossing <= Assembler.WORD_LATENCY


@cocotb.test()
async def names_rows_of_another_address(dut):
    """Responses in flight together whose IDs are exchanged: nothing of them gets into a vector."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=60, waits=0.2, exchanged=True)
    await bench.run()
    bench.check()
    assert sum(len(memory.exchanged) for memory in bench.memories.values()) > 20


@cocotb.test()
async def names_words_that_changed_in_a_bank(dut):
    """Whatever the bit: of elements, of what fills a word up, of its check word."""
    bench = LookupBench(dut, CASES[bench_parameters()["case"]](), items=60, waits=0.2, changed=0.2)
    await bench.run()
    bench.check()
    assert 5 < [header >> 32 & 0xFF for header in bench.headers.received].count(Status.ROW_CHECK) < 55


@cocotb.test()
async def a_host_that_stops_in_a_packet_ends_its_own_item(dut):
    """Whatever it sends after all is dropped up to its TLAST, and the neighbours are unharmed."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=40, faulty=True, waits=0.1, gone=0.4)
    await bench.run()
    bench.check()
    assert sum(packet.gone for packet in bench.packets) > 5


@cocotb.test()
async def a_host_that_hesitates_is_waited_for(dut):
    """For all the cycles that the watchdog grants but one."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=4, waits=0.0)
    bench.pauses = config.watchdog - 1
    await bench.run()
    bench.check()
    assert [packet.gone for packet in bench.packets] == [False] * 4


@cocotb.test()
async def takes_items_only_while_told(dut):
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=12, waits=0.0)
    await bench.start()
    cocotb.start_soon(bench.send())
    for run, limit, expected in (
        (0, 0, 0),
        (1, 3, 3),
        (0, 3, 3),
        (1, 4, 7),
        (0, 0, 7),
        (1, (1 << 32) - 1, 12),
        (0, 0, 12),
    ):
        dut.i_limit.value = limit
        dut.i_run.value = run
        await ClockCycles(dut.clk, 150)
        assert len(bench.vectors) == expected, f"run {run}, limit {limit}"
    bench.check()


@cocotb.test()
async def never_hangs_without_ids(dut):
    """No read is ever answered: all IDs are lost, and then every item still comes back, by name."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=config.outstanding + 3, waits=0.0)
    bench.memories[0].fate = lambda _number: Fate(lost=True)
    await bench.run()
    assert len(bench.memories[0].requests) == config.outstanding
    assert [header >> 32 for header in bench.headers.received] == [Status.TIMEOUT] * len(bench.packets)
    assert bench.vectors == [[0]] * len(bench.packets)


@cocotb.test()
async def uses_ids_again_that_were_lost(dut):
    """As many reads as there are IDs come too late, all of them at once: what is behind them is whole again."""
    config = CASES[bench_parameters()["case"]]()
    late = config.outstanding // config.lookups
    assert late * config.lookups == config.outstanding
    bench = LookupBench(dut, config, items=late + 20, waits=0.0)
    (source, memory) = next(iter(bench.memories.items()))
    memory.fate = lambda number: Fate(latency=1 << 40 if number < config.outstanding else 0)
    bench.statuses[source][: config.outstanding] = [Status.TIMEOUT] * config.outstanding
    await bench.start()
    dut.i_run.value = 1
    cocotb.start_soon(bench.send())
    await bench.finish(items=late)
    assert len(memory.busy) == len(memory.requests) == config.outstanding
    for read in memory.busy:
        read.due = memory.cycle
    await bench.finish()
    bench.check()


@cocotb.test()
async def never_hangs_without_requests(dut):
    """ARREADY stays low: items come back by name; once it rises, the one read is answered, and all is well."""
    config = CASES[bench_parameters()["case"]]()
    given_up = 4 if config.watchdog < 1000 else 1
    bench = LookupBench(dut, config, items=given_up + 4, waits=0.0)
    bench.memories[0].open = False
    await bench.start()
    dut.i_run.value = 1
    dut.i_limit.value = given_up
    cocotb.start_soon(bench.send())
    await bench.finish(items=given_up)
    assert [header >> 32 for header in bench.headers.received] == [Status.TIMEOUT] * given_up
    bench.memories[0].open = True
    dut.i_run.value = 0
    await ClockCycles(dut.clk, 50)
    assert len(bench.memories[0].requests) == 1
    dut.i_limit.value = 4
    dut.i_run.value = 1
    await bench.finish()
    assert [header >> 32 for header in bench.headers.received[given_up:]] == [Status.OK] * 4


@cocotb.test()
async def drops_and_counts_what_nobody_asked_for(dut):
    """Doubled answers and IDs that are not in flight change no vector, status or neighbour; counters go round."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=60, faulty=True, waits=0.1)
    await bench.start()
    wound = await wind_on(dut, config, unit="bare")
    for memory in bench.memories.values():
        memory.stray = 0.3
    await bench.go()
    bench.check()
    for memory in bench.memories.values():
        memory.stray = 0.0
    await ClockCycles(dut.clk, 20)
    counted = since(wound, shown(dut, config))
    for source, memory in bench.memories.items():
        assert counted[source, "reads"] == len(memory.requests)
        assert counted[source, "stalls"] < memory.cycle
        assert counted[source, "strays"] == memory.strays > 20


@cocotb.test()
async def bursts_at_the_end_of_a_page(dut):
    """Rows that end at a multiple of 4 KiB: the memory refuses bursts that cross one."""
    bench = LookupBench(dut, CASES[bench_parameters()["case"]](), items=30, waits=0.0, in_order=True)
    await bench.run()
    bench.check()
    ends = {address + 32 * beats for memory in bench.memories.values() for address, beats in memory.requests}
    assert any(end % 4096 == 0 for end in ends)


SCENARIOS = {
    "one_table": [
        "assembles_what_the_reference_says",
        "names_what_failed",
        "completes_in_its_latency",
        "takes_items_only_while_told",
        "a_host_that_stops_in_a_packet_ends_its_own_item",
        "never_hangs_without_ids",
        "never_hangs_without_requests",
        "drops_and_counts_what_nobody_asked_for",
    ],
    "checked": [
        "assembles_what_the_reference_says",
        "names_what_failed",
        "names_rows_of_another_address",
        "completes_in_its_latency",
        "drops_and_counts_what_nobody_asked_for",
        "never_hangs_without_ids",
    ],
    **{
        case: [
            "assembles_what_the_reference_says",
            "names_what_failed",
            "names_rows_of_another_address",
            "drops_and_counts_what_nobody_asked_for",
        ]
        for case in ("checked_partners", "checked_mixed", "checked_long_rows")
    },
    "checked_two_beats": [
        "assembles_what_the_reference_says",
        "names_what_failed",
        "names_rows_of_another_address",
        "drops_and_counts_what_nobody_asked_for",
        "uses_ids_again_that_were_lost",
    ],
    "far": ["assembles_what_the_reference_says", "never_hangs_without_requests"],
    "checked_banks": ["assembles_what_the_reference_says", "names_words_that_changed_in_a_bank"],
    "of_users": [
        "assembles_what_the_reference_says",
        "names_what_failed",
        "a_host_that_stops_in_a_packet_ends_its_own_item",
        "a_host_that_hesitates_is_waited_for",
    ],
    "fixed32_long_rows": [
        "assembles_what_the_reference_says",
        "names_what_failed",
        "bursts_at_the_end_of_a_page",
        "drops_and_counts_what_nobody_asked_for",
    ],
}


BY_NIGHT = ("far", "checked_partners", "checked_mixed", "checked_long_rows")


@pytest.mark.parametrize("case", by_night(CASES, BY_NIGHT))
def test_lookup_unit(case):
    config = CASES[case]()
    run_bench(
        Bare(LookupUnit(config=config)),
        module=__name__,
        scenarios=SCENARIOS.get(case, ["assembles_what_the_reference_says", "names_what_failed"]),
        parameters={"case": case},
        opened=counters(config, unit="bare"),
    )
