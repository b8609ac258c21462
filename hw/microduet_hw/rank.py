"""What leaves an engine with users: per query the best of its items in order, and single results if wanted."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import StreamMaster
from microduet_hw.best_list import BestInsertion, best_layout, biased, logit_of
from microduet_hw.config import UserPart
from microduet_hw.lookup.bits import bit, mask
from microduet_hw.output_layer import result_layout
from microduet_hw.places import RESULTS
from microduet_hw.result import BEAT, HEADERS, OWN_RESULT
from microduet_hw.store import Store
from microduet_hw.user_slots import PLACE
from microduet_hw.waiting_room import USER_HEADER


class RankStage(wiring.Component):
    """Joins results with their headers, keeps the best `top_k` of every query, and answers when its last item has come.

    Higher logits come first, of equal ones lower tags, of equal tags the earlier. What has a flag, its own or its
    user's, is not ranked.

    Latency: `LATENCY` cycles from a result to its own beat, one more to the first beat of its query's answer.
    Throughput: a result per cycle; a beat per cycle. Results pass while an answer is sent, but for those that are to be
    sent themselves or are the last of their query.
    Back-pressure: results wait in a queue whose places the output layer counts; headers are held up when too many wait.
    Reset: empty lists.

    Parameters
    ----------
    user : slots and `top_k`
    logit_bits : bits of a logit
    places : results that wait

    Members
    -------
    i_headers : stream of `USER_HEADER`s, in the order of the items
    i_results : stream of {logit, score}, in the same order, always taken
    o_return : pulses for each result that gives its place back
    o_item : pulses for each item that is done with: ranked and sent, and the query's last one, when the answer is out
    o_clear : stream of `PLACE`, always taken: the answer's last beat leaves
    m_axis_results : AXI4-Stream of `BEAT`s
    """

    LATENCY = 2

    i_headers: stream.Interface
    i_results: stream.Interface
    o_return: Signal
    o_item: Signal
    o_clear: stream.Interface
    m_axis_results: Any

    def __init__(self, *, user: UserPart, logit_bits: int, places: int = RESULTS) -> None:
        self._places = places
        self._user = user
        self._result = result_layout(logit_bits)
        self._logit_bits = logit_bits
        self._list = data.StructLayout(
            {
                "number": PLACE["number"].shape,
                "status": unsigned(8),
                "user_status": unsigned(8),
                "best": best_layout(top_k=user.top_k, logit_bits=logit_bits),
            }
        )
        super().__init__(
            {
                "i_headers": In(stream.Signature(USER_HEADER)),
                "i_results": In(stream.Signature(self._result, always_ready=True)),
                "o_return": Out(1),
                "o_item": Out(1),
                "o_clear": Out(stream.Signature(PLACE, always_ready=True)),
                "m_axis_results": Out(StreamMaster(bits=BEAT.size)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid, go = Signal(), Signal()
        header, result = self._join(m, valid, go)
        slot, own, last = header.item.query.slot, header.item.query.scores, header.item.query.last
        now, following = Signal(self._list), Signal(self._list)
        self._keep(m, now=now, following=following, slot=slot, last=last, go=go)
        self._insert(m, header, result, now=now, following=following)
        sending, leaves = Signal(), Signal()
        # What needs the port waits for the answer that has it; in the cycle of `leaves` an item is done with already.
        m.d.comb += [
            go.eq(valid & ~leaves & ~(sending & (own | last)) & (~own | self.m_axis_results.tready)),
            self.o_item.eq((go & ~last) | leaves),
            self.m_axis_results.tvalid.eq(sending | (valid & own)),
        ]
        self._answer(m, following, slot=slot, begin=go & last, sending=sending, leaves=leaves)
        with m.If(~sending):
            m.d.comb += [self.m_axis_results.tdata.eq(_own(header, result)), self.m_axis_results.tlast.eq(1)]
        return m

    def _join(self, m: Module, valid: Signal, go: Signal) -> tuple[Any, Any]:
        """The result that is to be ranked and its header: taken from the queues when the one before goes."""
        m.submodules.headers = headers = SyncFIFO(width=USER_HEADER.size, depth=HEADERS)
        m.submodules.results = results = SyncFIFO(width=self._result.size, depth=self._places)
        m.submodules.lists = lists = Store(rows=self._user.slots, bits=self._list.size)
        self._lists = lists
        header: Any = Signal(USER_HEADER, reset_less=True)
        result: Any = Signal(self._result, name="scored", reset_less=True)
        m.d.comb += [
            headers.w_data.eq(self.i_headers.payload),
            headers.w_en.eq(self.i_headers.valid),
            self.i_headers.ready.eq(headers.w_rdy),
            results.w_data.eq(self.i_results.payload),
            results.w_en.eq(self.i_results.valid),
            self.o_return.eq(headers.r_rdy & results.r_rdy & (~valid | go)),
            headers.r_en.eq(self.o_return),
            results.r_en.eq(self.o_return),
            lists.i_read.eq(self.o_return),
            lists.i_read_row.eq(data.View(USER_HEADER, headers.r_data).item.query.slot),
        ]
        with m.If(self.o_return):
            m.d.sync += [valid.eq(1), header.eq(headers.r_data), result.eq(results.r_data)]
        with m.Elif(go):
            m.d.sync += valid.eq(0)
        return header, result

    def _keep(self, m: Module, *, now: Any, following: Any, slot: Value, last: Value, go: Signal) -> None:
        """The list of the item's query before and, if it is not the last item, after it."""
        lists, used = self._lists, Signal(self._user.slots)
        # What was written last may have been read in the same cycle, too early.
        newest, newest_slot = Signal(self._list, reset_less=True), Signal.like(slot)
        m.d.comb += [
            lists.i_write.eq(go & ~last),
            lists.i_row.eq(slot),
            lists.i_data.eq(following),
        ]
        with m.If(bit(used, slot)):
            m.d.comb += now.eq(Mux(newest_slot == slot, newest, lists.o_data))
        with m.If(go):
            place = mask(self._user.slots, slot)
            m.d.sync += [newest.eq(following), newest_slot.eq(slot), used.eq(Mux(last, used & ~place, used | place))]

    def _insert(self, m: Module, header: Any, result: Any, *, now: Any, following: Any) -> None:
        """The list with the item in its place, if it has one."""
        m.submodules.insertion = insertion = BestInsertion(top_k=self._user.top_k, logit_bits=self._logit_bits)
        m.d.comb += [
            insertion.i_best.eq(now.best),
            insertion.i_ranked.eq((header.item.status == 0) & (header.user_status == 0)),
            insertion.i_new.tag.eq(header.item.tag),
            insertion.i_new.logit.eq(biased(Value.cast(result.logit))),
            insertion.i_new.score.eq(result.score),
            following.best.eq(insertion.o_best),
            following.number.eq(header.item.query.number),
            following.status.eq(now.status | header.item.status),
            following.user_status.eq(now.user_status | header.user_status),
        ]

    def _answer(self, m: Module, best: Any, *, slot: Value, begin: Value, sending: Signal, leaves: Signal) -> None:
        """Send the list `best` of `slot`, entry by entry."""
        answer: Any = Signal(self._list, reset_less=True)
        place: Any = Signal(PLACE)
        first, rank, bus = answer.best.entries[0], Signal(8), self.m_axis_results
        there = answer.best.count != 0
        beat = _beat(
            tag=Mux(there, first.tag, 0),
            logit=Mux(there, logit_of(first), 0),
            score=Mux(there, first.score, 0),
            slot=place.slot,
            rank=rank,
            status=answer.status,
            user_status=answer.user_status,
            count=answer.best.count,
        )
        m.d.comb += [
            leaves.eq(sending & bus.tready & bus.tlast),
            self.o_clear.valid.eq(leaves),
            self.o_clear.payload.eq(place),
        ]
        with m.If(sending):
            m.d.comb += [bus.tdata.eq(beat), bus.tlast.eq(rank + 1 >= answer.best.count)]
        with m.If(begin):
            m.d.sync += [sending.eq(1), answer.eq(best), rank.eq(0), place.slot.eq(slot), place.number.eq(best.number)]
        with m.Elif(sending & bus.tready):
            m.d.sync += [sending.eq(~bus.tlast), rank.eq(rank + 1)]
            m.d.sync += [answer.best.entries[k].eq(answer.best.entries[k + 1]) for k in range(self._user.top_k - 1)]


def _own(header: Any, result: Any) -> Value:
    """The beat of an item's own result."""
    return _beat(
        tag=header.item.tag,
        logit=result.logit,
        score=result.score,
        slot=header.item.query.slot,
        rank=Const(OWN_RESULT, 8),
        status=header.item.status,
        user_status=header.user_status,
    )


def _beat(**fields: Value) -> Value:
    """A `BEAT` of these fields, the others 0."""
    bits: list[Value] = []
    for name, field in BEAT:
        value = Value.cast(fields.get(name, Const(0, field.width)))
        padding = value[-1] if value.shape().signed else Const(0, 1)
        bits += [value[: field.width], padding.replicate(max(0, field.width - len(value)))]
    return Cat(*bits)
