"""Tables in several sources: interleaved, replicated, with holes; partners' sums are exact and saturated once."""

import cocotb
import pytest

from microduet_hw.config import Precision
from microduet_hw.lookup.unit import LookupUnit
from tests.support.axi_memory import Fate
from tests.support.bench import bench_parameters, run_bench
from tests.support.by_night import by_night
from tests.support.flow import Bare
from tests.support.lookup_bench import LookupBench
from tests.support.lookups import HBM, ONCHIP, Place, Table, interleaved, lookup_config, replicas

HOLE = {"hole_log2": 6, "hole_bits": 1}


def replicated(precision):
    """One feature in four sources, two lookups each: a source's sum alone may be beyond an element's range."""
    table = Table(rows=30, dim=20, lookups=8, places=replicas(30, 20, dict.fromkeys(range(4), 2)))
    return lookup_config([table], [HBM] * 4, precision=precision, lanes=5)


def with_holes():
    """Two tables in the gaps of each other, in every channel, a third one behind."""
    tables = [
        Table(rows=21, dim=16, places=tuple(p._replace(base=0, **HOLE) for p in interleaved(21, 16, (0, 1)))),
        Table(rows=9, dim=30, places=tuple(p._replace(base=64, **HOLE) for p in interleaved(9, 30, (0, 1)))),
        Table(rows=9, dim=3, places=((1, 0, 9, 0, 3),)),
    ]
    return lookup_config(tables, [HBM, HBM])


CASES = {
    # No partners: one source has the row, the others deliver nothing.
    "interleaved": lambda: lookup_config(
        [Table(rows=37, dim=40, places=interleaved(37, 40, range(4))), Table(rows=7, dim=5, places=((2, 0, 7, 0, 5),))],
        [HBM, HBM, ONCHIP, HBM],
        precision=Precision.INT8,
        lanes=9,
    ),
    **{f"replicated_{precision}": lambda precision=precision: replicated(precision) for precision in Precision},
    "pooled_and_interleaved": lambda: lookup_config(
        [Table(rows=30, dim=33, lookups=5, places=interleaved(30, 33, range(4)))],
        [HBM] * 4,
        precision=Precision.INT8,
        lanes=11,
        slots=2,
    ),
    # Three partners, one of them on the chip; two features, of which one has rows elsewhere as well; another source.
    "two_features": lambda: lookup_config(
        [
            Table(rows=23, dim=6, places=interleaved(23, 6, (0, 1, 2, 3))),
            Table(rows=12, dim=40, lookups=7, places=replicas(12, 40, {0: 1, 1: 2, 2: 4})),
            Table(rows=9, dim=3, lookups=2, places=((3, 0, 9, 0, 3),)),
        ],
        [HBM, ONCHIP, HBM, HBM],
        precision=Precision.INT8,
        dense=5,
        lanes=9,
    ),
    # Rows split in the middle, columns into two groups of partners.
    "split_both_ways": lambda: lookup_config(
        [
            Table(
                rows=20,
                dim=24,
                lookups=3,
                places=(
                    (0, 0, 9, 0, 8),
                    (1, 9, 11, 0, 8),
                    *(Place(2 + k, k, 10, 8, 16, row_step_log2=1) for k in (0, 1)),
                ),
            )
        ],
        [HBM] * 4,
        precision=Precision.FIXED32,
        lanes=4,
    ),
    "holes": with_holes,
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
async def waits_for_the_slowest_partner(dut):
    """One channel answers much later than the others, whose sums of all items in flight wait."""
    config = CASES[bench_parameters()["case"]]()
    bench = LookupBench(dut, config, items=30, waits=0.0, latency=2)
    slow = bench.memories[config.channels[-1]]
    slow.fate = lambda _number: Fate(latency=90)
    await bench.run()
    bench.check()


BY_NIGHT = ("two_features", "interleaved", "replicated_int8", "replicated_fixed32")


@pytest.mark.parametrize("case", by_night(CASES, BY_NIGHT))
def test_partners(case):
    config = CASES[case]()
    run_bench(Bare(LookupUnit(config=config)), module=__name__, parameters={"case": case})
