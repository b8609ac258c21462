"""Rows of weights from memory, ahead of use, the same ones over and over."""

import math
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from microduet_hw.axi import BURST_INCR, PAGE_BYTES, SIZE_32_BYTES, ReadMaster
from microduet_hw.config import AXI_BYTES
from microduet_hw.crc import crc32
from microduet_hw.edge.check_ports import StreamCheck
from microduet_hw.edge.message import EdgeStatus, flag

BURST_BEATS = 16
DEPTH = 128
"""Beats that a channel reads ahead: some 450 ns of an LPDDR4X channel, three times its idle latency."""


class WeightChannel(wiring.Component):
    """Reads the beats of one memory channel from address 0 up, then again from 0, as far ahead as it has places.

    Latency: one cycle from a free place for a burst to ARVALID, `RESPONSE_LATENCY` from RVALID to the beat.
    Throughput: a beat per cycle.
    Back-pressure: a burst is asked for when all of it has a place; RREADY is always high.
    Reset: nothing in flight, at address 0.

    A beat of another ID, or that is not due, is dropped.

    Parameters
    ----------
    beats : of one pass
    burst : beats of a read, a power of two; the last of a pass may be shorter
    depth : beats that have places

    Members
    -------
    i_run : reads may begin
    m_axi : AXI4 read port; all reads have one ID, so answers come in their order
    o_beats : stream of 256 bits
    o_error : in this cycle memory answered with SLVERR or DECERR, with a burst of another length than was asked for, or
        with a beat though none was due: what comes from now on may be of another row

    Raises
    ------
    ValueError
        If beats is less than 1 or above 2^24; if burst is no power of two or its reads would cross 4 KiB; if depth is
        less than 4 or two bursts.
    """

    RESPONSE_LATENCY = 2

    i_run: Signal
    m_axi: Any
    o_beats: stream.Interface
    o_error: Signal

    def __init__(self, *, beats: int, burst: int, depth: int) -> None:
        if not 1 <= beats <= 1 << 24:
            raise ValueError(f"beats must be 1 to 2^24, not {beats!r}")
        if burst < 1 or burst & (burst - 1) or burst * AXI_BYTES > PAGE_BYTES:
            raise ValueError(f"burst must be a power of two of at most {PAGE_BYTES // AXI_BYTES}, not {burst!r}")
        if depth < max(4, 2 * burst):
            raise ValueError(f"depth must be at least 4 and two bursts of {burst}, not {depth!r}")
        self._beats, self._burst, self._depth = beats, burst, depth
        super().__init__(
            {
                "i_run": In(1),
                "m_axi": Out(ReadMaster()),
                "o_beats": Out(stream.Signature(8 * AXI_BYTES)),
                "o_error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, bursts = self.m_axi, math.ceil(self._beats / self._burst)
        m.submodules.beats = beats = fifo.SyncFIFOBuffered(width=8 * AXI_BYTES, depth=self._depth)
        number, places = Signal(range(max(2, bursts))), Signal(range(self._depth + 1), init=self._depth)
        last, begins = Signal(), Signal()
        kept, ends = Signal(), Signal()
        due, at = Signal(range(self._depth + 1)), Signal(range(max(2, self._beats)))
        size = Mux(last, self._beats - (bursts - 1) * self._burst, self._burst)
        m.d.comb += [
            last.eq(number == bursts - 1),
            begins.eq(self.i_run & (places >= self._burst) & (~axi.arvalid | axi.arready)),
            axi.arsize.eq(SIZE_32_BYTES),
            axi.arburst.eq(BURST_INCR),
            axi.rready.eq(1),
            beats.w_data.eq(axi.rdata),
            beats.w_en.eq(kept),
            kept.eq(axi.rvalid & (axi.rid == 0) & (due != 0)),
            ends.eq((at[: exact_log2(self._burst)].all()) | (at == self._beats - 1)),
            self.o_error.eq((kept & (axi.rresp[1] | (axi.rlast != ends))) | (axi.rvalid & (axi.rid == 0) & (due == 0))),
            self.o_beats.payload.eq(beats.r_data),
            self.o_beats.valid.eq(beats.r_rdy),
            beats.r_en.eq(self.o_beats.ready),
        ]
        taken = self.o_beats.valid & self.o_beats.ready
        m.d.sync += places.eq(places - Mux(begins, size, 0) + taken)
        m.d.sync += due.eq(due + Mux(axi.arvalid & axi.arready, axi.arlen + 1, 0) - kept)
        with m.If(kept):
            m.d.sync += at.eq(Mux(at == self._beats - 1, 0, at + 1))
        with m.If(begins):
            m.d.sync += [
                axi.arvalid.eq(1),
                axi.araddr.eq(number * (self._burst * AXI_BYTES)),
                axi.arlen.eq(size - 1),
                number.eq(Mux(last, 0, number + 1)),
            ]
        with m.Elif(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        return m


class WeightStream(wiring.Component):
    """Delivers the rows of weights of one vector after the other: each channel carries 32 bytes of every row.

    Latency: as `WeightChannel`; rows are read ahead, so that some wait when a vector comes.
    Throughput: a row per cycle, if memory is as fast.
    Back-pressure: as `WeightChannel`.
    Reset: nothing in flight, at the first row. What memory holds must not change from then on.

    An error response's row is delivered with what came for it, and AXI_ERROR is set; so it is when beats are missing or
    too many, whose rows may be others. If a row is wanted and none comes
    for `watchdog` cycles, TIMEOUT is set, and rows of zeros are delivered from then on, so that nothing hangs.
    Cycles in which `i_run` is low do not count. Both flags stay set until reset.

    If passes are checked, WEIGHT_CHECK is set two cycles after the last row of one whose CRC is not `check.sum`, and
    stays set until `check.again`'s pass was right.

    Parameters
    ----------
    beats : rows of a pass, one beat of every channel each
    channels : memory channels
    watchdog : cycles
    burst, depth : as `WeightChannel`
    checked : whether passes are

    Members
    -------
    m_axi_0 .. : AXI4 read ports
    i_run : reads may begin
    o_rows : stream of rows, channel 0 lowest; whoever takes them says `ready` only while a row is wanted
    o_status : flags of `EdgeStatus`
    check : `StreamCheck`; only if passes are checked

    Raises
    ------
    ValueError
        As `WeightChannel`; if channels or watchdog are less than 1.
    """

    i_run: Signal
    o_rows: stream.Interface
    o_status: Signal
    check: Any

    def __init__(
        self,
        *,
        beats: int,
        channels: int,
        watchdog: int,
        burst: int = BURST_BEATS,
        depth: int = DEPTH,
        checked: bool = False,
    ) -> None:
        if min(channels, watchdog) < 1:
            raise ValueError(f"channels and watchdog must be at least 1, not {channels!r} and {watchdog!r}")
        self._watchdog, self._beats, self._depth, self._checked = watchdog, beats, depth, checked
        self._channels = [WeightChannel(beats=beats, burst=burst, depth=depth) for _ in range(channels)]
        super().__init__(
            {
                **{f"m_axi_{k}": Out(ReadMaster()) for k in range(channels)},
                "i_run": In(1),
                "o_rows": Out(stream.Signature(channels * 8 * AXI_BYTES)),
                "o_status": Out(16),
                **({"check": In(StreamCheck())} if checked else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for k, channel in enumerate(self._channels):
            m.submodules[f"channel_{k}"] = channel
            wiring.connect(m, channel.m_axi, wiring.flipped(getattr(self, f"m_axi_{k}")))
        error, late, waited = Signal(), Signal(), Signal(range(self._watchdog))
        there, taken = Signal(), Signal()
        beats = [channel.o_beats for channel in self._channels]
        wanted, offered, status = self.o_rows.ready, there | late, Mux(error, flag(EdgeStatus.AXI_ERROR), 0)
        if self._checked:
            again, changed = self._check(m, taken=taken, late=late)
            wanted, offered = wanted | again, offered & ~again
            status |= Mux(changed, flag(EdgeStatus.WEIGHT_CHECK), 0)
        m.d.comb += [
            there.eq(Cat(beat.valid for beat in beats).all()),
            taken.eq(there & wanted & ~late),
            self.o_rows.valid.eq(offered),
            self.o_rows.payload.eq(Mux(late, 0, Cat(beat.payload for beat in beats))),
            self.o_status.eq(status | Mux(late, flag(EdgeStatus.TIMEOUT), 0)),
        ]
        # After a timeout no row is taken any more, so the channels stop when their places are used up.
        m.d.comb += [channel.i_run.eq(self.i_run & ~late) for channel in self._channels]
        m.d.comb += [beat.ready.eq(taken) for beat in beats]
        with m.If(Cat(channel.o_error for channel in self._channels).any()):
            m.d.sync += error.eq(1)
        with m.If(there | ~wanted):
            m.d.sync += waited.eq(0)
        with m.Elif(self.i_run):
            m.d.sync += waited.eq(Mux(waited == self._watchdog - 1, 0, waited + 1))
            with m.If(waited == self._watchdog - 1):
                m.d.sync += late.eq(1)
        return m

    def _check(self, m: Module, *, taken: Signal, late: Signal) -> tuple[Value, Signal]:
        """Compare the CRC of every pass; whether rows are read for that alone, and whether a pass was another."""
        port, check, changed = self.check, Signal(32), Signal()
        number, left = Signal(range(max(2, self._beats))), Signal(range(2 + -(-self._depth // self._beats)))
        again, last = left != 0, number == self._beats - 1
        # A CRC that is XORed into the first bits of a row begins anew with it.
        row = self.o_rows.payload ^ Mux(number == 0, check, 0)
        m.submodules.pass_sum = crc32(take=taken, data=row, check=check)
        # When the last row has been folded: was it of the last pass that is read for the check?
        ended, final = Signal(), Signal()
        m.d.sync += [ended.eq(taken & last), final.eq(left == 1)]
        with m.If(taken):
            m.d.sync += number.eq(Mux(last, 0, number + 1))
        with m.If(ended & (final | (check != port.sum))):
            m.d.sync += changed.eq(check != port.sum)
        with m.If(late):
            m.d.sync += left.eq(0)
        with m.Elif(port.again):
            # What was read ahead is as old as it may be: it goes, and a pass more is of now.
            m.d.sync += left.eq(1 + -(-self._depth // self._beats))
        with m.Elif(again & taken & last):
            m.d.sync += left.eq(left - 1)
        m.d.comb += [port.busy.eq(again | (ended & final)), port.changed.eq(changed | late)]
        return again, changed
