"""Ranking: every query's best in order, ties by tag, faults out of the list, and nothing lost while nobody takes it."""

import random
from collections import Counter, deque
from dataclasses import replace

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from microduet_hw.config import UserPart
from microduet_hw.output_layer import result_layout
from microduet_hw.places import RESULTS
from microduet_hw.rank import RankStage
from microduet_hw.result import BEAT, OWN_RESULT
from microduet_hw.status import Status, UserStatus
from microduet_hw.user_reference import Ranked, answer
from microduet_hw.user_slots import PLACE
from microduet_hw.waiting_room import USER_HEADER
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle
from tests.support.streams import StreamSource

LOGIT_BITS = 16
RESULT = result_layout(LOGIT_BITS)
IDLE = {"i_headers__valid": 0, "i_results__valid": 0, "m_axis_results__tready": 0}
USERS = {
    "three of four slots": UserPart(layer=0, elements=1, slots=3, top_k=4),
    "the best alone": UserPart(layer=0, elements=1, slots=1, top_k=1),
    "sixteen": UserPart(layer=0, elements=1, slots=8, top_k=16),
}


def near(item):
    """An item that differs from another in one bit of what it is ranked by."""
    bit = random.randrange(32 + LOGIT_BITS)
    key = (item.logit & (1 << LOGIT_BITS) - 1) << 32 | item.tag
    tag, logit = (key ^ 1 << bit) & (1 << 32) - 1, (key ^ 1 << bit) >> 32
    logit -= (logit >> LOGIT_BITS - 1) << LOGIT_BITS
    return replace(item, tag=tag, logit=logit, score=random.getrandbits(16))


class Query:
    """A query with its items, and how many of them have gone."""

    def __init__(self, slot, *, longest):
        self.slot, self.number = slot, random.getrandbits(16)
        self.user_status = random.choice([UserStatus.OK] * 4 + [UserStatus.TIMEOUT])
        narrow = random.random() < 0.5  # many equal logits, the least too, and equal tags now and then
        self.items = [self.item(narrow)]
        for _ in range(random.randrange(longest)):
            self.items.append(near(random.choice(self.items)) if random.random() < 0.6 else self.item(narrow))
        self.scores = [random.random() < 0.2 for _ in self.items]
        self.sent = 0

    @staticmethod
    def item(narrow):
        top = 1 << LOGIT_BITS - 1
        tag = random.randrange(6) if narrow else random.getrandbits(32)
        logit = random.choice([-top, -1, 0, top - 1]) if narrow else random.randint(-top, top - 1)
        status = random.choice([Status.OK] * 6 + [Status.TIMEOUT, Status.INDEX_RANGE | Status.LONG_PACKET])
        return Ranked(tag=tag, logit=logit, score=random.getrandbits(16), status=status)

    def pop(self):
        """The next item: bits of its header and its result, whether it is the last one."""
        item, scores = self.items[self.sent], self.scores[self.sent]
        self.sent += 1
        last = self.sent == len(self.items)
        query = {"number": self.number, "slot": self.slot, "scores": scores, "last": last}
        header = {"tag": item.tag, "status": int(item.status), "query": query}
        bits = USER_HEADER.const({"item": header, "user_status": int(self.user_status)}).as_bits()
        return bits, RESULT.const({"logit": item.logit, "score": item.score}).as_bits(), last

    def own_beat(self, number):
        item = self.items[number]
        return {
            "tag": item.tag,
            "logit": item.logit,
            "score": item.score,
            "slot": self.slot,
            "rank": OWN_RESULT,
            "status": int(item.status),
            "user_status": int(self.user_status),
            "count": 0,
            "reserved": 0,
        }

    def answer_beats(self, top_k):
        due = answer(self.items, top_k=top_k, user_status=self.user_status)
        common = {"slot": self.slot, "status": int(due.status), "user_status": int(due.user_status), "reserved": 0}
        best = [{"tag": i.tag, "logit": i.logit, "score": i.score, "rank": r} for r, i in enumerate(due.items)]
        empty = {"tag": 0, "logit": 0, "score": 0, "rank": 0}
        return [{**common, **beat, "count": len(best)} for beat in best or [empty]]


