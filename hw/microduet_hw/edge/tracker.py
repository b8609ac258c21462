"""Which slot of a history holds the oldest entry."""

import math

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class LocationTracker(wiring.Component):
    """Points at the slot that the next entry of a history takes: the oldest entry's, once all slots are taken.

    Entries lie in slots 0, 1, 2, ... from an empty history on, and then round and round, for any number of slots. The
    pointer counts in strides, so that an address takes no multiplier.

    Latency: one cycle from `i_update` or `i_clear` to the outputs.
    Throughput: an update per cycle.
    Back-pressure: none.
    Reset: an empty history.

    Parameters
    ----------
    slots : entries that the history keeps, at least 1
    stride : addresses of an entry, at least 1

    Members
    -------
    o_address : the next entry's slot, times `stride`
    o_count : entries there are, 0 to `slots`; while they are fewer, they lie in the slots below `o_address`
    o_full : all slots are taken: the entry at `o_address` is the oldest
    i_update : the next entry was written there
    i_clear : the history is empty from now on, whatever `i_update` says

    Raises
    ------
    ValueError
        If `slots` or `stride` is less than 1.
    """

    o_address: Signal
    o_count: Signal
    o_full: Signal
    i_update: Signal
    i_clear: Signal

    def __init__(self, *, slots: int, stride: int = 1) -> None:
        if slots < 1 or stride < 1:
            raise ValueError(f"slots and stride must be at least 1, not {slots!r} and {stride!r}")
        self._slots, self._stride = slots, stride
        super().__init__(
            {
                "o_address": Out(max(1, math.ceil(math.log2((slots - 1) * stride + 1)))),
                "o_count": Out(range(slots + 1)),
                "o_full": Out(1),
                "i_update": In(1),
                "i_clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wraps = self.o_address == (self._slots - 1) * self._stride
        m.d.comb += self.o_full.eq(self.o_count == self._slots)
        with m.If(self.i_clear):
            m.d.sync += [self.o_address.eq(0), self.o_count.eq(0)]
        with m.Elif(self.i_update):
            m.d.sync += [
                self.o_address.eq(Mux(wraps, 0, self.o_address + self._stride)),
                self.o_count.eq(self.o_count + ~self.o_full),
            ]
        return m
