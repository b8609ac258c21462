"""Turns the lookups of a memory channel into reads."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import ADDRESS_BITS
from microduet_hw.config import EngineConfig
from microduet_hw.lookup.bits import bit, mask
from microduet_hw.lookup.geometry import SourcePlan
from microduet_hw.lookup.layouts import (
    id_layout,
    lookup_layout,
    order_layout,
    request_layout,
)
from microduet_hw.lookup.progress import Progress, constant, count_lookups
from microduet_hw.status import Status


class Placed:
    """Whether and where a source holds the row of a lookup: the address part that every kind of source shares.

    Parameters
    ----------
    m, plan, progress : the stage that looks rows up
    index : the row's index
    """

    def __init__(self, m: Module, plan: SourcePlan, progress: Progress, index: Value) -> None:
        parts = plan.parts
        table_rows = constant(m, progress, [p.table_rows for p in parts], name="table_rows")
        self.in_table = index < table_rows
        self.here: Value = self.in_table
        if any(p.row_end != p.table_rows for p in parts):
            row_end = constant(m, progress, [p.row_end for p in parts], name="row_end")
            self.here = index < row_end
        if any(p.row_first for p in parts):
            row_first = constant(m, progress, [p.row_first for p in parts], name="row_first")
            self.here = self.here & (index >= row_first)
        if any(p.part.row_step_log2 for p in parts):
            masks, values = zip(*(p.row_mask for p in parts), strict=True)
            mask = constant(m, progress, masks, name="row_mask")
            value = constant(m, progress, values, name="row_value")
            self.here = self.here & ((index[: len(mask)] & mask) == value)
        origin = constant(m, progress, [p.origin for p in parts], name="origin")
        spreads = sorted({p.spread for p in parts}, key=lambda spread: (spread.stride, spread))
        spread = constant(m, progress, [spreads.index(p.spread) for p in parts], name="stride")
        offset = Signal(ADDRESS_BITS)
        with m.Switch(spread):
            for number, way in enumerate(spreads):
                with m.Case(number) if number < len(spreads) - 1 else m.Default():
                    m.d.comb += offset.eq(way.of(index))
        self.address = (origin + offset)[:ADDRESS_BITS]


class ReadIssuer(wiring.Component):
    """Issues a read for every lookup whose row the channel holds, each with an ID of its own.

    Latency: `LATENCY` cycle from lookup to request.
    Throughput: one lookup per cycle.
    Back-pressure: waits for a free ID, for `o_requests` and for `o_order`. A lookup that has waited for the first two
    `watchdog` cycles with no other in flight is given up: TIMEOUT.
    Reset: no ID is in use.

    IDs are used in turn, so the next is the one that has been in use longest; lost ones are passed over.

    Parameters
    ----------
    config : for the number of IDs and the watchdog
    plan : the source

    Members
    -------
    i : stream of lookups
    o_requests : stream of reads
    o_order : stream that says of every lookup what became of it
    i_idle : no lookup is in flight behind `o_order`
    i_released : IDs whose reads are over
    i_lost : IDs whose reads were given up
    i_returned : lost IDs whose reads have ended after all
    o_stalled : a lookup waits
    """

    LATENCY = 1

    i: stream.Interface
    o_requests: stream.Interface
    o_order: stream.Interface
    i_idle: Signal
    i_released: stream.Interface
    i_lost: stream.Interface
    i_returned: stream.Interface
    o_stalled: Signal

    def __init__(self, *, config: EngineConfig, plan: SourcePlan) -> None:
        self._ids = config.outstanding
        self._watchdog = config.watchdog
        self._plan = plan
        ids = In(stream.Signature(id_layout(self._ids), always_ready=True))
        super().__init__(
            {
                "i": In(stream.Signature(lookup_layout(marked=plan.marked))),
                "o_requests": Out(stream.Signature(request_layout(self._ids))),
                "o_order": Out(stream.Signature(order_layout(self._ids, marked=plan.marked))),
                "i_idle": In(1),
                "i_released": ids,
                "i_lost": ids,
                "i_returned": ids,
                "o_stalled": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lookup, order, request = self.i.p, self.o_order, self.o_requests
        marked = self._plan.marked
        void = lookup.empty if marked else lookup.bad
        last = lookup.last if marked else None
        progress = count_lookups(m, self._plan, self.i.valid & self.i.ready, name="issue", marked_last=last)
        placed = Placed(m, self._plan, progress, lookup.index)
        reads, can_read, give_up, issue = Signal(), Signal(), Signal(), Signal()
        number, free = self._ids_in_turn(m, issue)
        m.d.comb += [
            reads.eq(placed.here & ~void),
            can_read.eq(free & (~request.valid | request.ready) & ~give_up),
            order.valid.eq(self.i.valid & (~reads | can_read | give_up)),
            self.i.ready.eq(order.ready & (~reads | can_read | give_up)),
            order.p.read.eq(reads & can_read),
            order.p.id.eq(number),
            # Of marked lookups an empty one adds nothing, but is no less there.
            order.p.absent.eq(0 if marked else ~reads & ~void & placed.in_table),
            order.p.flags.eq(
                Mux(reads, Status.TIMEOUT.value, Mux(void | placed.in_table, 0, Status.INDEX_RANGE.value))
            ),
            issue.eq(order.valid & order.ready & order.p.read),
            self.o_stalled.eq(self.i.valid & ~self.i.ready),
        ]
        if marked:
            m.d.comb += order.p.last.eq(lookup.last)
        self._watch(m, give_up, waiting=self.i.valid & reads & ~can_read & self.i_idle, done=order.ready)
        valid = Signal()
        payload: Any = Signal(request.p.shape(), reset_less=True)
        lengths = constant(m, progress, [p.read_beats - 1 for p in self._plan.parts], name="length")
        m.d.comb += [request.valid.eq(valid), request.payload.eq(payload)]
        with m.If(issue):
            m.d.mem += [
                valid.eq(1),
                payload.address.eq(placed.address),
                payload.id.eq(number),
                payload.length.eq(lengths),
            ]
        with m.Elif(request.ready):
            m.d.mem += valid.eq(0)
        return m

    def _ids_in_turn(self, m: Module, issue: Signal) -> tuple[Signal, Value]:
        """The ID whose turn it is, and whether it is free."""
        number = Signal(range(max(2, self._ids)))
        busy, lost = Signal(self._ids), Signal(self._ids)
        free = ~bit(busy, number)
        with m.If(issue | bit(lost, number)):
            m.d.mem += number.eq(number + 1)
            with m.If(number == self._ids - 1):
                m.d.mem += number.eq(0)
        masks = {
            ended: mask(self._ids, ids.p.id, enable=ids.valid)
            for ended, ids in (("released", self.i_released), ("lost", self.i_lost), ("returned", self.i_returned))
        }
        with m.If(issue | self.i_released.valid | self.i_returned.valid):
            taken = mask(self._ids, number, enable=issue)
            m.d.mem += busy.eq((busy | taken) & ~masks["released"] & ~masks["returned"])
        with m.If(self.i_lost.valid | self.i_returned.valid):
            m.d.mem += lost.eq((lost | masks["lost"]) & ~masks["returned"])
        return number, free

    def _watch(self, m: Module, give_up: Signal, *, waiting: Value, done: Value) -> None:
        """Give up what has waited too long; a register, because what was decided is not taken back."""
        waited = Signal(range(max(2, self._watchdog)))
        with m.If(give_up):
            m.d.mem += [give_up.eq(~done), waited.eq(0)]
        with m.Elif(waiting):
            m.d.mem += [waited.eq(waited + 1), give_up.eq(waited == self._watchdog - 1)]
        with m.Else():
            m.d.mem += waited.eq(0)
