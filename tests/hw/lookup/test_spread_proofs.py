"""Splitters and mergers of the butterfly, for all time: nothing lost or doubled, no token overtaken."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, DomainRenamer, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.endings import Endings
from microduet_hw.lookup.layouts import lookup_layout, routed_layout
from microduet_hw.lookup.merger import Merger
from microduet_hw.lookup.splitter import Splitter
from tests.support.formal import prove

NUMBER, EPOCH = slice(1, 4), slice(4, 6)
INPUT = 6


class Splitting(wiring.Component):
    """A splitter whose rows say their number, and how many tokens came before.

    Parameters
    ----------
    fault : counts tokens at the outputs twice, so that rows seem to have overtaken them
    """

    i: stream.Interface
    o: list[stream.Interface]

    def __init__(self, *, fault=False):
        self._splitter, self._fault = Splitter(bit=0), fault
        super().__init__(dict(self._splitter.signature.members))

    def elaborate(self, platform):
        m = Module()
        splitter = self._splitter
        m.submodules.splitter = DomainRenamer({"mem": "sync"})(splitter)  # induction takes one clock
        wiring.connect(m, wiring.flipped(self.i), splitter.i)
        rows, tokens = numbered(m, self.i, "i")
        came = []
        for way, (outer, inner) in enumerate(zip(self.o, splitter.o, strict=True)):
            wiring.connect(m, inner, wiring.flipped(outer))
            index, given = outer.p.index, splitter.given[way]
            counted = Signal(3, name=f"came_{way}")
            with m.If(outer.valid & outer.ready & outer.p.token):
                m.d.sync += counted.eq(counted + 1 + self._fault)
            row, waits = outer.valid & ~outer.p.token, self.i.valid & self.i.p.token
            m.d.comb += [
                Assert(counted == (tokens + given)[:3]),  # each output is given a token once
                Assert(~given | (waits & ~splitter.given.all())),
                Assert(~row | ((index[0] == way) & (index[NUMBER] == rows) & (index[EPOCH] == counted[:2]))),
                Assert(~(outer.valid & outer.p.token) | waits),
            ]
            came.append(counted)
        # A row leaves when it is taken, by one way.
        left = [out.valid & out.ready & ~out.p.token for out in self.o]
        m.d.comb += Assert(sum(left) == (self.i.valid & self.i.ready & ~self.i.p.token))
        m.d.comb += [Cover((came[0] == 2) & (came[1] == 3)), Cover(rows == 5)]
        return m


class Merging(wiring.Component):
    """A merger whose rows say from which input they are, their number there, and how many tokens came before.

    Parameters
    ----------
    fault : counts tokens at the output twice, so that rows seem to have overtaken them
    """

    i: list[stream.Interface]
    o: stream.Interface

    def __init__(self, *, fault=False):
        self._merger, self._fault = Merger(), fault
        super().__init__(dict(self._merger.signature.members))

    def elaborate(self, platform):
        m = Module()
        merger, out = self._merger, self.o
        m.submodules.merger = DomainRenamer({"mem": "sync"})(merger)
        wiring.connect(m, merger.o, wiring.flipped(out))
        came, index = Signal(3), out.p.index
        with m.If(out.valid & out.ready & out.p.token):
            m.d.sync += came.eq(came + 1 + self._fault)
        for number, (outer, inner) in enumerate(zip(self.i, merger.i, strict=True)):
            wiring.connect(m, wiring.flipped(outer), inner)
            m.d.comb += Assume(~outer.valid | outer.p.token | (outer.p.index[INPUT] == number))
            rows, tokens = numbered(m, outer, str(number))
            mine = out.valid & ~out.p.token & (index[INPUT] == number)
            m.d.comb += [
                Assert(came == tokens),  # both inputs lose a token when one leaves
                Assert(~mine | ((index[NUMBER] == rows) & (index[EPOCH] == came[:2]))),
                Assert((outer.valid & outer.ready & ~outer.p.token) == (mine & out.ready)),
                Assert(~(out.valid & out.p.token) | (outer.valid & outer.p.token)),
                Cover((rows == 3) & (came == 2)),
            ]
        return m


def numbered(m, routed, name):
    """Assume that an input's rows say their number and the tokens before them; both counts of what was taken."""
    rows, tokens = Signal(3, name=f"rows_{name}"), Signal(3, name=f"tokens_{name}")
    index = routed.p.index
    m.d.comb += Assume(~routed.valid | routed.p.token | ((index[NUMBER] == rows) & (index[EPOCH] == tokens[:2])))
    with m.If(routed.valid & routed.ready):
        m.d.sync += [rows.eq(rows + ~routed.p.token), tokens.eq(tokens + routed.p.token)]
    return rows, tokens


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


CASES = {"splitter": Splitting, "merger": Merging, "endings": Ending}


@pytest.mark.parametrize("case", CASES)
def test_holds_for_all_time(case):
    proof = prove(CASES[case](), mode="prove", depth=3)
    assert proof, proof


@pytest.mark.parametrize("case", CASES)
def test_is_not_vacuous(case):
    proof = prove(CASES[case](), mode="cover", depth=14)
    assert proof, proof


@pytest.mark.parametrize("contract", [Splitting, Merging])
def test_fails_without_the_rule(contract):
    proof = prove(contract(fault=True), mode="bmc", depth=8)
    assert proof.status == "FAIL", proof
