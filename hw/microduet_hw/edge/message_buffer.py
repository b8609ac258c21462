"""Takes messages in whole, and says whether they may act."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import StreamMaster
from microduet_hw.edge.config import BEAT_BITS, COUNT_BITS, EdgeConfig
from microduet_hw.edge.message import (
    ANSWER,
    HEADER,
    HISTORY_KINDS,
    EdgeStatus,
    Kind,
    is_known,
    message_beats,
    message_elements,
)


def buffer_rows(config: EdgeConfig) -> int:
    """Rows that the longest message fills."""
    entries = [message_beats(config, Kind.CLICK, group) for group in range(len(config.histories))]
    beats = max(*entries, message_beats(config, Kind.STATIC), message_beats(config, Kind.QUERY))
    return -(-beats // config.row_beats)


class MessageBuffer(wiring.Component):
    """Stores a message until its end has come and it was found valid or not: none acts by halves.

    Latency: one cycle from TLAST, or from the last cycle of a wait that is too long, to `o_valid`; `o_row` follows
    `i_row` by `LATENCY` cycle.
    Throughput: a beat per cycle.
    Back-pressure: no beat is taken from a message's end to its release, nor a header without `i_run`.
    Reset: empty.

    A message is a header and as many beats of data as its kind and group ask for. All statuses that apply are set
    together. One of an unknown kind, or for a history or static inputs that the unit does not have, should have no
    elements. Beats behind the last are dropped, up to TLAST. A message's group counts only where it names a history.

    A message that has begun and brings no beat for `config.watchdog` cycles ends with TIMEOUT. What of it comes after
    all, up to its TLAST, is dropped before another one begins, whatever `i_run` says.

    Parameters
    ----------
    config : the unit's configuration

    Members
    -------
    s_axis_items : AXI4-Stream of messages, TLAST with the last beat
    i_version : the unit's model version, looked at when the header comes
    i_run : messages may begin; one that has begun is taken to its end
    o_valid : a message is there, until it is released
    o_header : its `HEADER`
    o_status : 0 if it may act, else the `EdgeStatus` flags that refuse it
    i_row, o_row : a row of its data, `config.row_beats` beats, the first in the lowest bits; undefined if it is refused
    i_release : it is done with
    """

    LATENCY = 1

    s_axis_items: Any
    i_version: Signal
    i_run: Signal
    o_valid: Signal
    o_header: data.View
    o_status: Signal
    i_row: Signal
    o_row: Signal
    i_release: Signal

    def __init__(self, *, config: EdgeConfig) -> None:
        self._config = config
        self._rows = buffer_rows(config)
        self._capacity = self._rows * config.row_beats
        super().__init__(
            {
                "s_axis_items": In(StreamMaster(bits=BEAT_BITS)),
                "i_version": In(32),
                "i_run": In(1),
                "o_valid": Out(1),
                "o_header": Out(HEADER),
                "o_status": Out(ANSWER["status"].shape),
                "i_row": In(range(max(2, self._rows))),
                "o_row": Out(BEAT_BITS * config.row_beats),
                "i_release": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.s_axis_items
        # `late`: the message was given up, and its TLAST is still to come.
        begun, late = Signal(), Signal()
        # A beat more than the longest message's: how many too many came does not matter.
        beats = Signal(range(self._capacity + 2))
        taken = bus.tvalid & bus.tready
        m.d.comb += bus.tready.eq(~self.o_valid & (begun | late | self.i_run))
        expired = self._expired(m, begun & bus.tready & ~bus.tvalid)
        with m.If(taken & late):
            m.d.sync += late.eq(~bus.tlast)
        with m.Elif(taken):
            m.d.sync += [begun.eq(~bus.tlast), self.o_valid.eq(bus.tlast)]
            with m.If(~begun):
                m.d.sync += beats.eq(0)
            with m.Elif(beats <= self._capacity):
                m.d.sync += beats.eq(beats + 1)
        with m.Elif(expired):
            m.d.sync += [begun.eq(0), late.eq(1), self.o_valid.eq(1)]
        with m.If(self.i_release):
            m.d.sync += self.o_valid.eq(0)
        header = taken & ~begun & ~late
        self._judge(m, header=header, beats=beats, late=late)
        self._store(m, begin=header, write=taken & begun)
        return m

    def _expired(self, m: Module, waiting: Value) -> Value:
        """Whether this is the last of as many cycles of waiting as there may be."""
        last = self._config.watchdog - 1
        waited = Signal(range(max(2, last + 1)))
        m.d.sync += waited.eq(Mux(waiting, waited + 1, 0))
        return waiting & (waited == last)

    def _judge(self, m: Module, *, header: Value, beats: Signal, late: Signal) -> None:
        """The header's part of the status when it comes, that of the length from then on."""
        config = self._config
        came = data.View(HEADER, self.s_axis_items.tdata[: HEADER.size])
        known, elements, wanted = Signal(), Signal(COUNT_BITS), Signal.like(beats)
        with m.Switch(came.kind):
            for kind in Kind:
                with m.Case(kind):
                    for group in range(len(config.histories) if kind in HISTORY_KINDS else 1):
                        with m.If((came.group == group) if kind in HISTORY_KINDS else is_known(config, kind)):
                            m.d.comb += [
                                known.eq(1),
                                elements.eq(message_elements(config, kind, group)),
                                wanted.eq(message_beats(config, kind, group)),
                            ]
        length, stale, miscounted, unknown = Signal.like(beats), Signal(), Signal(), Signal()
        with m.If(header):
            m.d.sync += [
                self.o_header.eq(came),
                length.eq(wanted),
                stale.eq(came.version != self.i_version),
                miscounted.eq(came.elements != elements),
                unknown.eq(~known),
            ]
        found = {
            EdgeStatus.STALE_VERSION: stale,
            EdgeStatus.WRONG_COUNT: miscounted,
            EdgeStatus.UNKNOWN: unknown,
            EdgeStatus.TIMEOUT: late,
            # One that was given up is late and not short: its beats may all be coming.
            EdgeStatus.SHORT_PACKET: ~late & (beats < length),
            EdgeStatus.LONG_PACKET: beats > length,
        }
        m.d.comb += [self.o_status[status.bit_length() - 1].eq(given) for status, given in found.items()]

    def _store(self, m: Module, *, begin: Value, write: Value) -> None:
        """Beats side by side in rows."""
        count = self._config.row_beats
        # A memory of one row would have an address of no bits, which Verilog can't write.
        m.submodules.rows = rows = memory.Memory(shape=unsigned(BEAT_BITS * count), depth=max(2, self._rows), init=[])
        port, read = rows.write_port(granularity=BEAT_BITS), rows.read_port()
        row, place = Signal.like(port.addr), Signal(count, init=1)
        with m.If(begin):
            m.d.sync += [row.eq(0), place.eq(1)]
        with m.Elif(write):
            m.d.sync += [row.eq(row + place[-1]), place.eq(place.rotate_left(1))]
        m.d.comb += [
            port.addr.eq(row),
            port.data.eq(Cat(self.s_axis_items.tdata for _ in range(count))),
            port.en.eq(Mux(write, place, 0)),
            read.addr.eq(self.i_row),
            self.o_row.eq(read.data),
        ]
