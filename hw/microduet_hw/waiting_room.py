"""Where items wait for their query's user: a ring of vectors per slot, emptied in turn, and nobody in another's way."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from microduet_hw.activation import word_layout
from microduet_hw.config import Frozen
from microduet_hw.lookup.bits import mask
from microduet_hw.status import HEADER
from microduet_hw.store import Store
from microduet_hw.user_slots import PLACE

HEADERS = 32
"""Items whose headers may be ahead of their vectors."""

USER_HEADER = data.StructLayout({"item": HEADER, "user_status": 8})
"""What goes with a vector whose query's user is known: the item's header and `UserStatus` flags."""


class WaitingRoomShape(Frozen, frozen=True, kw_only=True):
    """Sizes of a waiting room.

    Parameters
    ----------
    slots : rings, at most 64
    waiting : vectors of a ring, a power of two of at least 2
    words, bits : words of a vector, bits of a word
    """

    slots: int
    waiting: int
    words: int
    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.slots <= 64:
            raise ValueError(f"slots must be 1 to 64, not {self.slots!r}")
        if self.waiting < 2 or self.waiting & (self.waiting - 1):
            raise ValueError(f"waiting must be a power of two of at least 2, not {self.waiting!r}")
        if self.words < 1 or self.bits < 1:
            raise ValueError(f"words and bits must be at least 1, not {self.words!r} and {self.bits!r}")


class WaitingRoom(wiring.Component):
    """Keeps vectors, slot by slot, until their slot is ready, and then sends them on in their order.

    Slots that are ready are served in turn, a vector at a time.

    Latency: `LATENCY` cycles from a vector's last word to its first one on the other side, if nothing else is there.
    Throughput: a word in and a word out per cycle, without a gap between vectors.
    Back-pressure: towards the producer as `ActivationBuffer`: `o_space` while no ring can overflow, whatever slots the
    vectors are of that have been announced by `i_reserve`. Towards the consumer as `VectorSender`: a vector starts when
    it has room (`i_space`) and the header of the one before has gone.
    Reset: empty.

    Parameters
    ----------
    shape : sizes

    Members
    -------
    i_words, i_reserve, o_space : vectors, as `ActivationBuffer`
    i_headers : stream of `HEADER`s, in the order of the vectors; one is there when its vector's first word comes
    i_ready, i_status : a bit per slot, and its `UserStatus` flags
    o_items : stream of `PLACE`, always taken: a vector of this query has begun to come
    o_waiting : a bit per slot: vectors wait in it
    o_words, o_reserve, i_space : vectors, as `ActivationBuffer` takes them
    o_slot : of the vector that starts, in the cycle of `o_reserve`
    o_header : stream of `USER_HEADER`s, one per vector, offered from the cycle after its start
    """

    LATENCY = 4

    i_words: stream.Interface
    i_reserve: Signal
    o_space: Signal
    i_headers: stream.Interface
    i_ready: Signal
    i_status: data.View
    o_items: stream.Interface
    o_waiting: Signal
    o_words: stream.Interface
    o_reserve: Signal
    i_space: Signal
    o_slot: Signal
    o_header: stream.Interface

    def __init__(self, *, shape: WaitingRoomShape) -> None:
        self._shape = shape
        words = stream.Signature(word_layout(shape.bits), always_ready=True)
        super().__init__(
            {
                "i_words": In(words),
                "i_reserve": In(1),
                "o_space": Out(1),
                "i_headers": In(stream.Signature(HEADER)),
                "i_ready": In(shape.slots),
                "i_status": In(data.ArrayLayout(8, shape.slots)),
                "o_items": Out(stream.Signature(PLACE, always_ready=True)),
                "o_waiting": Out(shape.slots),
                "o_words": Out(words),
                "o_reserve": Out(1),
                "i_space": In(1),
                "o_slot": Out(6),
                "o_header": Out(stream.Signature(USER_HEADER)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self._shape
        depth = shape.words * shape.slots * shape.waiting
        m.submodules.words = words = Store(rows=depth, bits=shape.bits)
        m.submodules.headers = headers = Store(rows=shape.slots * shape.waiting, bits=HEADER.size)
        begun, come, came = self._take(m, words, headers)
        chosen, gone = self._choose(m, begun, come, came)
        self._send(m, words, headers, chosen, gone)
        return m

    def _take(self, m: Module, words: Store, headers: Store) -> tuple[Value, Value, Value]:
        """Write words, a cycle late: their header is there by then. A vector of slot `came` has begun; has come."""
        shape = self._shape
        m.submodules.ahead = ahead = SyncFIFO(width=HEADER.size, depth=HEADERS)
        m.d.comb += [
            ahead.w_data.eq(self.i_headers.payload),
            ahead.w_en.eq(self.i_headers.valid),
            self.i_headers.ready.eq(ahead.w_rdy),
        ]
        valid, word = Signal(), Signal(word_layout(shape.bits), reset_less=True)
        m.d.sync += valid.eq(self.i_words.valid)
        with m.If(self.i_words.valid):
            m.d.sync += word.eq(self.i_words.payload)
        header = data.View(HEADER, ahead.r_data)
        slot = header.query.slot
        tails = Array(Signal(range(shape.waiting), name=f"tail_{k}") for k in range(shape.slots))
        first, row = Signal(init=1), Signal(range(max(2, shape.words * shape.slots)))
        tail, here, come = Signal(range(shape.waiting)), Signal.like(row), Signal()
        m.d.comb += [
            come.eq(valid & word.last),
            tail.eq(tails[slot]),
            here.eq(Mux(first, slot, row)),
            words.i_write.eq(valid),
            words.i_row.eq(Cat(tail, here)),
            words.i_data.eq(word.data),
            headers.i_write.eq(come),
            headers.i_row.eq(Cat(tail, slot)),
            headers.i_data.eq(header),
            ahead.r_en.eq(come),
            self.o_items.valid.eq(valid & first),
            self.o_items.p.slot.eq(slot),
            self.o_items.p.number.eq(header.query.number),
        ]
        with m.If(valid):
            m.d.sync += [first.eq(word.last), row.eq(here + shape.slots)]
        with m.If(come):
            m.d.sync += tails[slot].eq(tail + 1)
        return valid & first, come, slot

    def _choose(self, m: Module, begun: Value, come: Value, came: Value) -> tuple[Signal, Signal]:
        """Count vectors, and choose the slot whose vector starts next: (it, one is chosen)."""
        shape = self._shape
        chosen, there, free = Signal(6), Signal(), Signal()
        reserved = Signal(range(shape.slots * shape.waiting + 1))
        may, waits, take = Signal(shape.slots), Signal(shape.slots), Signal(shape.slots)
        rooms, some = Signal(shape.slots), Signal()
        for slot in range(shape.slots):
            # Vectors that have a place, which is free as soon as it is read, and those that may be chosen.
            held = Signal(range(shape.waiting + 1), name=f"held_{slot}")
            level = Signal(range(shape.waiting + 1), name=f"level_{slot}")
            mine = came == slot
            m.d.sync += held.eq(held + (begun & mine) - (self.o_reserve & (chosen == slot)))
            m.d.sync += level.eq(level + (come & mine) - take[slot])
            m.d.comb += [waits[slot].eq(level != 0), rooms[slot].eq(held + reserved < shape.waiting)]
        following = self._following(m, may, chosen)
        m.d.comb += [
            may.eq(waits & self.i_ready),
            some.eq(may.any()),
            free.eq(~there | self.o_reserve),
            take.eq(mask(shape.slots, following, enable=free & some)),
            self.o_waiting.eq(waits),
            self.o_space.eq(rooms.all()),
        ]
        m.d.sync += reserved.eq(reserved + self.i_reserve - begun)
        with m.If(free):
            m.d.sync += there.eq(some)
            with m.If(some):
                m.d.sync += chosen.eq(following)
        return chosen, there

    def _following(self, m: Module, may: Signal, chosen: Signal) -> Signal:
        """The first slot of `may` behind `chosen`, in a circle."""
        result = Signal(6, name="following")
        behind = Signal.like(may, name="behind")
        m.d.comb += behind.eq(may & ~((mask(self._shape.slots + 1, chosen) << 1) - 1)[: self._shape.slots])
        for candidates in (may, behind):
            for slot in reversed(range(self._shape.slots)):
                with m.If(candidates[slot]):
                    m.d.comb += result.eq(slot)
        return result

    def _send(self, m: Module, words: Store, headers: Store, chosen: Signal, there: Signal) -> None:
        """Read the chosen slot's oldest vector, word by word, and its header."""
        shape = self._shape
        heads = Array(Signal(range(shape.waiting), name=f"head_{k}") for k in range(shape.slots))
        sending, number = Signal(), Signal(range(shape.words + 1))
        slot, head = Signal(6), Signal(range(shape.waiting))
        row = Signal(range(max(2, shape.words * shape.slots)))
        kept, here = Signal.like(head), Signal.like(row)
        offered, status, last = Signal(), Signal(8, reset_less=True), Signal()
        item = Cat(headers.o_data)
        m.d.comb += [
            self.o_reserve.eq(there & ~sending & self.i_space & (~offered | self.o_header.ready)),
            self.o_slot.eq(chosen),
            slot.eq(chosen),
            head.eq(Mux(sending, kept, heads[slot])),
            here.eq(Mux(sending, row, slot)),
            last.eq(number == shape.words - 1),
            words.i_read.eq(self.o_reserve | sending),
            words.i_read_row.eq(Cat(head, here)),
            headers.i_read.eq(self.o_reserve),
            headers.i_read_row.eq(Cat(head, slot)),
            self.o_header.valid.eq(offered),
            self.o_header.payload.eq(Cat(item, status)),
            self.o_words.p.data.eq(words.o_data),
        ]
        m.d.sync += [self.o_words.valid.eq(words.i_read), self.o_words.p.last.eq(last)]
        with m.If(words.i_read):
            m.d.sync += [sending.eq(~last), number.eq(Mux(last, 0, number + 1)), row.eq(here + shape.slots)]
        with m.If(self.o_reserve):
            m.d.sync += [
                kept.eq(head),
                heads[slot].eq(head + 1),
                offered.eq(1),
                status.eq(Array(self.i_status[k] for k in range(shape.slots))[slot]),
            ]
        with m.Elif(self.o_header.ready):
            m.d.sync += offered.eq(0)
