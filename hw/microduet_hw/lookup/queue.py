"""A short queue that costs one cycle when it is empty."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out


class Queue(wiring.Component):
    """First in, first out, with a register at the output.

    Latency: `LATENCY` cycle when empty.
    Throughput: one transfer per cycle.
    Back-pressure: `i` is ready until `depth` entries wait behind the output register.
    Reset: empty.

    Parameters
    ----------
    shape : payload
    depth : entries behind the output register, a power of two of at least 4

    Members
    -------
    i, o : streams, in domain mem
    o_room : two more transfers fit: a sender may look at it two cycles late

    An entry is read at least one cycle after it was written, never in the same one.

    Raises
    ------
    ValueError
        If `depth` is not a power of two of at least 4.
    """

    LATENCY = 1

    i: stream.Interface
    o: stream.Interface
    o_room: Signal

    def __init__(self, *, shape: ShapeLike, depth: int) -> None:
        if depth < 4 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 4, not {depth!r}")
        self._shape = shape
        self._depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "o_room": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = memory.Memory(shape=self._shape, depth=self._depth, init=[])
        write, read = rows.write_port(domain="mem"), rows.read_port(domain="comb")
        stored = Signal(range(self._depth + 1))
        valid = Signal()
        payload = Signal(self._shape, reset_less=True)
        push, shift, pull, store = Signal(), Signal(), Signal(), Signal()
        head, tail = Signal(range(self._depth)), Signal(range(self._depth))
        m.d.comb += [
            self.i.ready.eq(stored != self._depth),
            self.o_room.eq(stored <= self._depth - 2),
            self.o.valid.eq(valid),
            self.o.payload.eq(payload),
            push.eq(self.i.valid & self.i.ready),
            shift.eq(~valid | self.o.ready),
            pull.eq(shift & (stored != 0)),
            store.eq(push & ~(shift & (stored == 0))),
            write.en.eq(store),
            write.addr.eq(tail),
            write.data.eq(self.i.payload),
            read.addr.eq(head),
        ]
        with m.If(shift):
            m.d.mem += valid.eq((stored != 0) | push)
            with m.If(pull):
                m.d.mem += payload.eq(read.data)
            with m.Elif(push):
                m.d.mem += payload.eq(self.i.payload)
        with m.If(store):
            m.d.mem += tail.eq(tail + 1)
        with m.If(pull):
            m.d.mem += head.eq(head + 1)
        with m.If(store & ~pull):
            m.d.mem += stored.eq(stored + 1)
        with m.Elif(pull & ~store):
            m.d.mem += stored.eq(stored - 1)
        return m
