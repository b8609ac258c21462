"""The reader of one memory channel: lookups in, rows out, an AXI read port."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import BURST_INCR, SIZE_32_BYTES, ReadMaster
from microduet_hw.config import EngineConfig
from microduet_hw.lookup.collector import ReadCollector
from microduet_hw.lookup.geometry import QUEUE_DEPTH, source_plan
from microduet_hw.lookup.issuer import ReadIssuer
from microduet_hw.lookup.layouts import lookup_layout, order_layout, row_layout
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.row_check import RowChecker
from microduet_hw.lookup.spread import queue_depth


class ChannelReader(wiring.Component):
    """Looks rows up in one memory channel; many reads in flight, rows delivered in the order of the lookups.

    Latency: `REQUEST_LATENCY` cycles from a lookup to ARVALID, `RESPONSE_LATENCY` from RVALID to the row's beat.
    Throughput: one read and one beat per cycle.
    Back-pressure: a lookup waits for a free ID; RREADY is always high.
    Reset: nothing in flight.

    Where rows are checked (`config.row_check`), `RESPONSE_LATENCY` is a cycle more, and a row whose check word is not
    that of the row and its address delivers zeros and ROW_CHECK.

    An index outside the rows that the channel holds is not read: zeros are delivered, with INDEX_RANGE if the table has
    no such row. An error response delivers zeros and AXI_ERROR, and so does one with too few or too many beats.
    A read that is not answered within `config.watchdog` cycles of being the oldest delivers zeros and TIMEOUT; its ID
    is used again once the answer has come after all. A beat of an ID without a read in flight is dropped and counted.

    Parameters
    ----------
    config : the engine's configuration
    source : number of the channel's source

    Members
    -------
    lookups : stream of lookups, parts in the order of their features, item by item; marked if tables are spread
    o_room : two more lookups fit
    m_axi : AXI4 read port
    rows : stream of the rows' beats, always ready
    o_reads, o_stalls, o_strays : reads issued; cycles in which a lookup waited; beats that nobody had asked for

    Raises
    ------
    ValueError
        As `geometry.source_plan`.
    """

    REQUEST_LATENCY = Queue.LATENCY + ReadIssuer.LATENCY
    RESPONSE_LATENCY = ReadCollector.LATENCY

    lookups: stream.Interface
    o_room: Signal
    m_axi: Any
    rows: stream.Interface
    o_reads: Signal
    o_stalls: Signal
    o_strays: Signal

    def __init__(self, *, config: EngineConfig, source: int) -> None:
        self._config = config
        self._plan = source_plan(config, source)
        super().__init__(
            {
                "lookups": In(stream.Signature(lookup_layout(marked=self._plan.marked))),
                "o_room": Out(1),
                "m_axi": Out(ReadMaster()),
                "rows": Out(stream.Signature(row_layout(self._plan), always_ready=True)),
                "o_reads": Out(32),
                "o_stalls": Out(32),
                "o_strays": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, plan, axi = self._config, self._plan, self.m_axi
        order_depth = max(4, 1 << (config.outstanding - 1).bit_length())
        depth = queue_depth(config) if plan.marked else QUEUE_DEPTH
        m.submodules.waiting = waiting = Queue(shape=self.lookups.p.shape(), depth=depth)
        m.submodules.issuer = issuer = ReadIssuer(config=config, plan=plan)
        m.submodules.order = order = Queue(
            shape=order_layout(config.outstanding, marked=plan.marked), depth=order_depth
        )
        m.submodules.collector = collector = ReadCollector(config=config, plan=plan)
        wiring.connect(m, wiring.flipped(self.lookups), waiting.i)
        wiring.connect(m, waiting.o, issuer.i)
        wiring.connect(m, issuer.o_order, order.i)
        wiring.connect(m, order.o, collector.i_order)
        wiring.connect(m, collector.o, wiring.flipped(self.rows))
        for name in ("released", "lost", "returned"):
            wiring.connect(m, getattr(collector, f"o_{name}"), getattr(issuer, f"i_{name}"))
        request = issuer.o_requests
        response, asked = self._answers(m, collector)
        known = axi.rid < config.outstanding
        unknown: Value = axi.rvalid & ~known
        if plan.checked:  # in step with the strays that are known behind the check
            unknown, now = Signal(), unknown
            m.d.mem += unknown.eq(now)
        m.d.comb += [
            self.o_room.eq(waiting.o_room),
            issuer.i_idle.eq(~order.o.valid),
            axi.arvalid.eq(request.valid),
            request.ready.eq(axi.arready),
            axi.araddr.eq(request.p.address),
            axi.arid.eq(request.p.id),
            axi.arlen.eq(request.p.length),
            axi.arsize.eq(SIZE_32_BYTES),
            axi.arburst.eq(BURST_INCR),
            axi.rready.eq(1),
            asked.valid.eq(axi.arvalid & axi.arready),
            asked.p.id.eq(axi.arid),
            asked.p.last.eq(axi.arlen),
            response.valid.eq(axi.rvalid & known),
            response.p.data.eq(axi.rdata[: len(response.p.data)]),
            response.p.id.eq(axi.rid),
            response.p.error.eq(axi.rresp[1]),
            response.p.last.eq(axi.rlast),
        ]
        with m.If(axi.arvalid & axi.arready):
            m.d.mem += self.o_reads.eq(self.o_reads + 1)
        with m.If(issuer.o_stalled):
            m.d.mem += self.o_stalls.eq(self.o_stalls + 1)
        with m.If(collector.o_stray | unknown):
            m.d.mem += self.o_strays.eq(self.o_strays + 1)
        return m

    def _answers(self, m: Module, collector: ReadCollector) -> tuple[stream.Interface, stream.Interface]:
        """Where responses and the reads that were taken go: to the collector, past a check if rows have one."""
        if not self._plan.checked:
            return collector.i_responses, collector.i_asked
        m.submodules.checker = checker = RowChecker(
            ids=self._config.outstanding,
            beats=self._plan.read_beats,
            channel=self._config.channels.index(self._plan.source),
        )
        m.d.comb += [
            checker.i_address.eq(self.m_axi.araddr),
            collector.i_responses.valid.eq(checker.o.valid),
            *(
                getattr(collector.i_responses.p, name).eq(getattr(checker.o.p, name))
                for name in ("data", "id", "error", "last", "corrupt")
            ),
        ]
        wiring.connect(m, checker.o_asked, collector.i_asked)
        return checker.i, checker.i_asked
