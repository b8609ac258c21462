"""Sums the rows of pooled features."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.config import EngineConfig, Precision
from microduet_hw.lookup.geometry import SourcePlan
from microduet_hw.lookup.layouts import row_layout


def pooled(rows: npt.NDArray[np.int64], *, precision: Precision) -> npt.NDArray[np.int64]:
    """The integer reference: the sum of `rows` (lookups, elements), exact, saturated once."""
    zero = 0 if precision.signed else 128
    return saturated((rows.astype(np.int64) - zero).sum(axis=0) + zero, precision=precision)


def saturated(total: npt.NDArray[np.int64], *, precision: Precision) -> npt.NDArray[np.int64]:
    """The elements nearest to exact sums."""
    low = -(1 << (precision.width - 1)) if precision.signed else 0
    return np.clip(total, low, low + (1 << precision.width) - 1)


def sum_width(precision: Precision, *, lookups: int) -> int:
    """Bits that hold the sum of `lookups` elements less their zero points, with its sign."""
    return precision.width + max(1, math.ceil(math.log2(lookups)))


def element_of(total: Value, *, precision: Precision) -> Value:
    """The element nearest to a signed sum of elements less their zero points."""
    width = precision.width
    sign = total[-1]
    fits = total[width - 1 :].all() | ~total[width - 1 :].any()
    bits = Mux(fits, total[:width], Cat((~sign).replicate(width - 1), sign))
    return bits if precision.signed else bits ^ 128


class PoolingAdder(wiring.Component):
    """Sums the rows of a source's pooled features as they arrive; features of one row pass.

    The sum is exact and saturated once, after its last row: ``y = saturate(sum(q - z) + z)``, with the zero point z of
    int8 (128), 0 in fixed point. A source with partners gives ``sum(q - z)`` as it is, of every feature: the partners'
    sums are still to be added.

    Latency: `LATENCY` cycle from the last row's beat to the sum's.
    Throughput: one beat per cycle.
    Back-pressure: none.
    Reset: before an item. Sums begin with their first row, whatever was there before.

    Parameters
    ----------
    config : for the precision
    plan : the source, which has a pooled feature or partners

    Members
    -------
    i : stream of rows, always ready
    o : stream of rows and sums, one per part; flags are those of all of the item's rows so far; with partners, lanes of
        `sum_bits` bits, `absent` if all of its rows are

    The memory of sums is read and written at one beat in one cycle: the read gives what was there before.

    Raises
    ------
    ValueError
        If no feature of the source is pooled and it has no partners.

    Attributes
    ----------
    sum_bits : bits of an element's exact sum
    """

    LATENCY = 1

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, config: EngineConfig, plan: SourcePlan) -> None:
        if not plan.pooled and not plan.shared:
            raise ValueError(f"the source must have a pooled feature, not {plan.source!r}")
        self._precision = config.precision
        self._plan = plan
        self._lanes = plan.width // config.precision.width
        self.sum_bits = sum_width(config.precision, lookups=plan.lookups)
        sums = row_layout(plan, bits=self._lanes * self.sum_bits if plan.shared else None)
        super().__init__(
            {
                "i": In(stream.Signature(row_layout(plan), always_ready=True)),
                "o": Out(stream.Signature(sums, always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flags, seen = Signal(self._plan.flags), Signal(self._plan.flags)
        m.d.comb += flags.eq(seen | self.i.p.flags)
        with m.If(self.i.valid):
            m.d.mem += seen.eq(Mux(self.i.p.end, 0, flags))
        valid = Signal()
        payload: Any = Signal(self.i.p.shape(), reset_less=True)
        sums = self._sums(m)
        m.d.mem += valid.eq(self.i.valid & self.i.p.last)
        with m.If(self.i.valid):
            m.d.mem += [payload.eq(self.i.payload), payload.flags.eq(flags)]
            if self._plan.shared:
                m.d.mem += payload.absent.eq(self.i.p.absent & (self.i.p.first | payload.absent))
        if not self._plan.shared:
            sums = [element_of(total, precision=self._precision) for total in sums]
        m.d.comb += [
            self.o.valid.eq(valid),
            *(getattr(self.o.p, name).eq(getattr(payload, name)) for name, _ in self.o.p.shape() if name != "data"),
            self.o.p.data.eq(Cat(sums)),
        ]
        return m

    def _sums(self, m: Module) -> list[Value]:
        """Registers with the sum of the last beat that came and all before it."""
        width, lanes, wide = self._precision.width, self._lanes, self.sum_bits
        old: Value
        new = Signal(lanes * wide, reset_less=True)
        if self._plan.beats > 1:
            m.submodules.sums = rows = memory.Memory(
                shape=unsigned(lanes * wide), depth=1 << len(self.i.p.beat), init=[]
            )
            write, read = rows.write_port(domain="mem"), rows.read_port(domain="comb")
            old = read.data
            m.d.comb += [read.addr.eq(self.i.p.beat), write.addr.eq(self.i.p.beat), write.en.eq(self.i.valid)]
        else:
            write, old = None, new
        totals: list[Value] = []
        for lane in range(lanes):
            element = self.i.p.data.word_select(lane, width)
            # Flipping the top bit takes the zero point 128 off an int8 element.
            term = element.as_signed() if self._precision.signed else (element ^ 128).as_signed()
            before = old.word_select(lane, wide).as_signed()
            total = Signal(signed(wide), name=f"total_{lane}")
            m.d.comb += total.eq(Mux(self.i.p.first, 0, before) + term)
            totals.append(total)
        if write is not None:
            m.d.comb += write.data.eq(Cat(totals))
        with m.If(self.i.valid):
            m.d.mem += new.eq(Cat(totals))
        return [new.word_select(lane, wide).as_signed() for lane in range(lanes)]
