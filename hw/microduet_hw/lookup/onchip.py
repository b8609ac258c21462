"""A bank of tables on the chip: the same face as the reader of a memory channel."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import AXI_BYTES, CHECK_BITS, EngineConfig
from microduet_hw.lookup.collector import zero_row
from microduet_hw.lookup.geometry import QUEUE_DEPTH, source_plan
from microduet_hw.lookup.issuer import Placed
from microduet_hw.lookup.layouts import CHECK_FLAG, bank_write_layout, lookup_layout, row_layout
from microduet_hw.lookup.progress import constant, count_lookups
from microduet_hw.lookup.queue import Queue
from microduet_hw.lookup.ram import ram
from microduet_hw.lookup.row_check import word_seed, word_sum
from microduet_hw.status import Status

BEAT_LOG2 = AXI_BYTES.bit_length() - 1


class OnChipBank(wiring.Component):
    """Looks rows up in a memory of its own.

    Latency: `LATENCY` cycles from a lookup to the first beat of its row; a cycle more where rows are checked.
    Throughput: one beat per cycle.
    Back-pressure: none but that of the queue.
    Reset: nothing in flight; contents stay.

    An index that the bank does not hold delivers zeros, as in `ChannelReader`. Words are as wide as the widest beat;
    word k stands for bytes 32 k .. 32 k + 31 of the address space. Reading a word while it is written gives its old
    contents.

    Where rows are checked (`config.row_check`), every word is kept with its check word, and a beat whose word is not
    that of its place is zeros with ROW_CHECK.

    Parameters
    ----------
    config : the engine's configuration
    source : number of the bank's source

    Members
    -------
    lookups : stream of lookups, parts in the order of their features, item by item
    o_room : two more lookups fit
    rows : stream of the rows' beats, always ready
    i_write : stream of words to write, always ready

    Raises
    ------
    ValueError
        As `geometry.source_plan`.
    """

    LATENCY = Queue.LATENCY + 3

    lookups: stream.Interface
    o_room: Signal
    rows: stream.Interface
    i_write: stream.Interface

    def __init__(self, *, config: EngineConfig, source: int) -> None:
        self._plan = source_plan(config, source)
        self._zero = zero_row(config, self._plan)
        self._checked = config.row_check
        super().__init__(
            {
                "lookups": In(stream.Signature(lookup_layout())),
                "o_room": Out(1),
                "rows": Out(stream.Signature(row_layout(self._plan), always_ready=True)),
                "i_write": In(stream.Signature(bank_write_layout(checked=config.row_check), always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        m.submodules.waiting = waiting = Queue(shape=lookup_layout(), depth=QUEUE_DEPTH)
        wiring.connect(m, wiring.flipped(self.lookups), waiting.i)
        lookup, due, done = waiting.o.p, waiting.o.valid, Signal()
        beat = Signal(range(max(2, plan.beats)))
        progress = count_lookups(m, plan, done, name="row")
        placed = Placed(m, plan, progress, lookup.index)
        final = constant(m, progress, [part.beats - 1 for part in plan.parts], name="final")
        m.d.comb += [self.o_room.eq(waiting.o_room), done.eq(due & (beat == final)), waiting.o.ready.eq(beat == final)]
        with m.If(due):
            m.d.mem += beat.eq(Mux(done, 0, beat + 1))
        address = Signal(range(max(2, plan.words)), reset_less=True)
        stages = [Signal(row_layout(plan), reset_less=True, name=f"row_{k}") for k in range(3)]
        valid, zero, absent = Signal(3), Signal(3, reset_less=True), Signal(3, reset_less=True)
        m.d.mem += valid.eq((valid << 1) | due)
        with m.If(due):
            here = placed.here & ~lookup.bad
            ranged = done & ~lookup.bad & ~placed.in_table
            m.d.mem += [
                address.eq((placed.address >> BEAT_LOG2) + beat),
                stages[0].part.eq(progress.part),
                stages[0].beat.eq(beat),
                stages[0].first.eq(progress.first),
                stages[0].last.eq(progress.last),
                stages[0].end.eq(progress.end & done),
                stages[0].flags.eq(Mux(ranged, Status.INDEX_RANGE.value, 0)),
                zero[0].eq(~here),
                absent[0].eq(~here & ~lookup.bad & placed.in_table),
            ]
        m.d.mem += [zero[1:].eq(zero), absent[1:].eq(absent)]
        kept = Signal(plan.width + self._checked * CHECK_BITS, name="word")
        word = kept[CHECK_BITS:] if self._checked else kept
        self._memory(m, read=valid[0], address=address, word=kept)
        for k in (1, 2):
            with m.If(valid[k - 1]):
                m.d.mem += stages[k].eq(stages[k - 1])
        with m.If(valid[1]):
            zeros: Value = Const(self._zero, plan.width)
            if plan.shared:
                m.d.mem += stages[2].absent.eq(absent[1])
            else:
                zeros = Mux(absent[1], 0, zeros)
            m.d.mem += stages[2].data.eq(Mux(zero[1], zeros, word))
        if self._checked:
            self._check(m, valid, address=address, kept=kept, row=stages[2], unread=zero[2])
        else:
            m.d.comb += [self.rows.valid.eq(valid[2]), self.rows.payload.eq(stages[2])]
        return m

    def _check(self, m: Module, valid: Signal, *, address: Signal, kept: Signal, row: data.View, unread: Value) -> None:
        """A cycle more, behind the sum of a word's bits: what is not the word of its place becomes zeros."""
        seed, differs = Signal(CHECK_BITS, reset_less=True), Signal(CHECK_BITS, reset_less=True)
        there, passed = Signal(), Signal(row_layout(self._plan), reset_less=True)
        m.d.mem += there.eq(valid[2])
        with m.If(valid[0]):
            m.d.mem += seed.eq(word_seed(address, self._plan.source))
        with m.If(valid[1]):
            m.d.mem += differs.eq(word_sum(kept[CHECK_BITS:]) ^ kept[:CHECK_BITS] ^ seed)
        with m.If(valid[2]):
            m.d.mem += passed.eq(row)
            with m.If((differs != 0) & ~unread):
                m.d.mem += [passed.data.eq(self._zero), passed.flags.eq(row.flags | CHECK_FLAG)]
        m.d.comb += [self.rows.valid.eq(there), self.rows.payload.eq(passed)]

    def _memory(self, m: Module, *, read: Value, address: Signal, word: Signal) -> None:
        write, row = Signal(), Signal.like(address)
        m.d.comb += [write.eq(self.i_write.valid & (self.i_write.p.row < self._plan.words)), row.eq(self.i_write.p.row)]
        m.submodules.contents = ram(
            depth=self._plan.words,
            domain="mem",
            write=write,
            write_address=row,
            write_data=self.i_write.p.data[: len(word)],
            read=read,
            read_address=address,
            read_data=word,
        )
