"""Takes user packets in whole, and says what is wrong with them before they act."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import StreamMaster
from microduet_hw.crc import crc32
from microduet_hw.status import UserStatus
from microduet_hw.store import Store
from microduet_hw.user_packets import USER, USER_BITS, USER_BYTES, USER_CONSTANTS, UserKind, user_beats

POLYNOMIAL = 0xEDB88320
"""Of zlib's checksum, lowest bit first."""

ONES = 0xFFFFFFFF


class UserBuffer(wiring.Component):
    """Stores a user packet until its end has come, and judges it: none acts by halves.

    Latency: `LATENCY` cycles from TLAST to `o_valid`; `o_beat` follows `i_beat` by one cycle.
    Throughput: a beat per cycle.
    Back-pressure: no beat is taken from TLAST to the release of its packet.
    Reset: empty.

    A vector of the wrong length, by its header or by its beats, is WRONG_LENGTH and its checksum is not looked at.
    Beats behind the last are dropped, up to TLAST. What is not a vector is not judged.

    Parameters
    ----------
    length : bytes of a user vector

    Members
    -------
    s_axis_users : AXI4-Stream of user packets
    i_constants : `USER_CONSTANTS`, looked at when the header comes
    o_valid : a packet is there, until it is released
    o_header : its `USER` header
    o_status : `UserStatus` flags, 0 if its vector is good
    i_read, i_beat, o_beat : read a beat of its vector, numbered from 0
    i_release : it is done with

    Raises
    ------
    ValueError
        If `length` is not 1 to 65535.
    """

    LATENCY = 2

    s_axis_users: Any
    i_constants: data.View
    o_valid: Signal
    o_header: data.View
    o_status: Signal
    i_read: Signal
    i_beat: Signal
    o_beat: Signal
    i_release: Signal

    def __init__(self, *, length: int) -> None:
        if not 1 <= length < 1 << 16:
            raise ValueError(f"length must be 1 to 65535, not {length!r}")
        self._length = length
        self._beats = user_beats(length) - 1
        super().__init__(
            {
                "s_axis_users": In(StreamMaster(bits=USER_BITS)),
                "i_constants": In(USER_CONSTANTS),
                "o_valid": Out(1),
                "o_header": Out(USER),
                "o_status": Out(8),
                "i_read": In(1),
                "i_beat": In(range(max(2, self._beats))),
                "o_beat": Out(USER_BITS),
                "i_release": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.s_axis_users
        begun, ended = Signal(), Signal()
        # One more than there should be: how many too many came does not matter.
        number = Signal(range(self._beats + 2))
        taken, header, vector = Signal(), Signal(), Signal()
        m.d.comb += [
            bus.tready.eq(~ended),
            taken.eq(bus.tvalid & bus.tready),
            header.eq(taken & ~begun),
            vector.eq(taken & begun & (number < self._beats)),
        ]
        m.d.sync += self.o_valid.eq(ended & ~self.i_release)
        with m.If(taken):
            m.d.sync += [begun.eq(~bus.tlast), ended.eq(bus.tlast)]
            with m.If(~begun):
                m.d.sync += [number.eq(0), self.o_header.eq(bus.tdata[: USER.size])]
            with m.Elif(number <= self._beats):
                m.d.sync += number.eq(number + 1)
        with m.If(self.i_release):
            m.d.sync += ended.eq(0)
        m.submodules.beats = beats = Store(rows=self._beats, bits=USER_BITS)
        m.d.comb += [
            beats.i_write.eq(vector),
            beats.i_row.eq(number),
            beats.i_data.eq(bus.tdata),
            beats.i_read.eq(self.i_read),
            beats.i_read_row.eq(self.i_beat),
            self.o_beat.eq(beats.o_data),
        ]
        sound = self._checksum(m, begin=header, vector=vector, last=number == self._beats - 1)
        self._judge(m, header=header, right=number == self._beats, sound=sound)
        return m

    def _checksum(self, m: Module, *, begin: Value, vector: Value, last: Value) -> Value:
        """Whether the bytes of the beats so far have the header's checksum, if they are as many as they should be.

        Sums are of whole beats, zeros behind the last byte; the header's is carried over as many zeros.
        """
        bits = 8 * self._length - USER_BITS * (self._beats - 1)
        word, check = Signal(USER_BITS), Signal(32)
        m.d.comb += word.eq(Mux(last, self.s_axis_users.tdata[:bits], self.s_axis_users.tdata))
        m.submodules.beats_sum = crc32(begin=begin, take=vector, data=word, check=check)
        return (check ^ ONES) == _carried(self.o_header.crc32 ^ ONES, USER_BYTES - bits // 8)

    def _judge(self, m: Module, *, header: Value, right: Value, sound: Value) -> None:
        """The header's part of the status when it comes, the rest once the packet has ended."""
        came: Any = data.View(USER, self.s_axis_users.tdata[: USER.size])
        known, stale = self.i_constants, Signal()
        with m.If(header):
            m.d.sync += stale.eq(
                (came.version != known.version) | (came.scale != known.scale) | (came.zero_point != known.zero_point)
            )
        whole = right & (self.o_header.length == self._length)
        wrong = Mux(whole, Mux(sound, 0, UserStatus.CHECKSUM), UserStatus.WRONG_LENGTH)
        status = Mux(stale, UserStatus.STALE_VERSION, 0) | wrong
        m.d.sync += self.o_status.eq(Mux(self.o_header.kind == UserKind.VECTOR, status, 0))


def after_zeros(state: int, count: int) -> int:
    """A checksum's state of 32 bits, before its last inversion, carried over `count` bytes of zeros."""
    for _ in range(8 * count):
        state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return state


def _carried(state: Value, count: int) -> Value:
    """The hardware of `after_zeros`: every bit is a sum of some of the state's."""
    columns = [after_zeros(1 << k, count) for k in range(32)]
    masks = [sum((column >> place & 1) << k for k, column in enumerate(columns)) for place in range(32)]
    return Cat((state & mask).xor() for mask in masks)
