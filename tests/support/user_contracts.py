"""What takes users in, holds items up and ranks results, with their rules, for proofs."""

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import data

from microduet_hw.best_list import BestInsertion, best_layout, better_key, entry_layout
from microduet_hw.config import UserPart
from microduet_hw.output_layer import result_layout
from microduet_hw.places import RESULTS
from microduet_hw.rank import RankStage
from microduet_hw.result import BEAT, OWN_RESULT
from microduet_hw.status import HEADER, UserStatus
from microduet_hw.user_buffer import UserBuffer
from microduet_hw.user_packets import USER, USER_CONSTANTS, UserKind
from microduet_hw.waiting_room import USER_HEADER, WaitingRoom, WaitingRoomShape
from tests.support.contracts import Contract


class _ParityBuffer(UserBuffer):
    """A `UserBuffer` whose checksum is a bit: sums of 512 bits are beyond a solver, and the benches know zlib's."""

    def _checksum(self, m: Module, *, begin: Value, vector: Value, last: Value) -> Value:
        sound = Signal()
        with m.If(vector):
            m.d.sync += sound.eq(self.s_axis_users.tdata[0])
        return sound


class UserBufferContract(Contract):
    """`UserBuffer`: a packet is there from `LATENCY` cycles after its end until its release, as it came."""

    LENGTH = 3

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(_ParityBuffer(length=self.LENGTH), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        bus = {name.removeprefix("s_axis_users__"): value for name, value in ports.items()}
        taken, valid, release = bus["tvalid"] & bus["tready"], ports["o_valid"], ports["i_release"]
        begun, beats, ended = Signal(), Signal(4), Signal(range(UserBuffer.LATENCY + 1))
        header, first, stale = Signal(USER), Signal(8 * self.LENGTH), Signal()
        came, known = data.View(USER, bus["tdata"][: USER.size]), data.View(USER_CONSTANTS, ports["i_constants"])
        with m.If(taken):
            m.d.sync += [begun.eq(~bus["tlast"]), beats.eq(Mux(begun, beats + (beats != 15), 0))]
            with m.If(~begun):
                differs = [came[name] != known[name] for name in ("version", "scale", "zero_point")]
                m.d.sync += [header.eq(came), stale.eq(Cat(*differs).any())]
            with m.If(begun & (beats == 0)):
                m.d.sync += first.eq(bus["tdata"])
        with m.If(taken & bus["tlast"]):
            m.d.sync += ended.eq(1)
        with m.Elif(release):
            m.d.sync += ended.eq(0)
        with m.Elif((ended != 0) & (ended != UserBuffer.LATENCY)):
            m.d.sync += ended.eq(ended + 1)
        status, vector = ports["o_status"], header.kind == UserKind.VECTOR
        whole = (beats == 1) & (header.length == self.LENGTH)
        held = Signal.like(status)
        read, again = Signal(), Signal()
        m.d.sync += [held.eq(status), again.eq(valid & ~release), read.eq(ports["i_read"])]
        m.d.comb += [
            Assume(valid | ~release | self.fault),
            Assume(ports["i_beat"] == 0),
            Assert(valid == (ended == UserBuffer.LATENCY)),
            Assert(bus["tready"] == (ended == 0)),
            Assert(~valid | (Value.cast(ports["o_header"]) == Value.cast(header))),
            Assert(~again | (status == held)),
            Assert(~valid | vector | (status == 0)),
            Assert(~(valid & vector) | ((status & UserStatus.STALE_VERSION).any() == stale)),
            Assert(~(valid & vector) | ((status & UserStatus.WRONG_LENGTH).any() == ~whole)),
            Assert(~(valid & vector & whole) | ((status & UserStatus.CHECKSUM).any() == ~first[0])),
            Assert(~(valid & vector & whole & read) | (ports["o_beat"][: 8 * self.LENGTH] == first)),
            Cover(valid & vector & (status == 0)),
            Cover(valid & vector & (status == UserStatus.CHECKSUM)),
            Cover(valid & (beats == 3)),
        ]


class WaitingRoomContract(Contract):
    """`WaitingRoom`: of every slot, vectors leave as they came, none lost and none twice, when the slot is ready.

    Vectors carry numbers that count up in their slot, in their words and in their tags. Headers come with the first
    words.
    """

    SHAPE = WaitingRoomShape(slots=2, waiting=2, words=1, bits=3)

    def __init__(self, *, words: int = 1, fault: bool = False) -> None:
        self._shape = self.SHAPE.replace(words=words)
        super().__init__(WaitingRoom(shape=self._shape), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        shape, bits = self._shape, self._shape.bits
        header = data.View(HEADER, ports["i_headers__payload"])
        sent, word, last = ports["i_words__valid"], ports["i_words__payload"][:bits], ports["i_words__payload"][bits]
        place, slot, now = Signal(range(shape.words + 1)), Signal(), Signal()
        came = Array(Signal(bits, name=f"came_{k}") for k in range(shape.slots))
        owed, first = Signal(range(2 * shape.waiting + 2)), place == 0
        m.d.comb += now.eq(Mux(first, header.query.slot[0], slot))
        m.d.sync += owed.eq(owed + ports["i_reserve"] - (sent & first))
        with m.If(sent):
            m.d.sync += [place.eq(Mux(last, 0, place + 1)), slot.eq(now)]
            with m.If(last):
                m.d.sync += came[now].eq(came[now] + 1)
        ready = Signal.like(ports["i_ready"])
        m.d.sync += ready.eq(ports["i_ready"])
        m.d.comb += [
            Assume(~ports["i_reserve"] | ports["o_space"] | self.fault),
            Assume(~sent | ~first | (owed != 0)),
            Assume(~sent | (last == (place == shape.words - 1))),
            Assume(~sent | (word == came[now])),
            Assume(ports["i_headers__valid"] == (sent & first)),
            Assume(header.query.slot < shape.slots),
            Assume(header.tag[:bits] == came[now]),
            # A slot stays ready until its query's answer has left.
            Assume((ready & ~ports["i_ready"]) == 0),
        ]
        self._leave(m, ports, ready)

    def _leave(self, m: Module, ports: dict[str, Any], ready: Signal) -> None:
        shape, bits = self._shape, self._shape.bits
        gone = Array(Signal(bits, name=f"gone_{k}") for k in range(shape.slots))
        starts, space = ports["o_reserve"], ports["i_space"]
        slot, due, number = Signal(), Signal(range(shape.words + 1)), Signal(bits)
        words, offered = ports["o_words__payload"], ports["o_header__valid"]
        header = data.View(USER_HEADER, ports["o_header__payload"])
        taken = ports["o_header__ready"]
        with m.If(starts):
            m.d.sync += [
                slot.eq(ports["o_slot"]),
                number.eq(gone[ports["o_slot"][0]]),
                gone[ports["o_slot"][0]].eq(gone[ports["o_slot"][0]] + 1),
                due.eq(shape.words),
            ]
        with m.Elif(due != 0):
            m.d.sync += due.eq(due - 1)
        m.d.comb += [
            Assert(~starts | (space & (due <= 1) & (~offered | taken))),
            Assert(~starts | (ready >> ports["o_slot"])[0]),
            Assert(ports["o_words__valid"] == (due != 0)),
            Assert((due == 0) | (words[:bits] == number)),
            Assert((due == 0) | (words[bits] == (due == 1))),
            Assert(~offered | ((header.item.tag[:bits] == number) & (header.item.query.slot == slot))),
            Assert(self.holds(m, valid=offered, ready=taken, payload=ports["o_header__payload"])),
            Cover(starts & (gone[0] == 2)),
            Cover(starts & (gone[0] == 1) & (gone[1] == 1)),
            Cover(~ports["o_space"] & ~ports["i_reserve"]),
        ]


class InsertionContract(Contract):
    """`BestInsertion`: a list in order, with the item in it or not, is a list in order; so every list ever is."""

    TOP_K, LOGIT_BITS = 4, 16

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(BestInsertion(top_k=self.TOP_K, logit_bits=self.LOGIT_BITS), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        layout = best_layout(top_k=self.TOP_K, logit_bits=self.LOGIT_BITS)
        before, after = (data.View(layout, ports[name]) for name in ("i_best", "o_best"))
        new, ranked = data.View(entry_layout(self.LOGIT_BITS), ports["i_new"]), ports["i_ranked"]
        place = [Signal(name=f"at_{k}") for k in range(self.TOP_K + 1)]
        olds, news = ([Value.cast(best.entries[k]) for k in range(self.TOP_K)] for best in (before, after))
        for k, here in enumerate(place):
            with_new = [*olds[:k], Value.cast(new), *olds[k:]][: self.TOP_K]
            same = [
                (found == due) | (after.count <= p) for p, (found, due) in enumerate(zip(news, with_new, strict=True))
            ]
            # In its place it is worse than nothing before it, and better than what is behind it.
            better = [before.count > k - 1, k == 0 or better_key(new) <= better_key(before.entries[k - 1])]
            worse = (before.count <= k) | (
                k < self.TOP_K and better_key(new) > better_key(before.entries[min(k, self.TOP_K - 1)])
            )
            m.d.comb += here.eq(Cat(*same, *([] if k == 0 else better)).all() & worse)
        kept = [(old == found) | (before.count <= k) for k, (old, found) in enumerate(zip(olds, news, strict=True))]
        m.d.comb += [
            Assume(before.count <= self.TOP_K),
            Assume(self._ordered(before) | self.fault),
            Assert(self._ordered(after)),
            Assert(after.count == Mux(ranked & (before.count != self.TOP_K), before.count + 1, before.count)),
            Assert(ranked | Cat(*kept).all()),
            Assert(~ranked | Cat(*place).any()),
            Cover(ranked & (before.count == self.TOP_K) & place[1]),
            Cover(ranked & place[self.TOP_K]),
        ]

    def _ordered(self, best: Any) -> Value:
        pairs = [
            (best.count <= k + 1) | (better_key(best.entries[k]) >= better_key(best.entries[k + 1]))
            for k in range(self.TOP_K - 1)
        ]
        return Cat(*pairs).all()


class RankContract(Contract):
    """`RankStage`: an answer's beats are in order, and what is not among them is no better than the last of `top_k`.

    One item of a query may be marked, by the lowest bit of its score, which nothing else depends on. Headers come with
    their results, items of a slot only until its last one, and then again when the answer is out.
    """

    USER = UserPart(layer=0, elements=1, slots=2, top_k=2)
    LOGIT_BITS = 2

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(RankStage(user=self.USER, logit_bits=self.LOGIT_BITS), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        header = data.View(USER_HEADER, ports["i_headers__payload"])
        result = data.View(result_layout(self.LOGIT_BITS), ports["i_results__payload"])
        comes, slot = ports["i_results__valid"], header.item.query.slot[0]
        places = Signal(range(RESULTS + 1), init=RESULTS)
        m.d.sync += places.eq(places + ports["o_return"] - comes)
        closed, marked = Array(Signal(name=f"closed_{k}") for k in range(2)), Signal(2)
        keys = Array(Signal(32 + self.LOGIT_BITS, name=f"key_{k}") for k in range(2))
        # What is not ranked is not marked; with a fault it may be.
        right = (header.item.status == 0) & (header.user_status == 0)
        mark = result.score[0]
        with m.If(comes):
            m.d.sync += closed[slot].eq(header.item.query.last)
            with m.If(mark):
                m.d.sync += [
                    (marked.bit_select(slot, 1)).eq(1),
                    keys[slot].eq(self._key(header.item.tag, result.logit)),
                ]
        m.d.comb += [
            Assume(~comes | (places != 0)),
            Assume(ports["i_headers__valid"] == comes),
            Assert(ports["i_headers__ready"]),
            # Two bits of what is compared are as good as all, and quicker.
            Assume((header.item.tag[2:] == 0) & (result.score[1:] == 0) & (header.item.query.number == 0)),
            Assume(header.item.query.slot < 2),
            Assume(~comes | ~closed[slot]),
            Assume(~(comes & mark) | ((right | self.fault) & ~marked.bit_select(slot, 1))),
        ]
        self._answers(m, ports, closed=closed, marked=marked, keys=keys)

    def _key(self, tag: Value, logit: Value) -> Value:
        bits = Value.cast(logit)[: self.LOGIT_BITS]
        return Cat(~tag, bits[:-1], ~bits[-1])

    def _answers(self, m: Module, ports: dict[str, Any], *, closed: Array, marked: Signal, keys: Array) -> None:
        top_k = self.USER.top_k
        valid, ready = ports["m_axis_results__tvalid"], ports["m_axis_results__tready"]
        last = ports["m_axis_results__tlast"]
        beat = data.View(BEAT, ports["m_axis_results__tdata"])
        slot, key, ranked = beat.slot[0], Signal(32 + self.LOGIT_BITS), valid & (beat.rank != OWN_RESULT)
        rank, before, seen, found = Signal(3), Signal.like(key), Signal(), Signal()
        m.d.comb += [key.eq(self._key(beat.tag, beat.logit)), found.eq(seen | ((beat.count != 0) & beat.score[0]))]
        ends = ranked & ready & last
        with m.If(ranked & ready):
            m.d.sync += [rank.eq(Mux(last, 0, rank + 1)), before.eq(key), seen.eq(found & ~last)]
        with m.If(ends):
            m.d.sync += [closed[slot].eq(0), marked.bit_select(slot, 1).eq(0)]
        worst = (beat.count == top_k) & (key >= keys[slot])
        m.d.comb += [
            Assert(self.holds(m, valid=valid, ready=ready, payload=Cat(last, ports["m_axis_results__tdata"]))),
            Assert(ports["o_clear__valid"] == ends),
            Assert(~ranked | closed[slot]),
            Assert(~ranked | (beat.rank == rank)),
            Assert(~ranked | (beat.count <= top_k)),
            Assert(~ranked | (last == (rank + 1 >= beat.count))),
            Assert(~ranked | (rank == 0) | (before >= key)),
            Assert(~(ends & marked.bit_select(slot, 1)) | found | worst),
            Cover(ends & (beat.count == top_k) & marked.bit_select(slot, 1) & ~found),
            Cover(ends & (beat.count == top_k) & found),
            Cover(ends & (beat.count == 0)),
            Cover(valid & ready & ~ranked),
        ]
