"""Reads the code of a user vector group by group."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.user_code import GROUP, GROUP_BYTES, MASK_BYTES, code_groups
from microduet_hw.user_mask import mask_places

GROUP_LAYOUT = data.StructLayout({"elements": unsigned(8 * GROUP), "final": unsigned(1), "wrong": unsigned(1)})
"""A group of a vector: its elements, 0 beyond the vector's end; whether it is the vector's last one, and then whether
the code had more or fewer beats than it says, or bits for elements that there are not."""


def beat_layout(size: int) -> data.StructLayout:
    """A beat of a code: its bytes, and whether it is the code's last."""
    return data.StructLayout({"data": unsigned(8 * size), "last": unsigned(1)})


class CodeReader(wiring.Component):
    """Reads codes (`user_code.code`), each from a beat of its own on, and gives the groups of their vectors.

    Every code gives all groups of a vector. Bytes that do not come count as 0; beats that are too many are dropped.

    Latency: the first group is offered one cycle after the first beat was taken.
    Throughput: a group per cycle, if a beat comes whenever one is taken.
    Back-pressure: two beats are held at most.
    Reset: no code has begun.

    Parameters
    ----------
    length : elements of a vector
    size : bytes of a beat, a power of two, at least twice `GROUP_BYTES`

    Members
    -------
    i : stream of `beat_layout`; its ready does not follow other signals within a cycle
    o : stream of `GROUP_LAYOUT`

    Raises
    ------
    ValueError
        If there are no elements, or `size` is no such number.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, length: int, size: int) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, not {length!r}")
        if size < 2 * GROUP_BYTES or size & (size - 1):
            raise ValueError(f"size must be a power of two, at least {2 * GROUP_BYTES}, not {size!r}")
        self._groups, self._size = code_groups(length), size
        self._rest = length - GROUP * (self._groups - 1)
        super().__init__({"i": In(stream.Signature(beat_layout(size))), "o": Out(stream.Signature(GROUP_LAYOUT))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        size, out = self._size, self.o
        # Bytes are read from `place` on, in a beat and the one that follows it, if it is there.
        beat, following, held = Signal(8 * size), Signal(8 * size), Signal()
        place, end = Signal(range(size + 1), init=size), Signal(range(size + GROUP_BYTES + 1))
        group, ended, dropping, short = Signal(range(max(2, self._groups))), Signal(), Signal(), Signal()
        coded, behind = Signal(8 * GROUP_BYTES), Signal(8 * size)
        final, crosses, lacks = Signal(), Signal(), Signal()
        taken, left, over = Signal(), Signal(), Signal()
        m.d.comb += [
            behind.eq(Mux(held, following, 0)),
            # As a choice of slices, which is no wider than one of them.
            coded.eq(Array(Cat(beat, behind)[8 * k :][: 8 * GROUP_BYTES] for k in range(size + 1))[place]),
            final.eq(group == self._groups - 1),
        ]
        used, beyond = self._elements(m, coded, final=final)
        m.d.comb += [
            end.eq(place + used),
            crosses.eq(end > size),
            lacks.eq(crosses & ~held),
            out.valid.eq(~dropping & (held | ended | (place <= size - GROUP_BYTES))),
            out.p.final.eq(final),
            out.p.wrong.eq(final & (short | lacks | beyond | ~ended | (held & ~crosses))),
            self.i.ready.eq(~ended & (dropping | ~held)),
            taken.eq(self.i.valid & self.i.ready),
            left.eq(out.valid & out.ready),
            over.eq(ended & (dropping | (left & final))),
        ]
        with m.If(taken):
            m.d.sync += [following.eq(self.i.p.data), held.eq(1), ended.eq(self.i.p.last)]
        with m.If(left):
            m.d.sync += [group.eq(Mux(final, 0, group + 1)), short.eq(short | lacks)]
            m.d.sync += [place.eq(Mux(crosses, end - size, end)), dropping.eq(final)]
            with m.If(crosses):
                m.d.sync += [beat.eq(behind), held.eq(0)]
        with m.If(over):
            m.d.sync += [place.eq(size), *(flag.eq(0) for flag in (held, ended, dropping, short))]
        return m

    def _elements(self, m: Module, coded: Value, *, final: Signal) -> tuple[Value, Value]:
        """Drive the group's elements; how many bytes it takes, and whether its mask has bits beyond the end."""
        mask = coded[: 8 * MASK_BYTES]
        values = [coded[8 * MASK_BYTES :].word_select(k, 8) for k in range(GROUP)]
        places, count = mask_places(m, mask)
        there = Signal(GROUP)
        m.d.comb += there.eq(mask & Mux(final, (1 << self._rest) - 1, (1 << GROUP) - 1))
        for k, place in enumerate(places):
            element = Array(values[: k + 1])[place]
            m.d.comb += self.o.p.elements.word_select(k, 8).eq(Mux(there[k], element, 0))
        return MASK_BYTES + count, mask != there
