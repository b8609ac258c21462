"""Small components that show that the support code works, and that it can fail."""

from amaranth.hdl import Assert, Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


class Queue(wiring.Component):
    """A first-in first-out queue between two streams.

    Parameters
    ----------
    width : bits of a payload
    depth : payloads it holds
    fault : "drops_valid" takes a payload back that was not accepted; "swaps_bits" damages payloads; "asserts" claims in
        hardware that the queue is never full
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, width: int = 8, depth: int = 4, fault: str | None = None) -> None:
        self._width, self._depth, self._fault = width, depth, fault
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=self._width, depth=self._depth)
        shown = Signal()
        m.d.sync += shown.eq(~shown)
        payload = queue.r_data.bit_select(0, self._width)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.o.valid.eq(queue.r_rdy & (shown if self._fault == "drops_valid" else 1)),
            self.o.payload.eq(payload ^ 1 if self._fault == "swaps_bits" else payload),
            queue.r_en.eq(self.o.ready & self.o.valid),
        ]
        if self._fault == "asserts":
            m.d.sync += Assert(queue.level < self._depth)
        return m


class Crossing(wiring.Component):
    """A queue from the memory's clock domain to the engine's.

    Parameters
    ----------
    width : bits of a payload
    fault : "unregistered" passes a signal across without the queue, so that it changes at the wrong clock
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, width: int = 8, fault: str | None = None) -> None:
        self._width, self._fault = width, fault
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = fifo.AsyncFIFO(width=self._width, depth=8, w_domain="mem", r_domain="sync")
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.o.valid.eq(queue.r_rdy),
            self.o.payload.eq(self.i.payload if self._fault == "unregistered" else queue.r_data),
            queue.r_en.eq(self.o.ready),
        ]
        return m
