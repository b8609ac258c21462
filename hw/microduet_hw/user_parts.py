"""Keeps every slot's part of a layer's sums as the drain of the layer's array reads biases: a row per step."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.store import Store
from microduet_hw.user_shape import UserShape


class UserParts(wiring.Component):
    """Gathers parts into rows and keeps them, slot by slot.

    Latency: a row can be read in the cycle after its last part came; `o_row` follows `i_read` by one cycle and stays.
    Throughput: one part in and one row out per cycle.
    Back-pressure: none.
    Reset: at a first part; rows are not defined before they are written.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    i_parts : as `UserMultiplier.o_parts`
    i_slot : whose they are
    o_done : this was the last of them
    i_read, i_read_slot, i_read_row, o_row : parts of a step, lane 0 lowest; lanes without an output hold anything
    """

    i_parts: stream.Interface
    i_slot: Signal
    o_done: Signal
    i_read: Signal
    i_read_slot: Signal
    i_read_row: Signal
    o_row: Signal

    def __init__(self, *, shape: UserShape, parts: stream.Signature) -> None:
        self._shape = shape
        super().__init__(
            {
                "i_parts": In(parts),
                "i_slot": In(6),
                "o_done": Out(1),
                "i_read": In(1),
                "i_read_slot": In(6),
                "i_read_row": In(max(1, shape.row_bits)),
                "o_row": Out(shape.lanes * shape.bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, part = self._shape, self.i_parts.p
        lane, step = Signal(range(max(2, shape.lanes))), Signal(range(max(2, shape.full + 1)))
        row = Signal(max(1, shape.row_bits))
        kept = [Signal(shape.bits, reset_less=True, name=f"kept_{k}") for k in range(shape.lanes)]
        now = [Mux(lane == k, part.part, old)[: shape.bits] for k, old in enumerate(kept)]
        ends, write = Signal(), Signal()
        # A round ends with what does not fill a step, if there is anything of that kind.
        over = (
            Mux(step == shape.full, max(1, shape.leftover) - 1, shape.lanes - 1) if shape.leftover else shape.lanes - 1
        )
        m.d.comb += [
            ends.eq(lane == over),
            write.eq(self.i_parts.valid & (ends | part.final)),
            self.o_done.eq(self.i_parts.valid & part.final),
        ]
        with m.If(self.i_parts.valid):
            m.d.sync += [old.eq(new) for old, new in zip(kept, now, strict=True)]
            m.d.sync += lane.eq(lane + 1)
        with m.If(write):
            steps = shape.full + (shape.leftover > 0)
            m.d.sync += [lane.eq(0), row.eq(row + 1), step.eq(Mux(step == steps - 1, 0, step + 1))]
        with m.If(self.o_done):
            m.d.sync += [row.eq(0), step.eq(0)]
        m.submodules.rows = rows = Store(rows=shape.user.slots << shape.row_bits, bits=len(self.o_row))
        m.d.comb += [
            rows.i_write.eq(write),
            rows.i_row.eq(self._address(self.i_slot, row)),
            rows.i_data.eq(Cat(*now)),
            rows.i_read.eq(self.i_read),
            rows.i_read_row.eq(self._address(self.i_read_slot, self.i_read_row)),
            self.o_row.eq(rows.o_data),
        ]
        return m

    def _address(self, slot: Signal, row: Signal) -> Cat:
        return Cat(row[: self._shape.row_bits], slot)
