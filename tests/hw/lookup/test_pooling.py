"""The pooling adder: sums of rows of several beats, with gaps, extremes and failed rows, equal the reference."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ReadOnly, RisingEdge

from microduet_hw.config import Precision
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.layouts import row_layout
from microduet_hw.lookup.pooling import PoolingAdder, pooled
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare
from tests.support.lookups import HBM, Table, lookup_config, random_tables
from tests.support.streams import start_clocks

TABLES = {
    "one_beat": [Table(dim=6, lookups=7), Table(dim=3)],
    "several_beats": [Table(dim=40), Table(dim=70, lookups=5), Table(dim=9, lookups=128)],
}


def config_of(parameters):
    return lookup_config(TABLES[parameters["tables"]], [HBM], precision=Precision(parameters["precision"]))


def packed(values, width):
    return sum((value & ((1 << width) - 1)) << width * k for k, value in enumerate(values))


def rows_and_sums(config, plan, rng):
    """Beats in and out of one item: dicts of the fields of `row_layout`."""
    width = config.precision.width
    tables = random_tables(config, rng)
    into, out, seen = [], [], 0
    for number, part in enumerate(plan.parts):
        rows = tables[part.part.feature][rng.integers(20, size=part.lookups)]
        sums = pooled(rows, precision=config.precision)
        top = (1 << width - 1) - 1
        hit("pooling: saturates above", part.lookups > 1 and (sums == top).any())
        hit("pooling: saturates below", part.lookups > 1 and (sums == -top - 1).any())
        for lookup, row in enumerate(rows):
            flags = int(rng.choice([0, 0, 0, 1, 2, 4]))
            hit("pooling: one row of many failed", flags and part.lookups > 1)
            for beat in range(part.beats):
                cut = slice(beat * part.elements, (beat + 1) * part.elements)
                last, final = lookup == part.lookups - 1, beat == part.beats - 1
                seen |= flags if final else 0
                fields = {
                    "part": number,
                    "beat": beat,
                    "first": int(lookup == 0),
                    "last": int(last),
                    "end": int(last and final and number == len(plan.parts) - 1),
                }
                into.append({**fields, "data": packed(row[cut].tolist(), width), "flags": flags if final else 0})
                if last:
                    used = part.beat_elements(beat) * width
                    out.append({**fields, "data": packed(sums[cut].tolist(), width), "flags": seen, "used": used})
    return into, out


@cocotb.test()
async def sums_equal_the_reference(dut):
    config = config_of(bench_parameters())
    plan = source_plan(config, 0)
    layout = row_layout(plan)
    fields_of = list(layout)
    rng = np.random.default_rng(random.getrandbits(32))
    items = [rows_and_sums(config, plan, rng) for _ in range(8)]
    waiting = [beat for into, _ in items for beat in into]
    expected = [beat for _, out in items for beat in out]
    dut.i__valid.value = 0
    await start_clocks(dut)
    due, compared = False, 0
    while waiting or due:
        await RisingEdge(dut.mem_clk)
        fields = waiting.pop(0) if waiting and random.random() < 0.7 else None
        dut.i__valid.value = int(fields is not None)
        if fields:
            dut.i__payload.value = sum(value << layout[name].offset for name, value in fields.items())
        await ReadOnly()
        assert dut.o__valid.value == int(due), f"a sum follows its last row by {PoolingAdder.LATENCY} cycle"
        if due:
            payload, wanted = dut.o__payload.value.to_unsigned(), expected[compared]
            got = {name: payload >> field.offset & ((1 << field.width) - 1) for name, field in fields_of}
            got["data"] &= (1 << wanted["used"]) - 1
            assert got == {name: wanted[name] for name in got}, f"sum {compared}"
            compared += 1
        due = fields is not None and bool(fields["last"])
    assert compared == len(expected)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("tables", TABLES)
def test_sums_equal_the_reference(tables, precision):
    parameters = {"tables": tables, "precision": precision}
    config = config_of(parameters)
    adder = PoolingAdder(config=config, plan=source_plan(config, 0))
    run_bench(Bare(adder), module=__name__, parameters=parameters)
