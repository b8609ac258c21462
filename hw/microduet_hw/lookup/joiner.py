"""Adds what partners, sources that serve a feature's lookups together, have of its sum."""

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import EngineConfig
from microduet_hw.lookup.geometry import SourcePlan
from microduet_hw.lookup.layouts import row_layout
from microduet_hw.lookup.pooling import element_of, sum_width
from microduet_hw.lookup.queue import Queue


def joined(plans: Sequence[SourcePlan]) -> SourcePlan:
    """What a group of partners, or a lone source, is to those behind: one source with the parts of its first."""
    return plans[0].replace(shared=False)


class Joiner(wiring.Component):
    """Adds the partial sums of partners beat by beat: ``y = saturate(sum(s) + z)``, exact, with int8's zero point z.

    Where all partners are `absent`, the row is another source's, and all bits are 0.

    Latency: `latency` cycles from the last partner's beat to the sum's.
    Throughput: one beat per cycle.
    Back-pressure: none. A partner's beats wait for those of the others, at most those of `config.vector_slots` items:
    an item begins when one is complete, and it is complete when all of its beats have left.
    Reset: nothing waits.

    Parameters
    ----------
    config : for the precision and the items in flight
    plans : the partners

    Members
    -------
    i_sums_K : of the K-th partner, a stream of sums as `PoolingAdder` gives them, the same beats in the same order
    o : stream of sums; flags are those of all partners

    Attributes
    ----------
    latency : cycles
    """

    o: stream.Interface

    def __init__(self, *, config: EngineConfig, plans: tuple[SourcePlan, ...]) -> None:
        self._precision = config.precision
        self._plans = plans
        self._lanes = plans[0].width // config.precision.width
        beats = config.vector_slots * sum(part.beats for part in plans[0].parts)
        self._depth = max(4, 1 << (beats - 1).bit_length())
        self._levels = (len(plans) - 1).bit_length()
        self.latency = Queue.LATENCY + self._levels + 1
        rows = stream.Signature(row_layout(joined(plans)), always_ready=True)
        super().__init__({f"i_sums_{k}": In(self._sums(plan)) for k, plan in enumerate(plans)} | {"o": Out(rows)})

    def _width(self, plan: SourcePlan) -> int:
        return sum_width(self._precision, lookups=plan.lookups)

    def _sums(self, plan: SourcePlan) -> stream.Signature:
        return stream.Signature(row_layout(plan, bits=self._lanes * self._width(plan)), always_ready=True)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        take = Signal()
        heads = [self._wait(m, number, take) for number in range(len(self._plans))]
        m.d.comb += take.eq(Cat(head.valid for head in heads).all())
        valid, beat = take, self._beat(m, [head.p for head in heads])
        sums = [
            [head.p.data.word_select(lane, self._width(plan)).as_signed() for lane in range(self._lanes)]
            for head, plan in zip(heads, self._plans, strict=True)
        ]
        for level in range(self._levels):
            pairs = itertools.zip_longest(sums[::2], sums[1::2])
            sums = [self._added(m, a, b, name=f"sums_{level}_{pair}") for pair, (a, b) in enumerate(pairs)]
            before = valid, beat
            valid, beat = Signal(name=f"valid_{level}"), Signal.like(beat, name=f"beat_{level}", reset_less=True)
            m.d.mem += [valid.eq(before[0]), beat.eq(before[1])]
        elements = Cat(element_of(total, precision=self._precision) for total in sums[0])
        out_valid = Signal()
        out: Any = Signal(self.o.p.shape(), reset_less=True)
        m.d.mem += [out_valid.eq(valid), out.data.eq(Mux(beat.absent, 0, elements))]
        m.d.mem += [getattr(out, name).eq(getattr(beat, name)) for name, _ in self.o.p.shape() if name != "data"]
        m.d.comb += [self.o.valid.eq(out_valid), self.o.payload.eq(out)]
        return m

    def _wait(self, m: Module, number: int, take: Signal) -> stream.Interface:
        """The beats of one partner, which wait until all others' have come."""
        sums = getattr(self, f"i_sums_{number}")
        m.submodules[f"waiting_{number}"] = queue = Queue(shape=sums.p.shape(), depth=self._depth)
        m.d.comb += [queue.i.valid.eq(sums.valid), queue.i.payload.eq(sums.payload), queue.o.ready.eq(take)]
        return queue.o

    def _beat(self, m: Module, heads: list[Any]) -> Any:
        """What is said of the beats at the heads: the same of all, but for what went wrong and who has no row."""
        fields = {name: field.shape for name, field in row_layout(self._plans[0]) if name != "data"}
        beat: Any = Signal(data.StructLayout(fields), name="beat_in")
        m.d.comb += [
            beat.eq(Value.cast(heads[0])[len(heads[0].data) :]),
            beat.flags.eq(functools.reduce(operator.or_, (head.flags for head in heads))),
            beat.absent.eq(Cat(head.absent for head in heads).all()),
        ]
        return beat

    def _added(self, m: Module, a: list[Value], b: list[Value] | None, *, name: str) -> list[Value]:
        """Registers with the sums of two partners' elements, or with the one's that has no other."""
        totals = a if b is None else [x + y for x, y in zip(a, b, strict=True)]
        registers = [Signal(total.shape(), name=f"{name}_{lane}", reset_less=True) for lane, total in enumerate(totals)]
        m.d.mem += [register.eq(total) for register, total in zip(registers, totals, strict=True)]
        return list(registers)
