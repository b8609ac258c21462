"""The score of a logit: a table of the logistic function, interpolated."""

from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.weight_check import CheckPort

INDEX_BITS = 12
FRACTION_BITS = 4
SCORE_BITS = 16

ENTRY = data.StructLayout({"base": unsigned(SCORE_BITS), "rise": unsigned(SCORE_BITS)})
"""One entry: the score where its stretch of 16 logits begins, and how much it rises to the next."""


def sigmoid_knots(fraction: int) -> npt.NDArray[np.int64]:
    """The function at the ends of all stretches: int64 (4097,), ``round(2^16 sigmoid(x))``, at most 2^16 - 1.

    Knot i stands for the 16-bit logit ``16 i - 32768``, whose value is that times ``2^-fraction``.
    """
    logits = (np.arange((1 << INDEX_BITS) + 1, dtype=np.float64) * 16 - 32768) * 2.0**-fraction
    with np.errstate(over="ignore"):  # far down exp is infinite, and the score zero
        scores = 65536 / (1 + np.exp(-logits))
    return np.clip(np.floor(scores + 0.5), 0, 65535).astype(np.int64)


def sigmoid_entries(fraction: int) -> npt.NDArray[np.int64]:
    """Contents of the table: int64 (4096,), an `ENTRY` each."""
    knots = sigmoid_knots(fraction)
    return knots[:-1] | (np.diff(knots) << SCORE_BITS)


def sigmoid_reference(logit: int, fraction: int) -> int:
    """What `Sigmoid` gives for a 16-bit signed logit.

    Monotone. Within ``1.5 * 2^-16 + h^2 / 8 * 0.0963`` of the function, h = 2^(4 - fraction) being a stretch's length
    and 0.0963 the function's greatest curvature: an end is rounded to the nearest, the line between rounded down.
    """
    index, place = divmod(logit + 32768, 1 << FRACTION_BITS)
    entry = int(sigmoid_entries(fraction)[index])
    return (entry & 0xFFFF) + ((entry >> SCORE_BITS) * place >> FRACTION_BITS)


class Sigmoid(wiring.Component):
    """Scores logits by table and linear interpolation.

    Latency: `LATENCY` cycles.
    Throughput: one per cycle.
    Back-pressure: none.
    Reset: nothing in flight; the table stays.

    Parameters
    ----------
    checked : the table can be read

    Members
    -------
    i : stream of 16-bit signed logits, always taken
    o : stream of scores, unsigned fractions of 2^16
    i_load, i_load_row, i_load_data : write an entry
    check : `CheckPort` of the table, while nothing is in flight; only if it is `checked`
    """

    LATENCY = 2

    i: stream.Interface
    o: stream.Interface
    i_load: Signal
    i_load_row: Signal
    i_load_data: Signal
    check: Any

    def __init__(self, *, checked: bool = False) -> None:
        self._checked = checked
        super().__init__(
            {
                "i": In(stream.Signature(signed(16), always_ready=True)),
                "o": Out(stream.Signature(unsigned(SCORE_BITS), always_ready=True)),
                "i_load": In(1),
                "i_load_row": In(INDEX_BITS),
                "i_load_data": In(ENTRY.size),
                **({"check": In(CheckPort(ENTRY.size))} if checked else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = memory.Memory(shape=unsigned(ENTRY.size), depth=1 << INDEX_BITS, init=[])
        write, read = table.write_port(), table.read_port()
        entry = data.View(ENTRY, read.data)
        place, valid = Signal(FRACTION_BITS, reset_less=True), Signal()
        # A signed logit plus 32768 is the same bits with the sign inverted.
        address = Cat(self.i.payload[:-1], ~self.i.payload[-1])
        row, reads = address[FRACTION_BITS:], self.i.valid
        if self._checked:
            row, reads = Mux(self.check.read, self.i_load_row, row), reads | self.check.read
            m.d.comb += self.check.data.eq(read.data)
        m.d.comb += [
            read.addr.eq(row),
            read.en.eq(reads),
            write.addr.eq(self.i_load_row),
            write.data.eq(self.i_load_data),
            write.en.eq(self.i_load),
        ]
        m.d.sync += [valid.eq(self.i.valid), self.o.valid.eq(valid)]
        with m.If(self.i.valid):
            m.d.sync += place.eq(address[:FRACTION_BITS])
        with m.If(valid):
            m.d.sync += self.o.payload.eq(entry.base + (entry.rise * place >> Const(FRACTION_BITS)))
        return m
