"""The histories of one user, and their sums, on the chip."""

from itertools import accumulate
from typing import Any

from amaranth.hdl import Array as SignalArray
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import Kind
from microduet_hw.edge.running_sums import RunningSums, entry_layout, sums_layout
from microduet_hw.edge.tracker import LocationTracker
from microduet_hw.edge.walk import Walk, place_layout
from microduet_hw.lookup.ram import ram

EVENTS = data.StructLayout({"scratchpad_reads": 1, "scratchpad_writes": 1, "sum_reads": 1, "sum_writes": 1})
"""Rows that are read and written in a cycle."""


def pooled_layout(config: EdgeConfig) -> data.StructLayout:
    """Payload of the stream of pooled histories: a row of sums, and whether it is the vector's last."""
    return data.StructLayout({"values": sums_layout(config), "last": 1})


class UserScratchpad(wiring.Component):
    """Keeps the last entries of every history, and their sums, which it reads as the pooled histories.

    A click writes its entry over the oldest one, and adds their difference to the sums, in one pass. All of a history's
    tables change together, and nothing is read meanwhile: a history is seen before a click or after it.

    Latency: in cycles from a start to the first in which the next may begin, an entry's rows + `UPDATE_CYCLES` for a
    click or preload; 1 for a clear; rows of all entries + `CHECK_CYCLES` for a check, 1 of an empty history; rows of
    all sums + `READ_CYCLES` for a read, whose first row comes after `READ_LATENCY` cycles.
    Throughput: a row per cycle.
    Back-pressure: none; rows of sums are always taken.
    Reset: all histories are empty; their sums are zero.

    Parameters
    ----------
    config : the unit's configuration

    Members
    -------
    i_start, i_kind, i_group : act on a history, CLICK, PRELOAD, CLEAR or CHECK, only while not `o_busy`
    i_read : let all sums out, only while not `o_busy` and without `i_start`
    o_busy : from the cycle after a start to the end of what was started
    o_entry_row, i_entry : row of the new entry, which comes one cycle later
    o_sums : stream of {values, last}, always ready: sums group by group, row by row
    o_mismatch : when a check is over and until the next start: some running sum is not the sum of its history
    o_events : `EVENTS` of this cycle
    """

    UPDATE_CYCLES = 2
    CHECK_CYCLES = 3
    READ_CYCLES = 2
    READ_LATENCY = 2

    i_start: Signal
    i_kind: Signal
    i_group: Signal
    i_read: Signal
    o_busy: Signal
    o_entry_row: Signal
    i_entry: data.View
    o_sums: stream.Interface
    o_mismatch: Signal
    o_events: data.View

    def __init__(self, *, config: EdgeConfig) -> None:
        self._config = config
        super().__init__(
            {
                "i_start": In(1),
                "i_kind": In(8),
                "i_group": In(8),
                "i_read": In(1),
                "o_busy": Out(1),
                "o_entry_row": Out(place_layout(config)["row"].shape),
                "i_entry": In(entry_layout(config)),
                "o_sums": Out(stream.Signature(pooled_layout(config), always_ready=True)),
                "o_mismatch": Out(1),
                "o_events": Out(EVENTS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.walk = walk = Walk(config=self._config)
        m.submodules.running = running = RunningSums(config=self._config)
        place = walk.o_place.p
        # A row's next cycle: its data are there. The third is that of a check's verdict.
        due, ending = Signal(), Signal()
        then: Any = Signal(place.shape(), reset_less=True)
        updates, checks, reads = (Signal(name=name) for name in ("updates", "checks", "reads"))
        with m.If(self.i_start | self.i_read):
            m.d.sync += [
                updates.eq(self.i_start & ((self.i_kind == Kind.CLICK) | (self.i_kind == Kind.PRELOAD))),
                checks.eq(self.i_start & (self.i_kind == Kind.CHECK)),
                reads.eq(self.i_read),
            ]
        m.d.sync += [due.eq(walk.o_place.valid), then.eq(place), ending.eq(due & checks)]
        trackers = self._trackers(m, written=due & updates & then.last, group=then.group)
        self._begin(m, walk, trackers)
        empty = SignalArray(tracker.o_count == 0 for tracker in trackers)[place.group]
        full = SignalArray(tracker.o_full for tracker in trackers)[place.group]
        step = running.i_step.p
        m.d.comb += [
            running.i_step.valid.eq(walk.o_place.valid),
            step.row.eq(place.sums),
            step.read.eq(~empty & (~checks | place.first)),
            step.chain.eq(checks & ~place.first),
            step.add.eq(updates),
            step.subtract.eq(checks | (updates & full)),
            step.write.eq(updates),
            step.test.eq(checks & place.final),
            running.i_new.eq(self.i_entry),
            self.o_busy.eq(walk.o_place.valid | due | ending),
            self.o_entry_row.eq(place.row),
            self.o_sums.valid.eq(due & reads),
            self.o_sums.p.values.eq(running.o_base),
            self.o_sums.p.last.eq(then.last),
        ]
        reading = walk.o_place.valid & step.subtract
        self._history(m, running, read=reading, address=place.address, write=due & updates, to=then.address)
        m.d.comb += [
            self.o_events.scratchpad_reads.eq(reading),
            self.o_events.scratchpad_writes.eq(due & updates),
            self.o_events.sum_reads.eq(walk.o_place.valid & step.read),
            self.o_events.sum_writes.eq(due & updates),
        ]
        m.d.sync += self.o_mismatch.eq(~(self.i_start | self.i_read) & (self.o_mismatch | running.o_differs))
        return m

    def _trackers(self, m: Module, *, written: Value, group: Value) -> list[LocationTracker]:
        """One per history. A preload is a click on a history that is cleared when it begins."""
        trackers: list[LocationTracker] = []
        forgets = self.i_start & ((self.i_kind == Kind.PRELOAD) | (self.i_kind == Kind.CLEAR))
        for number, history in enumerate(self._config.histories):
            tracker = LocationTracker(slots=history.slots, stride=self._config.rows(number))
            m.submodules[f"tracker_{number}"] = tracker
            m.d.comb += [
                tracker.i_clear.eq(forgets & (self.i_group == number)),
                tracker.i_update.eq(written & (group == number)),
            ]
            trackers.append(tracker)
        return trackers

    def _begin(self, m: Module, walk: Walk, trackers: list[LocationTracker]) -> None:
        """The rows that a command is about: a click's are the oldest entry's, a check's those of all entries."""
        config = self._config
        sizes = [config.rows(group) * history.slots for group, history in enumerate(config.histories)]
        begin = SignalArray(accumulate([0, *sizes[:-1]]))[self.i_group]
        oldest = SignalArray(tracker.o_address for tracker in trackers)[self.i_group]
        count = SignalArray(tracker.o_count for tracker in trackers)[self.i_group]
        clicks, checks = self.i_kind == Kind.CLICK, self.i_kind == Kind.CHECK
        walks = clicks | (self.i_kind == Kind.PRELOAD) | (checks & (count != 0))
        m.d.comb += [
            walk.i_start.eq(self.i_read | (self.i_start & walks)),
            walk.i_job.group.eq(Mux(self.i_read, 0, self.i_group)),
            walk.i_job.address.eq(begin + Mux(clicks, oldest, 0)),
            walk.i_job.more.eq(Mux(checks & ~self.i_read, count - 1, 0)),
            walk.i_job.whole.eq(self.i_read),
        ]

    def _history(
        self, m: Module, running: RunningSums, *, read: Value, address: Value, write: Value, to: Value
    ) -> None:
        """The memory of all entries: history by history, entry by entry, row by row."""
        old = Signal(entry_layout(self._config))
        depth = self._config.scratchpad_bytes * 8 // len(Value.cast(old))
        m.submodules.history = ram(
            depth=depth,
            domain="sync",
            write=write,
            write_address=to,
            write_data=self.i_entry.as_value(),
            read=read,
            read_address=address,
            read_data=old.as_value(),
        )
        m.d.comb += running.i_old.eq(old)
