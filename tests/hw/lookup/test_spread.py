"""Tables spread over all channels: vectors and statuses equal the integer reference, whatever memory does."""

import cocotb
import pytest

from microduet_hw.config import Precision
from microduet_hw.lookup.unit import LookupUnit
from tests.support.axi_memory import Fate
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.flow import Bare
from tests.support.lookup_bench import LookupBench
from tests.support.lookups import HBM, Table, interleaved, lookup_config


def spread(tables, bits, **options):
    """Tables (rows, dim, lookups) over 2^bits channels."""
    channels = range(1 << bits)
    placed = [
        Table(rows=rows, dim=dim, lookups=lookups, places=interleaved(rows, dim, channels))
        for rows, dim, lookups in tables
    ]
    config = lookup_config(placed, [HBM] * len(channels), **options)
    assert config.spread == bits
    return config


CASES = {
    "two_channels": lambda: spread([(37, 20, 21)], 1, lanes=5),
    "checked": lambda: spread([(37, 32, 21), (9, 5, 3)], 1, lanes=5, row_check=True),
    # Features of one lookup: all channels but one have an empty one.
    "single_lookups": lambda: spread([(40, 5, 1), (8, 33, 1)], 2, precision=Precision.INT8, lanes=19),
    "mixed": lambda: spread(
        [(30, 40, 5), (9, 3, 1), (99, 16, 40), (50, 7, 16)], 3, precision=Precision.INT8, dense=70, lanes=17
    ),
    "fixed32": lambda: spread([(64, 9, 33), (77, 20, 18)], 2, precision=Precision.FIXED32, dense=17, slots=2, lanes=23),
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
async def waits_for_the_slowest_channel(dut):
    """One channel answers much later than the others, which run ahead as far as items are in flight."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=30, waits=0.0, latency=2)
    bench.memories[config.channels[-1]].fate = lambda _number: Fate(latency=90)
    await bench.run()
    bench.check()


@cocotb.test()
async def sums_one_row_that_all_lookups_ask_for(dut):
    """Item n asks for row n alone: one channel has all of the work, the others ends of features only."""
    bench = LookupBench(dut, CASES[bench_parameters()["case"]](), items=20, waits=0.1, in_order=True)
    await bench.run()
    bench.check()


@pytest.mark.parametrize("case", by_night(CASES, ["two_channels", "single_lookups", "fixed32"]))
def test_spread(case):
    run_bench(Bare(LookupUnit(config=CASES[case]())), module=__name__, parameters={"case": case})
