"""Switches of the butterfly, for all time: the stream rules, nothing lost or doubled, no token overtaken."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, DomainRenamer, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.endings import Endings
from microduet_hw.lookup.layouts import lookup_layout, routed_layout
from microduet_hw.lookup.switch import Switch
from tests.support.formal import prove

NUMBER, EPOCH = slice(1, 4), slice(4, 6)
INPUT = 6


class Switching(wiring.Component):
    """A switch whose rows say from which input they are, their number there, and how many tokens came before.

    Parameters
    ----------
    fault : sends tokens that are not counted, so that rows seem to have overtaken them
    """

    i: list[stream.Interface]
    o: list[stream.Interface]

    def __init__(self, *, inputs=2, fault=False):
        self._switch, self._fault = Switch(bit=0, inputs=inputs), fault
        super().__init__(dict(self._switch.signature.members))

    def elaborate(self, platform):
        m = Module()
        switch = self._switch
        m.submodules.switch = DomainRenamer({"mem": "sync"})(switch)  # induction takes one clock
        came = [Signal(3, name=f"came_{way}") for way in range(2)]  # tokens at an output
        left, tokens = [], []  # rows and tokens taken from an input
        for number, (outer, inner) in enumerate(zip(self.i, switch.i, strict=True)):
            wiring.connect(m, wiring.flipped(outer), inner)
            rows, passed = Signal(3, name=f"rows_{number}"), Signal(3, name=f"passed_{number}")
            index = outer.p.index
            named = (index[NUMBER] == rows) & (index[EPOCH] == passed[:2]) & (index[INPUT] == number)
            m.d.comb += Assume(~outer.valid | outer.p.token | named)
            with m.If(outer.valid & outer.ready):
                m.d.sync += [rows.eq(rows + ~outer.p.token), passed.eq(passed + outer.p.token)]
            left.append(rows)
            tokens.append(passed)
        taken = [Signal(3, name=f"taken_{way}") for way in range(2)]
        for way, (outer, inner) in enumerate(zip(self.o, switch.o, strict=True)):
            wiring.connect(m, inner, wiring.flipped(outer))
            self._at_output(m, way, came[way], left, tokens)
            m.d.comb += taken[way].eq(outer.valid & outer.ready & ~outer.p.token)
        # As many rows leave as are taken, and of an input no two at once.
        m.d.comb += Assert(sum(taken) == sum(i.valid & i.ready & ~i.p.token for i in self.i))
        both = self.o[0].valid & self.o[1].valid & ~self.o[0].p.token
        m.d.comb += Assert(~both | (self.o[0].p.index[INPUT] != self.o[1].p.index[INPUT]))
        m.d.comb += Cover((came[0] == 2) & (came[1] == 3))
        if len(self.i) > 1:
            m.d.comb += Cover((left[0] == 3) & (left[1] == 3) & both)
        return m

    def _at_output(self, m, way, came, left, tokens):
        out, given = self.o[way], self._switch.given[way]
        index = out.p.index
        number = Mux(index[INPUT], left[-1], left[0])
        row = out.valid & ~out.p.token
        token = out.valid & out.p.token
        tokens_wait = Cat(head.valid & head.p.token for head in self.i).all()
        with m.If(token & out.ready):
            m.d.sync += came.eq(came + 1 + self._fault)
        for passed in tokens:
            m.d.comb += Assert(came == (passed + given)[:3])  # a token each, once all inputs have one
        m.d.comb += [
            Assert(~row | ((index[0] == way) & (index[NUMBER] == number))),
            Assert(~row | (index[EPOCH] == came[:2])),  # what came before it, and nothing else
            Assert(~row | ~given),
            Assert(~given | (tokens_wait & ~self._switch.given.all())),
            Assert(~token | tokens_wait),
        ]


class Ending(wiring.Component):
    """Endings whose rows are numbered: each comes out once, in order, and as many are last as there are tokens."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self):
        super().__init__(
            {"i": In(stream.Signature(routed_layout())), "o": Out(stream.Signature(lookup_layout(marked=True)))}
        )

    def elaborate(self, platform):
        m = Module()
        endings = Endings()
        m.submodules.endings = DomainRenamer({"mem": "sync"})(endings)
        wiring.connect(m, wiring.flipped(self.i), endings.i)
        wiring.connect(m, endings.o, wiring.flipped(self.o))
        came, gone, held = Signal(3), Signal(3), Signal()
        m.d.comb += held.eq((came - gone)[0])
        m.d.comb += [
            Assume(~self.i.valid | self.i.p.token | (self.i.p.index == came)),
            Assert((came - gone)[:3] <= 1),
            Assert(endings.held == held),
            Assert(~held | (endings.index == gone)),
            Assert(~self.o.valid | (self.o.p.empty == ~held)),
            Assert(~self.o.valid | self.o.p.empty | (self.o.p.index == gone)),
            Assert(~self.o.valid | (self.o.p.last == self.i.p.token)),
            Assert(~(self.i.valid & self.i.p.token) | (self.i.ready == (self.o.valid & self.o.ready))),
            Assert(~self.o.valid | ~self.o.p.empty | self.o.p.last),
            Cover(self.o.valid & self.o.p.empty & (gone == 2)),
        ]
        with m.If(self.i.valid & self.i.ready & ~self.i.p.token):
            m.d.sync += came.eq(came + 1)
        with m.If(self.o.valid & self.o.ready & ~self.o.p.empty):
            m.d.sync += gone.eq(gone + 1)
        return m


CASES = {"switch": Switching, "splitter": lambda: Switching(inputs=1), "endings": Ending}


@pytest.mark.parametrize("case", CASES)
def test_holds_for_all_time(case):
    proof = prove(CASES[case](), mode="prove", depth=3)
    assert proof, proof


@pytest.mark.parametrize("case", CASES)
def test_is_not_vacuous(case):
    proof = prove(CASES[case](), mode="cover", depth=14)
    assert proof, proof


def test_fails_without_the_rule():
    proof = prove(Switching(fault=True), mode="bmc", depth=8)
    assert proof.status == "FAIL", proof
