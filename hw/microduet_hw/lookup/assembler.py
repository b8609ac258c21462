"""Puts vectors together: every source writes its own elements, a whole vector crosses to the engine's clock."""

import dataclasses
import functools
import itertools
import operator
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from microduet_hw.activation import word_layout
from microduet_hw.config import EngineConfig, Precision
from microduet_hw.layout import vector_words
from microduet_hw.lookup.bits import bit, mask
from microduet_hw.lookup.geometry import ITEM_BITS, SourcePlan, dense_beats
from microduet_hw.lookup.layouts import (
    LOOKUP_FLAGS,
    PACKET_FLAGS,
    dense_layout,
    packet_layout,
    row_layout,
)
from microduet_hw.lookup.sender import VectorSender
from microduet_hw.status import HEADER, QUERY, Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Piece:
    """Elements `first` .. `end` - 1 of the vector, as one source writes them: a register per slot."""

    first: int
    end: int
    registers: list[Signal]


class Assembler(wiring.Component):
    """Assembles the vectors of up to `config.vector_slots` items at a time and sends them, oldest first.

    Latency: `ROW_LATENCY` cycle of mem from a beat to its register, `COMPLETE_LATENCY` from the last to `o_complete`;
    from there at most `WORD_LATENCY` cycles of sync to the first word.
    Throughput: a beat of every source per cycle of mem; a word per cycle of sync.
    Back-pressure: none towards the sources: an item begins only while `o_free`.
    Reset: both domains together: no vector.

    The elements of a slot are registers of domain mem. They are read in domain sync while nothing writes them: between
    the flag that says that they are complete and the one that gives them back.

    Parameters
    ----------
    config : the engine's configuration
    plans : the sources, partners as one

    Members
    -------
    o_free : there is a slot for one more item (mem)
    i_start : an item begins, in a cycle of `o_free` (mem)
    i_rows_K : for the K-th of `plans`, a stream of rows and sums, always ready (mem)
    i_dense : beats of dense elements (mem)
    i_packet : an item's tag, query and flags, after its dense elements and before the next item begins (mem)
    o_complete : one pulse per complete vector (mem)
    o_words : words of a vector, one per cycle, in order; each of its sections begins with a word (sync)
    o_header, i_space, o_reserve : as in `VectorSender` (sync)
    """

    ROW_LATENCY = 1
    COMPLETE_LATENCY = 2
    WORD_LATENCY = VectorSender.LATENCY + 1

    o_free: Signal
    i_start: Signal
    i_dense: stream.Interface
    i_packet: stream.Interface
    o_complete: Signal
    o_words: stream.Interface
    o_header: stream.Interface
    i_space: Signal
    o_reserve: Signal

    def __init__(self, *, config: EngineConfig, plans: tuple[SourcePlan, ...]) -> None:
        self._config = config
        self._plans = plans
        self._slots = config.vector_slots
        self._width = config.precision.width
        self._oldest, self._complete = Signal(range(self._slots)), Signal()
        rows = {f"i_rows_{k}": In(stream.Signature(row_layout(p), always_ready=True)) for k, p in enumerate(plans)}
        super().__init__(
            {
                "o_free": Out(1),
                "i_start": In(1),
                **rows,
                "i_dense": In(stream.Signature(dense_layout(config), always_ready=True)),
                "i_packet": In(stream.Signature(packet_layout(), always_ready=True)),
                "o_complete": Out(1),
                "o_words": Out(stream.Signature(word_layout(config.input_lanes * self._width), always_ready=True)),
                "o_header": Out(stream.Signature(HEADER)),
                "i_space": In(1),
                "o_reserve": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spans = vector_words(self._config)
        m.submodules.sender = sender = VectorSender(slots=self._slots, words=len(spans))
        pieces: list[_Piece] = []
        done, flags = self._packets(m, sender.i_headers, pieces)
        for number in range(len(self._plans)):
            pieces += self._rows(m, number, done, flags)
        full = self._collect(m, done, flags, sender.i_headers)
        self._give_back(m, sender.o_taken)
        m.d.comb += [sender.i_full.eq(full), sender.i_space.eq(self.i_space), self.o_reserve.eq(sender.o_reserve)]
        wiring.connect(m, sender.o_header, wiring.flipped(self.o_header))
        valid = Signal()
        word: Any = Signal(self.o_words.p.shape(), reset_less=True)
        m.d.comb += [self.o_words.valid.eq(valid), self.o_words.payload.eq(word)]
        m.d.sync += valid.eq(sender.o_fetch)
        with m.If(sender.o_fetch):
            m.d.sync += word.last.eq(sender.o_last)
            with m.Switch(Cat(sender.o_word, sender.o_slot)):
                for slot, (number, span) in itertools.product(range(self._slots), enumerate(spans)):
                    with m.Case(slot << len(sender.o_word) | number):
                        m.d.sync += word.data.eq(self._word(pieces, slot, span))
        return m

    def _word(self, pieces: list[_Piece], slot: int, span: range) -> Value:
        """A word of the vector in `slot`, its elements `span`: slices of registers, not a shift of the vector."""
        width, start, stop = self._width, span.start, span.stop
        edges = {edge for piece in pieces for edge in (piece.first, piece.end) if start < edge < stop}
        segments: list[Value] = []
        for first, end in itertools.pairwise(sorted({start, stop} | edges)):
            # Several pieces where a table of one lookup is split by rows: all but one of them hold zeros.
            slices = [
                piece.registers[slot][(first - piece.first) * width : (end - piece.first) * width]
                for piece in pieces
                if piece.first <= first and end <= piece.end
            ]
            segments.append(functools.reduce(operator.or_, slices))
        return Cat(segments)

    def _registers(self, name: str, first: int, elements: int) -> _Piece:
        registers = [
            Signal(elements * self._width, reset_less=True, name=f"{name}_slot_{slot}") for slot in range(self._slots)
        ]
        return _Piece(first=first, end=first + elements, registers=registers)

    def _write(self, m: Module, piece: _Piece, slot: Signal, value: Value) -> None:
        with m.Switch(slot):
            for number, register in enumerate(piece.registers):
                with m.Case(number):
                    m.d.mem += register.eq(value)

    def _turn(self, m: Module, slot: Signal) -> None:
        m.d.mem += slot.eq(slot + 1)
        with m.If(slot == self._slots - 1):
            m.d.mem += slot.eq(0)

    def _finish(self, m: Module, finished: Signal, slot: Signal, now: Value) -> None:
        """Note that a source has done its part of the vector in `slot`; the note goes when that is complete."""
        with m.If(now | self._complete):
            done = mask(self._slots, slot, enable=now)
            m.d.mem += finished.eq((finished | done) & ~mask(self._slots, self._oldest, enable=self._complete))

    def _rows(self, m: Module, number: int, done: list[Signal], flags: list[data.View]) -> list[_Piece]:
        """Write the rows of one source into the slot that it is at."""
        rows, plan = getattr(self, f"i_rows_{number}"), self._plans[number]
        slot = Signal(range(self._slots), name=f"slot_{number}")
        finished = Signal(self._slots, name=f"done_{number}")
        found = Signal(data.ArrayLayout(plan.flags, self._slots), name=f"flags_{number}", reset_less=True)
        pieces: list[_Piece] = []
        for k, part in enumerate(plan.parts):
            position = self._config.features[part.part.feature].position + part.part.column_first
            position += self._config.feature_start
            for beat in range(part.beats):
                piece = self._registers(
                    f"row_{plan.source}_{k}_{beat}", position + beat * part.elements, part.beat_elements(beat)
                )
                pieces.append(piece)
                with m.If(rows.valid & (rows.p.part == k) & (rows.p.beat == beat)):
                    self._write(m, piece, slot, rows.p.data)
        so_far = Signal(plan.flags, name=f"so_far_{number}")
        with m.If(rows.valid):
            m.d.mem += so_far.eq(so_far | rows.p.flags)
        with m.If(rows.valid & rows.p.end):
            m.d.mem += [found[slot].eq(so_far | rows.p.flags), so_far.eq(0)]
            self._turn(m, slot)
        self._finish(m, finished, slot, rows.valid & rows.p.end)
        done.append(finished)
        flags.append(found)
        return pieces

    def _packets(self, m: Module, headers: data.View, pieces: list[_Piece]) -> tuple[list[Signal], list[data.View]]:
        """Write dense elements and the headers; what the packet was is the first of the flags."""
        slot = Signal(range(self._slots), name="slot_packet")
        finished = Signal(self._slots, name="done_packet")
        tags = Array(Signal(32, reset_less=True, name=f"tag_slot_{k}") for k in range(self._slots))
        found = Signal(data.ArrayLayout(PACKET_FLAGS, self._slots), name="flags_packet", reset_less=True)
        queries: Any = Signal(data.ArrayLayout(QUERY, self._slots), name="queries", reset_less=True)
        per_beat = ITEM_BITS // self._width
        zero = Const(128 if self._config.precision is Precision.INT8 else 0, self._width).replicate(per_beat)
        for beat in range(dense_beats(self._config)):
            elements = min(per_beat, self._config.dense - beat * per_beat)
            piece = self._registers(f"dense_{beat}", self._config.dense_position + beat * per_beat, elements)
            pieces.append(piece)
            with m.If(self.i_dense.valid & (self.i_dense.p.number == beat)):
                self._write(m, piece, slot, Mux(self.i_dense.p.bad, zero, self.i_dense.p.data))
        with m.If(self.i_packet.valid):
            m.d.mem += [tags[slot].eq(self.i_packet.p.tag), found[slot].eq(self.i_packet.p.flags)]
            if self._config.user:
                m.d.mem += queries[slot].eq(self.i_packet.p.query)
            self._turn(m, slot)
        self._finish(m, finished, slot, self.i_packet.valid)
        for k in range(self._slots):
            m.d.comb += [headers[k].tag.eq(tags[k]), headers[k].query.eq(queries[k])]
        return [finished], [found]

    def _collect(self, m: Module, done: list[Signal], flags: list[data.View], headers: data.View) -> Signal:
        """Flip a slot's flag when all have done their part; slots complete in turn, as every source takes them so."""
        slot, complete, full = self._oldest, self._complete, Signal(self._slots)
        m.d.comb += complete.eq(Cat(bit(finished, slot) for finished in done).all())
        m.d.mem += self.o_complete.eq(complete)
        with m.If(complete):
            m.d.mem += full.eq(full ^ mask(self._slots, slot))
            self._turn(m, slot)
        for k in range(self._slots):
            status = Signal(8, reset_less=True, name=f"status_slot_{k}")
            lookup = functools.reduce(operator.or_, (found[k] for found in flags[1:]), Const(0, LOOKUP_FLAGS))
            with m.If(complete & (slot == k)):
                packet = flags[0][k]
                timeout = Mux(packet[2], Status.TIMEOUT.value, 0)
                named = [(lookup | timeout)[:LOOKUP_FLAGS], packet[:2]]
                if self._config.row_check:
                    named.append(lookup[LOOKUP_FLAGS])
                m.d.mem += status.eq(Cat(*named))
            m.d.comb += headers[k].status.eq(status)
        return full

    def _give_back(self, m: Module, taken: Signal) -> None:
        """Slots are given out in turn, and free again once what was given out was taken."""
        slot, given, returned = Signal(range(self._slots), name="slot_free"), Signal(self._slots), Signal(self._slots)
        m.submodules.returned = FFSynchronizer(taken, returned, o_domain="mem")
        m.d.comb += self.o_free.eq(~bit(given ^ returned, slot))
        with m.If(self.i_start):
            m.d.mem += given.eq(given ^ mask(self._slots, slot))
            self._turn(m, slot)
