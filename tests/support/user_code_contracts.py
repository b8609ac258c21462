"""What codes user vectors and expands them, with its rules, for proofs."""

import math
from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import data

from microduet_hw.code_reader import GROUP_LAYOUT, CodeReader, beat_layout
from microduet_hw.edge.payload_coder import PayloadCoder
from microduet_hw.user_code import GROUP_BYTES, MASK_BYTES, code_groups
from microduet_hw.user_expander import UserExpander
from microduet_hw.user_packets import USER, USER_BYTES, UserKind, user_beats
from tests.support.contracts import Contract


class _NumberReader(CodeReader):
    """A `CodeReader` of groups whose first byte is a number, how long they are, and whose last is all their elements:
    masks are beyond a solver, and the benches know them."""

    def _elements(self, m: Module, coded: Value, *, final: Signal) -> tuple[Value, Value]:
        m.d.comb += self.o.p.elements.eq(coded[-8:])
        return MASK_BYTES + coded[:4], final & coded[4]


class CodeReaderContract(Contract):
    """`CodeReader`: an offer stands, every code gives one vector, whatever its beats are, and nothing ever hangs."""

    LENGTH, SIZE = 70, 64

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(_NumberReader(length=self.LENGTH, size=self.SIZE), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        beat = data.View(beat_layout(self.SIZE), ports["i__payload"])
        group = data.View(GROUP_LAYOUT, ports["o__payload"])
        valid, ready = ports["o__valid"], ports["o__ready"]
        taken, left = ports["i__valid"] & ports["i__ready"], valid & ready
        groups, beats, most = Signal(4), Signal(3), code_groups(self.LENGTH)
        limit = math.ceil(most * GROUP_BYTES / self.SIZE)
        idle = Signal()
        m.d.sync += idle.eq(~valid & ~ports["i__ready"])
        # All of the code's beats have come; all of its vector's groups have left.
        ended, done = Signal(), Signal()
        over = (ended | (taken & beat.last)) & (done | (left & group.final))
        with m.If(taken):
            m.d.sync += [beats.eq(beats + (beats != 7)), ended.eq(beat.last)]
        with m.If(left):
            m.d.sync += [groups.eq(groups + 1), done.eq(group.final)]
        with m.If(over):
            m.d.sync += [groups.eq(0), beats.eq(0), ended.eq(0), done.eq(0)]
        m.d.comb += [
            Assert(self.holds(m, valid=valid, ready=ready, payload=ports["o__payload"])),
            # What is left of a wrong code is dropped in a cycle without either.
            Assert(valid | ports["i__ready"] | ~idle),
            Assert(~(taken & ended)),
            Assert(~(valid & done)),
            Assert(~valid | (beats != 0)),
            Assert(~valid | (group.final == (groups == most - 1 + self.fault))),
            # What is right has all its beats, and no more than its code may have.
            Assert(~(valid & group.final & ~group.wrong) | (ended & (beats <= limit))),
            Cover(left & group.final & ~group.wrong & (beats == 2)),
            Cover(left & group.final & group.wrong & ended),
            Cover(over & (beats == 3)),
        ]


class _NumberExpander(UserExpander):
    """A `UserExpander` with a `_NumberReader`."""

    def __init__(self, *, length: int) -> None:
        super().__init__(length=length)
        self._reader = _NumberReader(length=length, size=USER_BYTES)


class UserExpanderContract(Contract):
    """`UserExpander`: an offer stands, packets leave in order, one for one, those that are not coded as they came, and
    a coded vector has its beats or one more."""

    LENGTH = 70

    def __init__(self, *, fault: bool = False) -> None:
        super().__init__(_NumberExpander(length=self.LENGTH), fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        came, left = (
            {name: ports[f"{side}_axis_users__{name}"] for name in ("tvalid", "tready", "tdata", "tlast")}
            for side in ("s", "m")
        )
        taken, given = (bus["tvalid"] & bus["tready"] for bus in (came, left))
        begun, coded, beats, idle = Signal(), Signal(), Signal(3), Signal(3)
        opened, kind = Signal(), data.View(USER, came["tdata"][: USER.size]).kind
        offers, sees = (Cat(bus["tlast"], bus["tdata"]) for bus in (came, left))
        starts = given & ~opened
        with m.If(taken):
            m.d.sync += begun.eq(~came["tlast"])
        with m.If(given):
            m.d.sync += [opened.eq(~left["tlast"]), beats.eq(Mux(opened, beats + 1, 0))]
        with m.If(starts):
            m.d.sync += coded.eq(kind == UserKind.CODED)
        m.d.sync += idle.eq(Mux(taken | given | ~came["tvalid"] | ~left["tready"], 0, idle + 1))
        whole = user_beats(self.LENGTH) - 1
        expands = opened & coded
        m.d.comb += [
            Assume(self.holds(m, valid=came["tvalid"], ready=came["tready"], payload=offers)),
            Assert(self.holds(m, valid=left["tvalid"], ready=left["tready"], payload=sees)),
            # All but coded vectors pass within the cycle, a header but for its kind.
            Assert(expands | (taken == given)),
            Assert(expands | ~given | ((left["tlast"] == came["tlast"]) & (begun == opened))),
            Assert(expands | ~given | ~opened | (offers == sees)),
            Assert(~starts | (data.View(USER, left["tdata"][: USER.size]).kind != UserKind.CODED)),
            # The next packet waits until the vector has left.
            Assert(~expands | ~taken | begun),
            Assert(~(expands & given) | (beats < whole + (not self.fault))),
            Assert(~(expands & given & left["tlast"]) | (beats >= whole - 1)),
            Assert(~(expands & given & left["tlast"]) | ~begun),
            Assert(idle < 7),
            Cover(expands & given & left["tlast"] & (beats == whole - 1)),
            Cover(expands & given & left["tlast"] & (beats == whole)),
            Cover(given & left["tlast"] & ~expands & opened),
        ]


class PayloadCoderContract(Contract):
    """`PayloadCoder`: as many words are taken as a payload has, then none until its release; what is said of its code
    stands until then, and is no longer than its payload and no shorter than what is not zero in it."""

    LENGTH, LANES = 24, 16

    def __init__(self, *, fault: bool = False) -> None:
        self._coder = PayloadCoder(length=self.LENGTH, lanes=self.LANES)
        super().__init__(self._coder, fault=fault)

    def rules(self, m: Module, ports: dict[str, Any]) -> None:
        words, most = Signal(3), math.ceil(self.LENGTH / self.LANES)
        taken, done, release = ports["i_words__valid"] & ports["i_words__ready"], ports["o_done"], ports["i_release"]
        word, behind = ports["i_words__payload"], most * self.LANES - self.LENGTH
        full, since, held = Signal(8), Signal(5), Signal.like(ports["o_length"])
        there = [word.word_select(k, 8) != 0 for k in range(self.LANES)]
        counted = [bit & ((words != most - 1) | (k < self.LANES - behind)) for k, bit in enumerate(there)]
        with m.If(taken):
            m.d.sync += [words.eq(words + 1), full.eq(full + sum(counted))]
        with m.If(words == most):
            m.d.sync += since.eq(since + 1)
        with m.If(release):
            m.d.sync += [words.eq(0), since.eq(0), full.eq(0)]
        size = full + MASK_BYTES * code_groups(self.LENGTH)
        again = Signal()
        m.d.sync += [again.eq(done & ~release), held.eq(ports["o_length"])]
        m.d.comb += [
            Assume(done | ~release),
            Assert(~taken | (words != most)),
            Assert(done == (since >= self._coder.latency - 1 + self.fault)),
            Assert(~done | (ports["o_length"] == Mux(size < self.LENGTH, size, 0))),
            Assert(~again | (ports["o_length"] == held)),
            Cover(done & (ports["o_length"] == 0)),
            Cover(done & (ports["o_length"] == self.LENGTH - 1)),
        ]
