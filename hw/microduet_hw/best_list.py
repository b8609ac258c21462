"""A query's best items in order, and how an item takes its place among them."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.sigmoid import SCORE_BITS


def entry_layout(logit_bits: int) -> data.StructLayout:
    """An item of a list; `logit` is the logit less its least value, so that greater is better without a sign."""
    return data.StructLayout({"tag": unsigned(32), "logit": unsigned(logit_bits), "score": unsigned(SCORE_BITS)})


def best_layout(*, top_k: int, logit_bits: int) -> data.StructLayout:
    """The best `count` items, the best one first."""
    entries = data.ArrayLayout(entry_layout(logit_bits), top_k)
    return data.StructLayout({"count": unsigned(top_k.bit_length()), "entries": entries})


class BestInsertion(wiring.Component):
    """Puts an item into a list that is in order: behind all that are as good, before all that are worse.

    Higher logits are better, of equal ones lower tags. What there is no place for falls out at the end.

    Latency: none, it is combinational.
    Throughput: an item per cycle.
    Back-pressure: none.
    Reset: none, it keeps nothing.

    Parameters
    ----------
    top_k, logit_bits : sizes

    Members
    -------
    i_best, o_best : the list before and after
    i_new, i_ranked : the item; without `i_ranked` the list stays as it is
    """

    i_best: Any
    i_new: Any
    i_ranked: Signal
    o_best: Any

    def __init__(self, *, top_k: int, logit_bits: int) -> None:
        self._top_k = top_k
        best = best_layout(top_k=top_k, logit_bits=logit_bits)
        super().__init__(
            {"i_best": In(best), "i_new": In(entry_layout(logit_bits)), "i_ranked": In(1), "o_best": Out(best)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        before, new, stays = self.i_best, self.i_new, Signal(self._top_k)
        m.d.comb += self.o_best.count.eq(before.count + (self.i_ranked & (before.count != self._top_k)))
        for k in range(self._top_k):
            as_good = (before.count > k) & (better_key(new) <= better_key(before.entries[k]))
            m.d.comb += stays[k].eq(~self.i_ranked | as_good)
            # What stays is in front, for the list is in order.
            moved = Mux(stays[k - 1], new, before.entries[k - 1]) if k else new
            m.d.comb += self.o_best.entries[k].eq(Mux(stays[k], before.entries[k], moved))
        return m


def better_key(entry: Any) -> Value:
    """Of two entries the one with the greater key is better."""
    return Cat(~entry.tag, entry.logit)


def biased(logit: Value) -> Value:
    """The logit of an entry."""
    return Cat(logit[:-1], ~logit[-1])


def logit_of(entry: Any) -> Value:
    """The logit of an entry, signed again."""
    return biased(entry.logit).as_signed()