class Bench:
    """Feeds a rank stage with items of several queries at once, and compares what leaves."""

    def __init__(self, dut, user, *, queries, longest):
        self.dut, self.user, self.longest = dut, user, longest
        self.left, self.open, self.answering = queries, {}, {}
        self.results, self.places = deque(), RESULTS
        self.due, self.packet, self.offered = [], [], None
        self.pulses, self.steps = Counter(), 0
        self.headers = StreamSource(dut, "i_headers", clock=dut.clk)

    def feed(self):
        """An item of a query in flight, or of a new one in a slot that is free."""
        slot = random.randrange(self.user.slots)
        if slot in self.answering:
            return
        if slot not in self.open:
            if not self.left:
                return
            self.left -= 1
            self.open[slot] = Query(slot, longest=self.longest)
        query = self.open[slot]
        scores, number = query.scores[query.sent], query.sent
        header, result, last = query.pop()
        self.headers.send([header])
        self.results.append(result)
        if scores:
            self.due.append([query.own_beat(number)])
        if last:
            self.due.append(query.answer_beats(self.user.top_k))
            self.answering[slot] = self.open.pop(slot)

    async def step(self, *, feed, send, ready):
        self.steps += 1
        assert self.steps < 20000, "something is stuck"
        if feed:
            self.feed()
        send = send and bool(self.results) and self.places > 0
        payload = self.results.popleft() if send else 0
        await cycle(self.dut, i_results__valid=send, i_results__payload=payload, m_axis_results__tready=ready)
        self.places += int(self.dut.o_return.value) - send
        self.pulses["items"] += int(self.dut.o_item.value)
        self.look(ready)

    def look(self, ready):
        dut = self.dut
        valid = dut.m_axis_results__tvalid.value == 1
        beat = (int(dut.m_axis_results__tdata.value), int(dut.m_axis_results__tlast.value)) if valid else None
        assert self.offered is None or beat == self.offered, "a beat changed before it was taken"
        self.offered = beat if valid and not ready else None
        hit("rank: a beat waits", valid and not ready)
        hit("rank: every slot has an open query", len(self.open) + len(self.answering) == self.user.slots > 1)
        ended = None
        if valid and ready:
            self.packet.append(BEAT.from_bits(beat[0]))
            if beat[1]:
                ended, self.packet = self.packet, []
                self.compare(ended)
        cleared = bool(dut.o_clear__valid.value)
        assert cleared == (ended is not None and ended[0]["rank"] != OWN_RESULT)
        if cleared:
            query = self.answering.pop(ended[0]["slot"])
            place = PLACE.from_bits(int(dut.o_clear__payload.value))
            assert (place["slot"], place["number"]) == (query.slot, query.number)

    def compare(self, packet):
        count = packet[0]["count"]
        hit("rank: an answer without items", packet[0]["rank"] != OWN_RESULT and not count)
        hit("rank: a full list", count == self.user.top_k > 1)
        hit("rank: a list of one", count == self.user.top_k == 1)
        hit("rank: equal logits in order of tags", len({beat["logit"] for beat in packet}) < count)
        hit("rank: an item's own result", packet[0]["rank"] == OWN_RESULT)
        hit("rank: flags of items that are not ranked", count and packet[0]["status"])
        found = [{name: beat[name] for name, _ in BEAT} for beat in packet]
        assert found == self.due.pop(0), f"{found}"

    @property
    def idle(self):
        return not (self.left or self.open or self.answering or self.due)


@cocotb.test()
async def answers_with_the_best(dut):
    parameters = bench_parameters()
    user = USERS[parameters["user"]]
    bench = Bench(dut, user, queries=60, longest=3 * user.top_k)
    await begin(dut, **IDLE)
    for feed, send, ready in ((0.9, 1.0, 1.0), (0.9, 0.6, 0.3), (0.3, 0.5, 0.9)):
        bench.left = 60
        while not bench.idle:
            flags = (feed, send, ready)
            chosen = [random.random() < probability for probability in flags]
            await bench.step(feed=chosen[0], send=chosen[1], ready=chosen[2])
    assert bench.places == RESULTS


@cocotb.test()
async def takes_an_item_per_cycle(dut):
    user = USERS[bench_parameters()["user"]]
    bench = Bench(dut, user, queries=1, longest=1)
    await begin(dut, **IDLE)
    query = Query(0, longest=1)
    query.items = [Query.item(False) for _ in range(60)]
    query.scores = [False] * 60
    bench.open[0], bench.left = query, 0
    while bench.open:
        bench.feed()
    for _ in range(8):
        await bench.step(feed=False, send=False, ready=True)  # headers come first
    passed = []
    while not bench.idle:
        await bench.step(feed=False, send=True, ready=True)
        passed.append(bench.pulses["items"])
    first = passed.index(1)
    assert first == RankStage.LATENCY
    assert passed[first : first + 59] == list(range(1, 60))
    # the last item goes in the next cycle, its answer's beats follow
    assert len(passed) == first + 59 + 1 + max(1, len(query.answer_beats(user.top_k)))


@cocotb.test()
async def starts_anew_after_a_reset(dut):
    user = USERS[bench_parameters()["user"]]
    bench = Bench(dut, user, queries=9, longest=3 * user.top_k)
    await begin(dut, **IDLE)
    for _ in range(30):
        await bench.step(feed=True, send=True, ready=False)
    bench.headers._task.cancel()
    await cycle(dut, **IDLE, rst=1)
    await cycle(dut, rst=0)
    await RisingEdge(dut.clk)
    bench = Bench(dut, user, queries=9, longest=3 * user.top_k)
    while not bench.idle:
        await bench.step(feed=True, send=True, ready=True)


@pytest.mark.parametrize("user", list(USERS))
def test_ranks(user):
    stage = RankStage(user=USERS[user], logit_bits=LOGIT_BITS)
    run_bench(Bare(stage), module=__name__, parameters={"user": user})
