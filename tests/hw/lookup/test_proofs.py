"""The streams of the memory side keep the stream rules, whatever their neighbours do."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Cover, DomainRenamer, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.intake import PacketIntake
from microduet_hw.lookup.joiner import Joiner
from microduet_hw.lookup.layouts import LOOKUP_FLAGS
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.reader import ChannelReader
from microduet_hw.lookup.sender import VectorSender
from tests.support.formal import prove
from tests.support.lookups import HBM, Table, lookup_config, replicas


class Counted(wiring.Component):
    """A queue whose input is numbered: what comes out must be the next number."""

    i: stream.Interface
    o: stream.Interface

    DEPTH = 4

    def __init__(self):
        super().__init__({"i": In(stream.Signature(4)), "o": Out(stream.Signature(4))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(shape=4, depth=self.DEPTH)
        wiring.connect(m, wiring.flipped(self.i), queue.i)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        sent, due = Signal(4), Signal(4)
        m.d.comb += Assume(~self.i.valid | (self.i.payload == sent))
        m.d.comb += Assert(~self.o.valid | (self.o.payload == due))
        m.d.comb += Assert((sent - due)[:4] <= self.DEPTH + 1)
        m.d.comb += Assert(~queue.o_room | self.i.ready)
        with m.If(self.i.valid & self.i.ready):
            m.d.mem += sent.eq(sent + 1)
        with m.If(self.o.valid & self.o.ready):
            m.d.mem += due.eq(due + 1)
        return m


class Sending(wiring.Component):
    """A sender whose vectors come and go in one clock, which tells the rules of its header from the crossing."""

    o_header: stream.Interface

    def __init__(self, *, words):
        self._words = words
        super().__init__({"o_header": VectorSender(slots=2, words=words).signature.members["o_header"], "flip": In(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.sender = sender = VectorSender(slots=2, words=self._words)
        wiring.connect(m, sender.o_header, wiring.flipped(self.o_header))
        full, space, gap = Signal(2), Signal(), Signal(range(self._words + 1))
        m.d.sync += [full.eq(full ^ self.flip), space.eq(~space)]
        m.d.comb += [sender.i_full.eq(full), sender.i_space.eq(space)]
        # A vector is sent without a gap: as many fetches in a row as it has words, the first with its reservation.
        m.d.comb += Assert(sender.o_fetch == (sender.o_reserve | (gap != 0)))
        m.d.comb += Assert(~sender.o_reserve | ((gap == 0) & space))
        with m.If(sender.o_reserve):
            m.d.sync += gap.eq(self._words - 1)
        with m.Elif(gap != 0):
            m.d.sync += gap.eq(gap - 1)
        return m


class Taking(wiring.Component):
    """An intake behind a packet stream that keeps the rules of AXI: what is offered stays.

    However long items take, no more of them begin than the limit allows. An item begins with the first beat of a
    packet, whatever became of the one before, and none that could end waits longer than the watchdog for a host.
    """

    LIMIT, WATCHDOG = 2, 2

    o_beats: stream.Interface

    def __init__(self, *, beats):
        self._beats = beats
        self._intake = PacketIntake(beats=beats, watchdog=self.WATCHDOG)
        members = {name: In(1) for name in ("tvalid", "tlast", "i_run", "i_free", "i_dealt")}
        super().__init__({"o_beats": self._intake.signature.members["o_beats"], **members})

    def elaborate(self, platform):
        m = Module()
        m.submodules.intake = intake = self._intake
        wiring.connect(m, intake.o_beats, wiring.flipped(self.o_beats))
        port, stalled, last = intake.s_axis_items, Signal(), Signal()
        m.d.comb += [getattr(intake, name).eq(getattr(self, name)) for name in ("i_run", "i_free", "i_dealt")]
        m.d.comb += [port.tvalid.eq(self.tvalid), port.tlast.eq(self.tlast)]
        m.d.mem += [stalled.eq(port.tvalid & ~port.tready), last.eq(port.tlast)]
        m.d.comb += Assume(~stalled | (port.tvalid & (port.tlast == last)))
        started, running = Signal(8), Signal()
        m.d.comb += [intake.i_limit.eq(self.LIMIT), Assert(started <= self.LIMIT)]
        m.d.mem += [
            running.eq(self.i_run),
            started.eq(Mux(self.i_run & ~running, 0, started) + intake.o_start),
        ]
        middle, begun, silent = Signal(), Signal(), Signal(8)
        could_end = begun & ~port.tvalid & intake.o_beats.ready & intake.i_dealt
        m.d.mem += [
            begun.eq((begun | intake.o_start) & ~intake.o_packet.valid),
            silent.eq(Mux(could_end, silent + 1, 0)),
        ]
        with m.If(port.tvalid & port.tready):
            m.d.mem += middle.eq(~port.tlast)
        m.d.comb += [
            Assert(~intake.o_start | ~middle),
            Assert(silent <= self.WATCHDOG + self._beats + 1),
            Cover(intake.o_packet.valid & intake.o_packet.p.flags[2] & (started == 2)),
        ]
        # A slot does not go away until it is used.
        free = Signal()
        m.d.mem += free.eq(self.i_free & ~intake.o_start)
        m.d.comb += Assume(~free | self.i_free)
        return m


class Reading(wiring.Component):
    """A reader behind a memory that answers in any order, at any time or never, in part, twice or what nobody asked.

    `row_check` : rows end in check words, and any word may come as one
    """

    IDS, WATCHDOG, PATIENCE = 2, 3, 9

    lookups: stream.Interface

    def __init__(self, *, row_check=False):
        limits = {"outstanding": self.IDS, "watchdog": self.WATCHDOG}
        config = lookup_config([Table(rows=20)], [HBM], row_check=row_check, **limits)
        self._patience = self.PATIENCE + row_check
        self._reader = ChannelReader(config=config, source=0)
        members = {
            "arready": In(1),
            "rvalid": In(1),
            "rid": In(2),
            "rresp": In(2),
            "rlast": In(1),
            "word": In(16),
            "data": In(16),
        }
        super().__init__({"lookups": self._reader.signature.members["lookups"], **members})

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = self._reader
        axi = reader.m_axi
        wiring.connect(m, wiring.flipped(self.lookups), reader.lookups)
        m.d.comb += [
            getattr(axi, name).eq(getattr(self, name)) for name in ("arready", "rvalid", "rid", "rresp", "rlast")
        ]
        m.d.comb += axi.rdata.eq(Cat(self.data, Const(0, len(axi.rdata) - 32), self.word))
        asked, request, stalled = Signal(self.IDS), Cat(axi.araddr, axi.arid, axi.arlen), Signal()
        held, waiting, silent = Signal(len(request)), Signal(8), Signal(8)
        read = axi.arvalid & axi.arready
        m.d.mem += [
            asked.eq((asked & ~Mux(self.rvalid & self.rlast, 1 << self.rid, 0)) | Mux(read, 1 << axi.arid[0], 0)),
            stalled.eq(axi.arvalid & ~axi.arready),
            held.eq(request),
            waiting.eq(waiting + (self.lookups.valid & self.lookups.ready) - reader.rows.valid),
            silent.eq(Mux((waiting == 0) | reader.rows.valid, 0, silent + 1)),
        ]
        m.d.comb += [
            Assert(~stalled | (axi.arvalid & (request == held))),
            Assert(~read | ~asked.bit_select(axi.arid[0], 1)),  # an ID in flight is not used
            Assert(~reader.rows.valid | (waiting != 0)),  # no row without a lookup
            Assert(silent < self._patience),  # it never hangs
            Cover(silent == 2 * self.WATCHDOG - 1),
            Cover(reader.rows.valid & (reader.rows.p.flags == 0) & (reader.rows.p.data != 0)),
        ]
        return m


class Joining(wiring.Component):
    """A joiner of partners that send numbered beats whenever they like, as far ahead as items are in flight.

    Its streams can't be stopped and so keep the stream rules. There is one clock, which a proof takes less long for.

    Parameters
    ----------
    partners : how many
    ahead : beats that a partner sends before the first of them has left
    """

    SLOTS, DEPTH = 4, 13

    def __init__(self, *, partners, ahead=SLOTS):
        self._ahead = ahead
        table = Table(rows=2, dim=1, lookups=partners, places=replicas(2, 1, dict.fromkeys(range(partners), 1)))
        config = lookup_config([table], [HBM] * partners, slots=self.SLOTS)
        plans = tuple(source_plan(config, number) for number in range(partners))
        self._joiner, self._partners = Joiner(config=config, plans=plans), partners
        super().__init__({"send": In(partners), "flags": In(LOOKUP_FLAGS).array(partners)})

    def elaborate(self, platform):
        m = Module()
        joiner = self._joiner
        m.submodules.joiner = DomainRenamer({"mem": "sync"})(joiner)
        due = Signal(5)
        sums = [getattr(joiner, f"i_sums_{number}") for number in range(self._partners)]
        for number, (stream_of, flags) in enumerate(zip(sums, self.flags, strict=True)):
            sent = Signal(5, name=f"sent_{number}")
            ahead = (sent - due)[:5]
            m.d.comb += [
                stream_of.valid.eq(self.send[number]),
                stream_of.p.data.eq(sent << number),
                stream_of.p.flags.eq(flags),
                stream_of.p.absent.eq(sent[0] if number else sent[1]),
                Assume(~self.send[number] | (ahead < self._ahead)),
                Assert(~joiner.o.valid | (ahead != 0)),  # no sum before its last part
                # A flag that is never given does not come out.
                Assume(~flags[0]),
                Assert(~joiner.o.valid | ~joiner.o.p.flags[0]),
            ]
            m.d.sync += sent.eq(sent + self.send[number])
        total = sum(due << number for number in range(self._partners))
        absent = due[:2].all()
        m.d.comb += [
            Assert(~joiner.o.valid | (joiner.o.p.data == Mux(absent, 0, total))),  # each beat once, in order
            Cover(joiner.o.valid & (due == self.SLOTS)),
        ]
        m.d.sync += due.eq(due + joiner.o.valid)
        return m


def test_queue_keeps_order_and_loses_nothing():
    # In one clock, so that each of these is a whole cycle.
    proof = prove(DomainRenamer({"mem": "sync"})(Counted()), depth=14)
    assert proof.passed, str(proof)


@pytest.mark.parametrize("row_check", [False, True])
def test_reader_keeps_the_rules_of_axi_and_never_hangs(row_check):
    proof = prove(Reading(row_check=row_check), depth=17, domains={"lookups": "mem"})
    assert proof.passed, str(proof)


@pytest.mark.parametrize("row_check", [False, True])
def test_reader_delivers_rows_and_gives_reads_up(row_check):
    proof = prove(Reading(row_check=row_check), mode="cover", depth=17, domains={"lookups": "mem"})
    assert proof.passed, str(proof)


@pytest.mark.parametrize("partners", [2, pytest.param(3, marks=pytest.mark.nightly)])
def test_joiner_adds_every_beat_once_and_never_overflows(partners):
    proof = prove(Joining(partners=partners), depth=Joining.DEPTH)
    assert proof.passed, str(proof)


@pytest.mark.nightly
def test_joiner_relies_on_the_items_in_flight():
    assert not prove(Joining(partners=2, ahead=Joining.SLOTS + 2), depth=Joining.DEPTH)


def test_joiner_passes_beats_on():
    proof = prove(Joining(partners=2), mode="cover", depth=Joining.DEPTH)
    assert proof.passed, str(proof)


def test_intake_gives_a_packet_up_and_begins_another():
    proof = prove(Taking(beats=2), mode="cover", depth=16, domains={"o_beats": "mem"})
    assert proof.passed, str(proof)


@pytest.mark.parametrize(
    ("component", "domains"),
    [
        (lambda: Taking(beats=1), {"o_beats": "mem"}),
        (lambda: Taking(beats=2), {"o_beats": "mem"}),
        (lambda: Sending(words=1), {}),
        (lambda: Sending(words=3), {}),
    ],
    ids=["packet_intake_1", "packet_intake_2", "vector_sender_1", "vector_sender_3"],
)
def test_streams_keep_the_rules(component, domains):
    proof = prove(component(), depth=14, domains=domains)
    assert proof.passed, str(proof)
