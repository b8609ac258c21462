"""Parts of the edge unit that act on messages and answer them, with their rules, for proofs."""

import math
from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import data

from microduet_hw.activation import VECTORS
from microduet_hw.edge.answers import RECORD, AnswerSender
from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.dispatcher import Dispatcher
from microduet_hw.edge.memo import MemoRegister
from microduet_hw.edge.message import ANSWER, HEADER, EdgeStatus, Kind
from microduet_hw.edge.payload_coder import BEAT_BYTES, PayloadCoder
from microduet_hw.stack import Stack
from tests.support.contracts import Contract


class DispatcherContract(Contract):
    """`Dispatcher`: a message starts one thing at most, only what its kind asks for, and has one answer after it.

    Beside it stands what the message has started so far. No message is there for more than `PATIENCE` cycles: with
    waits of any length, induction would begin in states that no reset leads to.
    """

    PATIENCE = 16

    def __init__(self, *, statics: bool = True, fault: bool = False) -> None:
        self._statics = statics
        super().__init__(Dispatcher(statics=statics), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        valid, released, kind = ports["i_valid"], ports["o_release"], ports["o_kind"]
        starts = {name: ports[f"o_{name}"] for name in ("history", "static", "query")}
        record = data.View(RECORD, ports["o_records__payload"])
        offered, ready = ports["o_records__valid"], ports["o_records__ready"]
        started, queried = Signal(), Signal()
        start = starts["history"] | starts["static"] | starts["query"]
        with m.If(released):
            m.d.sync += [started.eq(0), queried.eq(0)]
        with m.Elif(start):
            m.d.sync += [started.eq(1), queried.eq(starts["query"])]
        busy = ports["i_history_busy"] | ports["i_static_busy"] | ports["i_query_busy"]
        self._message(m, ports)
        m.d.comb += [
            # A part is busy only with what it was told to do; it may be done in the cycle after.
            Assume(~busy | started),
            Assert(~start | (valid & ~started & (ports["i_status"] == 0))),
            Assert(~started | valid),
            Assert(~queried | started),
            Assert(starts["history"] + starts["static"] + starts["query"] <= 1),
            Assert(~starts["static"] | (kind == Kind.STATIC)),
            Assert(~starts["query"] | ((kind == Kind.QUERY) & ports["i_query_ready"])),
            Assert(~starts["query"] | ports["i_memo_valid"] | (not self._statics)),
            Assert(~(starts["history"] & Value.cast(kind).matches(Kind.STATIC, Kind.QUERY, Kind.FENCE))),
            # One answer, when the message's effect is complete.
            Assert(self.holds(m, valid=offered, ready=ready, payload=ports["o_records__payload"])),
            Assert(ports["o_acted"] == (offered & ready)),
            Assert(released == (offered & ready)),
            Assert(~offered | (valid & ~start)),
            Assert(~offered | (record.payload == queried)),
            Assert(~(offered & queried) | (record.status == 0)),
            Assert(~offered | (ports["i_status"] == 0) | ((record.status == ports["i_status"]) & ~started)),
            *(Cover(released & started & (kind == k)) for k in Kind if k != Kind.FENCE),
            Cover(released & (record.status == EdgeStatus.MEMO_INVALID) & (ports["i_status"] == 0)),
        ]

    def _message(self, m: Module, ports: dict[str, Any]) -> None:
        """A message stands until it is released; one of no known kind has a status."""
        said = Value.cast(ports["i_header"])
        known = data.View(HEADER, said).kind <= max(Kind)
        stands = self.holds(m, valid=ports["i_valid"], ready=ports["o_release"], payload=said)
        same = self.holds(m, valid=ports["i_valid"], ready=ports["o_release"], payload=ports["i_status"])
        age = Signal(range(self.PATIENCE + 1))
        m.d.sync += age.eq(Mux(ports["i_valid"] & ~ports["o_release"], age + 1, 0))
        m.d.comb += [
            Assume((stands & same) | self.fault),
            Assume(known | (ports["i_status"] != 0)),
            Assume(age < self.PATIENCE),
        ]


class _Memo(Contract):
    """`MemoRegister` with an array that sends a result after each vector, and what can be said of it from its ports."""

    def __init__(self, *, stack: Stack, fault: bool = False) -> None:
        self.words, self.results = math.ceil(stack.inputs / stack.lanes), math.ceil(stack.outputs / stack.lanes)
        super().__init__(MemoRegister(stack=stack), fault=fault)

    def watch(self, m: Module, ports: dict[str, Any]) -> tuple[Signal, Signal, Signal, Signal]:
        """Whether inputs changed since the last were sent, are half there, are computed, and have their result."""
        changed, coming, running, done = (Signal(name=name) for name in ("changed", "coming", "running", "done"))
        comes, came_last = ports["i_inputs__valid"], ports["i_inputs__payload"][-1]
        word, last = ports["i_words__valid"], ports["i_words__payload"][-1]
        place, number, owed = Signal(range(self.words + 1)), Signal(range(self.results + 1)), Signal()
        with m.If(ports["o_reserve"]):
            m.d.sync += [changed.eq(0), running.eq(1)]
        with m.If(ports["o_words__valid"] & ports["o_words__payload"][-1]):
            m.d.sync += owed.eq(1)
        with m.If(comes):
            m.d.sync += [changed.eq(1), coming.eq(~came_last), place.eq(Mux(came_last, 0, place + 1))]
        with m.If(word):
            m.d.sync += [number.eq(Mux(last, 0, number + 1)), done.eq(last), owed.eq(~last)]
        with m.If(done & (ports["o_commit"] | changed | comes | ports["i_bad"])):
            m.d.sync += [done.eq(0), running.eq(0)]
        m.d.comb += [
            Assume(~comes | (came_last == (place == self.words - 1))),
            Assume(~word | (owed & (last == (number == self.results - 1)))),
            # Words go out, and a result is owed and there, only between a reservation and its result's end.
            Assert(running | ~(ports["o_words__valid"] | owed | done)),
            Assert(~(owed & (done | ports["o_words__valid"]))),
            Assert(owed | (number == 0)),
            Assert(changed | ~coming),
        ]
        return changed, coming, running, done


class MemoContract(_Memo):
    """`MemoRegister`: its value changes only by a commit, never while held, never to what is overtaken.

    No wait is longer than `PATIENCE` cycles, for the induction's sake.
    """

    PATIENCE = 12

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        changed, coming, running, done = self.watch(m, ports)
        value = Cat(ports["o_values"], ports["o_tag"], ports["o_valid"])
        before, committed, fresh, overtaken = Signal(value.shape()), Signal(), Signal(init=1), Signal()
        m.d.sync += [before.eq(value), committed.eq(ports["o_commit"] & ~self.fault), fresh.eq(0)]
        comes, hold, bad, commit = (ports[name] for name in ("i_inputs__valid", "i_hold", "i_bad", "o_commit"))
        quiet = ~changed & ~comes
        with m.If(done & ~quiet):
            m.d.sync += overtaken.eq(1)
        age, held = Signal(range(self.PATIENCE + 1)), Signal(range(self.PATIENCE + 1))
        m.d.sync += [
            age.eq(Mux(ports["o_updating"] & ~ports["o_reserve"], age + 1, 0)),
            held.eq(Mux(hold, held + 1, 0)),
        ]
        m.d.comb += [
            Assume((age < self.PATIENCE) & (held < self.PATIENCE)),
            Assert((value == before) | committed | fresh),
            Assert(~commit | ~(hold | bad | comes | changed)),
            Assert(commit == (done & quiet & ~hold & ~bad)),
            Assert(ports["o_reserve"] == (changed & ~coming & ~running & ports["i_space"] & ~comes)),
            Assert(ports["o_updating"] == (changed | running)),
            Cover(commit & overtaken),
            Cover(done & quiet & hold & bad),
        ]


class MemoValues(_Memo):
    """`MemoRegister`: what is sent are the latest inputs, and the value is their result, under their tag."""

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        changed, _, running, _ = self.watch(m, ports)
        bits = len(ports["i_inputs__payload"]) - 1
        inputs = Array(Signal(bits, name=f"input_{k}") for k in range(self.words))
        results = [Signal(bits, name=f"came_{k}") for k in range(self.results)]
        filled, sent = Signal(range(self.words + 1)), Signal(range(self.words + 1))
        tag, value, value_tag, valid = Signal(16), Signal(len(ports["o_values"])), Signal(16), Signal()
        with m.If(ports["i_inputs__valid"]):
            last = ports["i_inputs__payload"][-1]
            m.d.sync += [inputs[filled].eq(ports["i_inputs__payload"]), filled.eq(Mux(last, 0, filled + 1))]
            m.d.sync += tag.eq(ports["i_tag"])
        with m.If(ports["o_words__valid"]):
            m.d.sync += sent.eq(Mux(sent == self.words - 1, 0, sent + 1))
        with m.If(ports["i_words__valid"]):
            # The last one comes in at the end, so each ends in its place.
            m.d.sync += [a.eq(b) for a, b in zip(results, [*results[1:], ports["i_words__payload"]], strict=True)]
        with m.If(ports["o_commit"]):
            m.d.sync += [value.eq(Cat(*results)), value_tag.eq(tag), valid.eq(1)]
        word = ports["o_words__payload"]
        m.d.comb += [
            Assert(~ports["o_words__valid"] | (word[-1] == (sent == self.words - 1))),
            # Words of inputs that change meanwhile may be torn.
            Assert(~(ports["o_words__valid"] & ~changed) | (word[:-1] == (inputs[sent] ^ self.fault))),
            Assert(~ports["o_words__valid"] | running),
            Assert(ports["o_valid"] == valid),
            Assert(~valid | ((ports["o_values"] == value) & (ports["o_tag"] == value_tag))),
            Cover(ports["o_commit"] & valid),
        ]


class _NumberCoder(PayloadCoder):
    """A `PayloadCoder` whose codes have so many bytes, and in a beat its number and that of the payload: what codes are
    is beyond a solver, and the benches know."""

    def __init__(self, *, length: int, lanes: int, coded: int) -> None:
        super().__init__(length=length, lanes=lanes)
        self._coded = coded

    def elaborate(self, platform: object) -> Module:
        m = Module()
        came, payloads = Signal(range(self._words + 1)), Signal(8)
        m.d.comb += [
            self.i_words.ready.eq(came != self._words),
            self.o_length.eq(Mux(self.o_done, self._coded, 0)),
        ]
        with m.If(self.i_words.valid & self.i_words.ready):
            m.d.sync += [came.eq(came + 1), self.o_done.eq(came == self._words - 1)]
        m.d.sync += self.o_beat.eq(Cat(self.i_beat[:1], payloads))
        with m.If(self.i_release):
            m.d.sync += [came.eq(0), self.o_done.eq(0), payloads.eq(payloads + 1)]
        return m


class _NumberSender(AnswerSender):
    """An `AnswerSender` with a `_NumberCoder`."""

    def __init__(self, *, config: EdgeConfig, coded: int) -> None:
        super().__init__(config=config)
        self._coder = _NumberCoder(length=config.payload_bytes, lanes=config.row_elements, coded=coded)


class AnswerContract(Contract):
    """`AnswerSender`: a beat stands until it is taken, and answers come in order, each whole.

    Records are numbered by their tags, and words of payloads in their bits, so that order shows. Codes have `coded`
    bytes, or are never shorter.
    """

    def __init__(self, *, config: EdgeConfig, coded: int = 0, fault: bool = False) -> None:
        self._words, self._coded = math.ceil(config.payload_bytes / config.row_elements), coded
        super().__init__(_NumberSender(config=config, coded=coded), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        bus = {name.removeprefix("m_axis_results__"): value for name, value in ports.items()}
        valid, ready, beat, last = (bus[name] for name in ("tvalid", "tready", "tdata", "tlast"))
        self._produced(m, ports)
        payload, place, payloads = Signal(), Signal(range(self._words + 1)), Signal(8)
        header = data.View(ANSWER, beat[: ANSWER.size])
        answers, words, constants = Signal(8), Signal(8), Signal.like(ports["i_constants"])
        m.d.sync += constants.eq(ports["i_constants"])
        began = Signal()
        m.d.sync += began.eq(1)
        with m.If(valid & ready):
            m.d.sync += [payload.eq(~last), place.eq(Mux(payload & ~last, place + 1, 0))]
            m.d.sync += [answers.eq(answers + last), words.eq(words + payload)]
            m.d.sync += payloads.eq(payloads + (payload & last))
        due, beats = words, self._words
        if self._coded:
            due, beats = Cat(place[:1], payloads), math.ceil(self._coded / BEAT_BYTES)
        m.d.comb += [
            # A header says what the constants are.
            Assume((constants == ports["i_constants"]) | ~began | self.fault),
            Assert(self.holds(m, valid=valid, ready=ready, payload=Cat(beat, last))),
            Assert(ports["o_sent"] == (valid & ready & last)),
            Assert(~valid | payload | (header.tag == answers)),
            Assert(~valid | payload | (last == (header.length == 0))),
            Assert(~valid | payload | (header.coded == Mux(header.length == 0, 0, self._coded))),
            Assert(~(valid & payload) | ((beat == due) & (last == (place == beats - 1)))),
            Assert(~payload | valid),
            Cover((answers == 2) & payload & ready),
            Cover((payloads == 1) & payload & ready),
            Cover(valid & ~ready & ~payload & (answers == 1)),
        ]

    def _produced(self, m: Module, ports: dict[str, Any]) -> None:
        """Records and payloads in their order; a payload has a place before its first word."""
        record = data.View(RECORD, ports["i_records__payload"])
        records, words = Signal(8), Signal(8)
        place, owed = Signal(range(self._words + 1)), Signal(range(VECTORS * self._words + 1))
        word, word_last = ports["i_words__payload"][:-1], ports["i_words__payload"][-1]
        comes, reserve = ports["i_words__valid"], ports["i_reserve"]
        m.d.sync += [
            records.eq(records + (ports["i_records__valid"] & ports["i_records__ready"])),
            words.eq(words + comes),
            owed.eq(owed + Mux(reserve, self._words, 0) - comes),
        ]
        with m.If(comes):
            m.d.sync += place.eq(Mux(word_last, 0, place + 1))
        m.d.comb += [
            Assume(record.tag == records),
            Assume(~reserve | ports["o_space"]),
            Assume(~comes | ((owed != 0) & (word == words) & (word_last == (place == self._words - 1)))),
        ]
