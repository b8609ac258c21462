"""What is known of the queries in flight, slot by slot: whose user is there, whose items wait, and since when."""

from amaranth.hdl import Array, Module, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from microduet_hw.lookup.bits import bit
from microduet_hw.status import QUERY, UserStatus

PLACE = data.StructLayout({"slot": unsigned(QUERY["slot"].width), "number": unsigned(QUERY["number"].width)})
"""A query, and where it is."""

VERDICT = data.StructLayout({"place": PLACE, "status": unsigned(8)})
"""What became of a query's user."""


class UserSlots(wiring.Component):
    """Keeps, for every slot, the query whose user is known, and the one whose items have come.

    A slot is ready for its items when their query's user is known, good or not. One that waits is known to be late,
    TIMEOUT, after `watchdog` cycles.

    Latency: one cycle from every input to what follows from it.
    Throughput: one event of each kind per cycle.
    Back-pressure: none.
    Reset: nothing is known.

    Parameters
    ----------
    slots : slots
    watchdog : cycles

    Members
    -------
    i_items : stream of `PLACE`, always ready: an item of this query has come; it is the slot's query until `i_clear`
    i_waiting : a bit per slot: items wait in it
    i_asked, o_refused : whether a user is not wanted: there is no such slot, its user is known, or its items are of
        another query
    i_begin : stream of `PLACE`, always ready: what was known of the slot's user is void
    i_verdict : stream of `VERDICT`, always ready: the user of `i_begin` is known; dropped if he is late by now
    i_clear : stream of `PLACE`, always ready: the query's answer has left; its number counts for nothing
    o_ready : a bit per slot
    o_status : per slot `UserStatus` flags, if it is ready

    Raises
    ------
    ValueError
        If there are not 1 to 64 slots, or `watchdog` is less than 2.
    """

    i_items: stream.Interface
    i_waiting: Signal
    i_asked: data.View
    o_refused: Signal
    i_begin: stream.Interface
    i_verdict: stream.Interface
    i_clear: stream.Interface
    o_ready: Signal
    o_status: data.View

    def __init__(self, *, slots: int, watchdog: int) -> None:
        if not 1 <= slots <= 64:
            raise ValueError(f"slots must be 1 to 64, not {slots!r}")
        if watchdog < 2:
            raise ValueError(f"watchdog must be at least 2, not {watchdog!r}")
        self._slots, self._watchdog = slots, watchdog
        places = In(stream.Signature(PLACE, always_ready=True))
        super().__init__(
            {
                "i_items": places,
                "i_waiting": In(slots),
                "i_asked": In(PLACE),
                "o_refused": Out(1),
                "i_begin": places,
                "i_verdict": In(stream.Signature(VERDICT, always_ready=True)),
                "i_clear": places,
                "o_ready": Out(slots),
                "o_status": Out(data.ArrayLayout(8, slots)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        number = PLACE["number"].shape
        known, owned = Signal(self._slots), Signal(self._slots)
        users = Array(Signal(number, name=f"user_{slot}") for slot in range(self._slots))
        items = Array(Signal(number, name=f"items_{slot}") for slot in range(self._slots))
        for slot in range(self._slots):
            self._slot(m, slot, known=known[slot], owned=owned[slot], user=users[slot], item=items[slot])
        asked = self.i_asked
        m.d.comb += self.o_refused.eq(
            (asked.slot >= self._slots)
            | (bit(known, asked.slot) & (users[asked.slot] == asked.number))
            | (bit(owned, asked.slot) & (items[asked.slot] != asked.number))
        )
        return m

    def _slot(self, m: Module, slot: int, *, known: Value, owned: Value, user: Signal, item: Signal) -> None:
        status = self.o_status[slot]
        age = Signal(range(self._watchdog + 1), name=f"age_{slot}")
        ready, late = Signal(name=f"ready_{slot}"), Signal(name=f"late_{slot}")
        begin, verdict, clear, come = (
            port.valid & (place.slot == slot)
            for port, place in (
                (self.i_begin, self.i_begin.p),
                (self.i_verdict, self.i_verdict.p.place),
                (self.i_clear, self.i_clear.p),
                (self.i_items, self.i_items.p),
            )
        )
        m.d.comb += [
            ready.eq(known & owned & (user == item)),
            self.o_ready[slot].eq(ready),
            late.eq(age == self._watchdog - 1),
        ]
        waits = self.i_waiting[slot] & ~ready
        with m.If(~waits):
            m.d.sync += age.eq(0)
        with m.Elif(~late):
            m.d.sync += age.eq(age + 1)
        with m.If(waits & late):
            m.d.sync += [known.eq(1), user.eq(item), status.eq(UserStatus.TIMEOUT)]
        with m.Elif(verdict & ~known):
            m.d.sync += [known.eq(1), user.eq(self.i_verdict.p.place.number), status.eq(self.i_verdict.p.status)]
        with m.Elif(begin):
            m.d.sync += known.eq(0)
        with m.If(come):
            m.d.sync += [owned.eq(1), item.eq(self.i_items.p.number)]
        with m.If(clear):
            m.d.sync += [owned.eq(0), known.eq(0)]
