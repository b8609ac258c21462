"""The order in which a history's rows are visited."""

from itertools import accumulate

from amaranth.hdl import Array as SignalArray
from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.running_sums import sum_rows


def scratchpad_rows(config: EdgeConfig) -> int:
    """Rows of all entries of all histories."""
    return sum(config.rows(group) * history.slots for group, history in enumerate(config.histories))


def job_layout(config: EdgeConfig) -> data.StructLayout:
    """A walk: from `address` on through `more` + 1 entries of a history; through all histories if it is `whole`."""
    return data.StructLayout(
        {
            "group": range(max(2, len(config.histories))),
            "address": range(max(2, scratchpad_rows(config))),
            "more": range(max(2, *(history.slots for history in config.histories), 0)),
            "whole": 1,
        }
    )


def place_layout(config: EdgeConfig) -> data.StructLayout:
    """A row of an entry: of which history, which one, and where it and its sums lie."""
    return data.StructLayout(
        {
            "group": range(max(2, len(config.histories))),
            "row": range(max(2, *(config.rows(group) for group in range(len(config.histories))), 0)),
            "address": range(max(2, scratchpad_rows(config))),
            "sums": range(max(2, sum_rows(config))),
            "first": 1,  # of the rows that have these sums
            "final": 1,  # the last of them
            "last": 1,  # of the walk
        }
    )


class Walk(wiring.Component):
    """Visits the rows of a history: of one entry row by row, of several all their first rows, then their second.

    Latency: one cycle from `i_start` to the first row.
    Throughput: a row per cycle.
    Back-pressure: none; rows are always taken.
    Reset: no walk is on.

    Parameters
    ----------
    config : the unit's configuration

    Members
    -------
    i_start, i_job : begin this walk, while no other is on
    o_place : stream of rows, always ready
    """

    i_start: Signal
    i_job: data.View
    o_place: stream.Interface

    def __init__(self, *, config: EdgeConfig) -> None:
        self._config = config
        super().__init__(
            {
                "i_start": In(1),
                "i_job": In(job_layout(config)),
                "o_place": Out(stream.Signature(place_layout(config), always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, place = self._config, self.o_place.p
        rows = [config.rows(group) for group in range(len(config.histories))]
        job = self.i_job
        more, whole = (Signal.like(job[name], name=name, reset_less=True) for name in ("more", "whole"))
        on, group, row, sums = Signal(), *(Signal.like(place[name]) for name in ("group", "row", "sums"))
        # `column` is the address of the row in the first entry, `entry` counts from there.
        address, column, entry = Signal.like(job.address), Signal.like(job.address), Signal.like(job.more)
        final, row_last, last = Signal(), Signal(), Signal()
        m.d.comb += [
            final.eq(entry == more),
            row_last.eq(final & (row == SignalArray(count - 1 for count in rows)[group])),
            last.eq(row_last & (~whole | (group == len(rows) - 1))),
            self.o_place.valid.eq(on),
            place.group.eq(group),
            place.row.eq(row),
            place.address.eq(address),
            place.sums.eq(sums),
            place.first.eq(entry == 0),
            place.final.eq(final),
            place.last.eq(last),
        ]
        with m.If(self.i_start):
            begin = SignalArray(accumulate([0, *rows[:-1]]))[job.group]
            m.d.sync += [more.eq(job.more), whole.eq(job.whole), group.eq(job.group), sums.eq(begin), on.eq(1)]
            m.d.sync += [address.eq(job.address), column.eq(job.address), entry.eq(0), row.eq(0)]
        with m.Elif(on & ~final):
            m.d.sync += [entry.eq(entry + 1), address.eq(address + SignalArray(rows)[group])]
        with m.Elif(on):
            m.d.sync += [entry.eq(0), sums.eq(sums + 1), column.eq(column + 1), address.eq(column + 1)]
            m.d.sync += [row.eq(row + 1), on.eq(~last)]
            with m.If(row_last):
                m.d.sync += [row.eq(0), group.eq(group + 1)]
        return m
