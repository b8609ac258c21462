"""A two-way switch of the butterfly that leads indices to their channels."""

import functools
import operator

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.layouts import routed_layout


class Switch(wiring.Component):
    """Sends rows to the output that one bit of their index says, and a token to both outputs once every input has one.

    What comes behind a token at an input leaves behind it at either output.

    Latency: none: it is in the way between registers.
    Throughput: a row per output and cycle; two rows for one output go in turn.
    Back-pressure: what an output does not take waits; a row behind it at its input, too.
    Reset: no token is half given.

    Parameters
    ----------
    bit : of the index
    inputs : 1 or 2

    Members
    -------
    i : per input, a stream of rows and tokens
    o : the same for either value of the bit

    Attributes
    ----------
    given : outputs that have the token that waits at the inputs

    Raises
    ------
    ValueError
        If there are not 1 or 2 inputs.
    """

    i: list[stream.Interface]
    o: list[stream.Interface]

    def __init__(self, *, bit: int, inputs: int = 2) -> None:
        if inputs not in (1, 2):
            raise ValueError(f"inputs must be 1 or 2, not {inputs!r}")
        self._bit = bit
        self.given = Signal(2)
        routed = stream.Signature(routed_layout())
        super().__init__({"i": In(routed).array(inputs), "o": Out(routed).array(2)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tokens, passed = Signal(), Signal()
        m.d.comb += tokens.eq(Cat(head.valid & head.p.token for head in self.i).all())
        goes = [self._output(m, way, tokens) for way in range(2)]
        accepted = Cat(output.ready for output in self.o)
        m.d.comb += passed.eq(tokens & (self.given | accepted).all())
        with m.If(tokens):
            m.d.mem += self.given.eq(Mux(passed, 0, self.given | accepted))
        for number, head in enumerate(self.i):
            m.d.comb += head.ready.eq(passed | functools.reduce(operator.or_, (way[number] for way in goes)))
        return m

    def _output(self, m: Module, way: int, tokens: Value) -> list[Value]:
        """Drive output `way`; per input, whether its row leaves there in this cycle."""
        out = self.o[way]
        wants = [head.valid & ~head.p.token & (head.p.index[self._bit] == way) for head in self.i]
        second: Value = Const(0)
        if len(wants) > 1:
            # What was offered and not taken stays preferred, or the offer would change.
            preferred = Signal(name=f"preferred_{way}")
            second = Signal(name=f"second_{way}")
            m.d.comb += second.eq(wants[1] & (preferred | ~wants[0]))
            with m.If(wants[0] | wants[1]):
                m.d.mem += preferred.eq(second ^ out.ready)
        row = functools.reduce(operator.or_, wants)
        m.d.comb += [
            out.valid.eq(row | (tokens & ~self.given[way])),
            out.p.token.eq(tokens),
            out.p.index.eq(Mux(second, self.i[-1].p.index, self.i[0].p.index)),
        ]
        return [want & out.ready & (second == number) for number, want in enumerate(wants)]
