"""Turns user packets into what the sums of a layer begin with, query by query."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from microduet_hw.axi import StreamMaster
from microduet_hw.status import UserStatus
from microduet_hw.user_buffer import UserBuffer
from microduet_hw.user_expander import UserExpander
from microduet_hw.user_multiplier import UserMultiplier
from microduet_hw.user_packets import USER_BITS, USER_CONSTANTS, UserKind
from microduet_hw.user_parts import UserParts
from microduet_hw.user_shape import UserShape
from microduet_hw.user_slots import PLACE, UserSlots
from microduet_hw.weight_check import CheckPort


class UserBank(wiring.Component):
    """Takes user packets, and keeps for every slot the user's part of the layer's sums, or why there is none.

    A packet acts when all of it has come and was found good; a coded vector is as good as the vector. One that nobody
    waits for is dropped: for a slot that there is not, of a query whose user is known, of another query than the slot's
    items, and a code where users are sums.

    Latency: `latency` cycles from a packet's last beat to `o_ready`; of a coded vector, from the last beat of what
    `UserExpander` makes of it.
    Throughput: a packet at a time; the next one is taken when the slot is ready.
    Back-pressure: on `s_axis_users`; a packet that has come waits while `i_hold` is high.
    Reset: no user is known, and no model: all constants are 0.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    s_axis_users : AXI4-Stream of user packets
    load_model, load_weights, load_bias, load_row, load_data : write the constants (`USER_CONSTANTS`), or as
        `UserMultiplier`; not while `o_busy`
    i_items, i_waiting, i_clear, o_ready, o_status : as `UserSlots`
    i_read, i_read_slot, i_read_row, o_row : as `UserParts`
    o_busy : a packet is at work
    o_taken, o_dropped : pulses: a packet became its query's user, good or not; one counts for nothing
    check_model, check_weights, check_bias : a `CheckPort` of each, while `i_hold` is high and `o_busy` was low in the
        cycle before it rose; only those of `shape.checks`
    i_hold : no packet may begin to act; only if there are such

    Attributes
    ----------
    latency : cycles
    """

    s_axis_users: Any
    load_model: Signal
    load_weights: Signal
    load_bias: Signal
    load_row: Signal
    load_data: Signal
    i_items: stream.Interface
    i_waiting: Signal
    i_clear: stream.Interface
    o_ready: Signal
    o_status: data.View
    i_read: Signal
    i_read_slot: Signal
    i_read_row: Signal
    o_row: Signal
    o_busy: Signal
    o_taken: Signal
    o_dropped: Signal
    check_model: Any
    check_weights: Any
    check_bias: Any
    i_hold: Signal

    def __init__(self, *, shape: UserShape) -> None:
        self._shape = shape
        self._expander = UserExpander(length=shape.user.bytes) if shape.vector else None
        self._buffer = UserBuffer(length=shape.user.bytes)
        self._multiplier = UserMultiplier(shape=shape)
        parts = self._multiplier.o_parts.signature
        self._parts = UserParts(shape=shape, parts=parts)
        self._slots = UserSlots(slots=shape.user.slots, watchdog=shape.user.watchdog)
        steps = shape.outputs * shape.words - 1
        self.latency = UserBuffer.LATENCY + self._multiplier.latency + steps + 2
        shown = {
            self._multiplier: ("load_weights", "load_bias", "load_row"),
            self._slots: ("i_items", "i_waiting", "i_clear", "o_ready", "o_status"),
            self._parts: ("i_read", "i_read_slot", "i_read_row", "o_row"),
        }
        data_bits = max(len(self._multiplier.load_data), USER_CONSTANTS.size)
        super().__init__(
            {
                "s_axis_users": In(StreamMaster(bits=USER_BITS)),
                "load_model": In(1),
                "load_data": In(data_bits),
                **{name: part.signature.members[name] for part, names in shown.items() for name in names},
                "o_busy": Out(1),
                "o_taken": Out(1),
                "o_dropped": Out(1),
                **{name: In(CheckPort(bits)) for name, bits in shape.checks.items()},
                **({"i_hold": In(1)} if shape.checked else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffer, multiplier, parts, slots = self._buffer, self._multiplier, self._parts, self._slots
        m.submodules.buffer, m.submodules.multiplier = buffer, multiplier
        m.submodules.parts, m.submodules.slots = parts, slots
        users = flipped(self.s_axis_users)
        if self._expander is not None:
            m.submodules.expander = self._expander
            connect(m, users, self._expander.s_axis_users)
            users = self._expander.m_axis_users
        connect(m, users, buffer.s_axis_users)
        connect(m, multiplier.o_parts, parts.i_parts)
        constants: Any = Signal(USER_CONSTANTS)
        with m.If(self.load_model):
            m.d.sync += constants.eq(self.load_data[: USER_CONSTANTS.size])
        m.d.comb += [
            buffer.i_constants.eq(constants),
            buffer.i_read.eq(multiplier.o_read),
            buffer.i_beat.eq(multiplier.o_beat),
            multiplier.i_beat.eq(buffer.o_beat),
            multiplier.i_shift.eq(constants.shift),
            parts.i_slot.eq(buffer.o_header.slot),
        ]
        if self._shape.checked:
            m.d.comb += self.check_model.data.eq(constants)
        self._outside(m)
        self._act(m)
        return m

    def _outside(self, m: Module) -> None:
        """What the bank's parts show to those round it."""
        multiplier, parts, slots = self._multiplier, self._parts, self._slots
        connect(m, flipped(self.i_items), slots.i_items)
        connect(m, flipped(self.i_clear), slots.i_clear)
        for name in self._shape.checks:
            if name in multiplier.signature.members:
                connect(m, flipped(getattr(self, name)), getattr(multiplier, name))
        m.d.comb += [
            multiplier.load_weights.eq(self.load_weights),
            multiplier.load_bias.eq(self.load_bias),
            multiplier.load_row.eq(self.load_row),
            multiplier.load_data.eq(self.load_data),
            slots.i_waiting.eq(self.i_waiting),
            self.o_ready.eq(slots.o_ready),
            self.o_status.eq(slots.o_status),
            parts.i_read.eq(self.i_read),
            parts.i_read_slot.eq(self.i_read_slot),
            parts.i_read_row.eq(self.i_read_row),
            self.o_row.eq(parts.o_row),
        ]

    def _act(self, m: Module) -> None:
        """A packet's way: dropped, or begun, computed if its vector is good, and known."""
        buffer, slots, header = self._buffer, self._slots, self._buffer.o_header
        place, kinds = Signal(PLACE), Signal()
        vector = header.kind == UserKind.VECTOR
        status = Signal(8)
        m.d.comb += [
            place.eq(Cat(header.slot[:6], header.number)),
            slots.i_asked.eq(place),
            slots.i_begin.payload.eq(place),
            slots.i_verdict.p.place.eq(place),
            slots.i_verdict.p.status.eq(status),
            kinds.eq(vector | (header.kind == UserKind.ABANDON)),
            status.eq(buffer.o_status),
        ]
        with m.If(~vector):
            m.d.comb += status.eq(UserStatus.ABANDONED)
        begins = buffer.o_valid & ~self.i_hold if self._shape.checked else buffer.o_valid
        with m.FSM():
            with m.State("idle"), m.If(begins):
                with m.If(slots.o_refused | (header.slot[6:] != 0) | ~kinds):
                    m.d.comb += [buffer.i_release.eq(1), self.o_dropped.eq(1)]
                with m.Else():
                    m.d.comb += slots.i_begin.valid.eq(1)
                    m.next = "known"
                    with m.If(status == 0):
                        m.d.comb += self._multiplier.i_start.eq(1)
                        m.next = "sums"
            with m.State("sums"), m.If(self._parts.o_done):
                m.next = "known"
            with m.State("known"):
                m.d.comb += [slots.i_verdict.valid.eq(1), buffer.i_release.eq(1), self.o_taken.eq(1)]
                m.next = "idle"
        m.d.comb += self.o_busy.eq(buffer.o_valid)
