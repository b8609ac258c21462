"""The waiting room: vectors leave slot by slot in their order, and only those whose user is there."""

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from microduet_hw.status import HEADER
from microduet_hw.user_slots import PLACE
from microduet_hw.waiting_room import HEADERS, WaitingRoom, WaitingRoomShape
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle

SHAPES = {
    "three words": WaitingRoomShape(slots=3, waiting=4, words=3, bits=9),
    "one word, many slots": WaitingRoomShape(slots=9, waiting=2, words=1, bits=40),
    "all bits of slots": WaitingRoomShape(slots=40, waiting=2, words=3, bits=6),
    "lone slot": WaitingRoomShape(slots=1, waiting=8, words=2, bits=5),
}
IDLE = {
    "i_words__valid": 0,
    "i_reserve": 0,
    "i_headers__valid": 0,
    "i_ready": 0,
    "i_status": 0,
    "i_space": 0,
    "o_header__ready": 0,
}


class Producer:
    """Announces vectors, sends their headers and their words, each as late as it likes; headers ahead of all else."""

    def __init__(self, shape):
        self.shape = shape
        self.vectors, self.headers = deque(), deque()
        self.coming, self.begun, self.words = deque(), deque(), deque()
        self.accepted, self.offered = 0, False
        self.ahead, self.leaves = 0, False

    def add(self, slot):
        query = {"number": random.getrandbits(16), "slot": slot, "scores": random.getrandbits(1), "last": 0}
        header = HEADER.const({"tag": random.getrandbits(32), "status": random.getrandbits(8), "query": query})
        self.headers.append(header.as_bits())
        self.vectors.append((header.as_bits(), [random.getrandbits(self.shape.bits) for _ in range(self.shape.words)]))

    def inputs(self, *, space, reserve, header, word):
        """Inputs of a cycle; `space` as it was seen in this one. Payloads that are not valid are anything."""
        self.reserving = bool(self.vectors) and space and reserve
        self.offered = self.offered or (bool(self.headers) and header)
        # A vector's first word comes no earlier than its header.
        self.sending = bool(self.words) and word
        return {
            "i_reserve": int(self.reserving),
            "i_headers__valid": int(self.offered),
            "i_headers__payload": self.headers[0] if self.offered else random.getrandbits(HEADER.size),
            "i_words__valid": int(self.sending),
            "i_words__payload": self.words[0] if self.sending else random.getrandbits(self.shape.bits + 1),
        }

    def look(self, dut):
        """After the cycle; returns the vector whose last word was sent, if there is one."""
        done, ready = None, dut.i_headers__ready.value == 1
        assert ready == (self.ahead < HEADERS)
        # A header leaves when its vector's last word is written, a cycle after it came.
        self.ahead += (self.offered and ready) - self.leaves
        self.leaves = False
        if self.sending:
            self.leaves = bool(self.words.popleft() >> self.shape.bits)
            done = self.begun.popleft() if self.leaves else None
        if self.offered and ready:
            self.headers.popleft()
            self.accepted, self.offered = self.accepted + 1, False
        if self.reserving:
            self.coming.append(self.vectors.popleft())
        while self.accepted and self.coming:
            self.accepted -= 1
            self.begun.append(self.coming.popleft())
            words = self.begun[-1][1]
            self.words.extend(w | (k == len(words) - 1) << self.shape.bits for k, w in enumerate(words))
        return done


class Bench:
    """A room with a producer before it and a consumer behind it."""

    def __init__(self, dut, shape):
        self.dut, self.shape = dut, shape
        self.producer = Producer(shape)
        self.inside = [deque() for _ in range(shape.slots)]
        self.ready, self.status = 0, [random.getrandbits(8) for _ in range(shape.slots)]
        self.due, self.served, self.cycle = deque(), [], 0
        self.header, self.headers_due = None, deque()
        self.last_in, self.first_out = [], []
        self.space, self.held, self.reserved = 0, [0] * shape.slots, 0

    async def step(self, *, reserve=1.0, header=1.0, word=1.0, space=1.0, take=1.0):
        dut, chance = self.dut, lambda p: random.random() < p
        assert self.cycle < 20000, "something is stuck"
        inputs = self.producer.inputs(
            space=self.space, reserve=chance(reserve), header=chance(header), word=chance(word)
        )
        room, taken = int(chance(space)), int(chance(take))
        bits = sum(status << 8 * k for k, status in enumerate(self.status))
        await cycle(dut, **inputs, i_ready=self.ready, i_status=bits, i_space=room, o_header__ready=taken)
        if inputs["i_reserve"]:
            assert dut.o_space.value == 1
        # Announced vectors may be of any slot until they begin to come.
        assert dut.o_space.value == (max(self.held) + self.reserved < self.shape.waiting)
        self.reserved += inputs["i_reserve"]
        self.come(int(dut.o_items__valid.value))
        self.go(room, taken)
        self.cycle += 1
        # What a registered consumer would see: announced in the next cycle if it still holds then.
        await self.look_ahead()

    async def look_ahead(self):
        self.space = int(self.dut.o_space.value) and not self.producer.reserving

    def come(self, began):
        done = self.producer.look(self.dut)
        if began:
            place = PLACE.from_bits(int(self.dut.o_items__payload.value))
            self.places.append((place["slot"], place["number"]))
            self.held[place["slot"]] += 1
            self.reserved -= 1
        if done:
            header, words = done
            query = HEADER.from_bits(header)["query"]
            self.numbers.append((query["slot"], query["number"]))
            self.inside[query["slot"]].append((header, words))
            self.last_in.append(self.cycle)

    def go(self, room, taken):
        dut, shape = self.dut, self.shape
        valid = dut.o_words__valid.value == 1
        assert valid == bool(self.due), "a vector has a gap, or a word came unannounced"
        if valid:
            assert int(dut.o_words__payload.value) == self.due.popleft()
        offered = int(dut.o_header__payload.value) if dut.o_header__valid.value else None
        assert self.header is None or offered == self.header, "a header changed before it was taken"
        assert (offered is None) == (not self.headers_due)
        if offered is not None:
            assert offered == self.headers_due[0]
            if taken:
                self.headers_due.popleft()
        self.header = None if taken else offered
        if dut.o_reserve.value:
            assert room
            assert not self.due
            assert not self.headers_due
            slot = int(dut.o_slot.value)
            assert self.ready >> slot & 1
            hit(
                "waiting room: a late slot is passed by",
                any(self.inside[k] for k in range(slot) if not self.ready >> k & 1),
            )
            hit("waiting room: a vector comes and one leaves", self.producer.sending)
            header, words = self.inside[slot].popleft()
            self.served.append(slot)
            self.held[slot] -= 1
            self.first_out.append(self.cycle + 1)
            self.due.extend(w | (k == shape.words - 1) << shape.bits for k, w in enumerate(words))
            self.headers_due.append(header | self.status[slot] << HEADER.size)

    @property
    def empty(self):
        p = self.producer
        return not (p.vectors or p.coming or p.words or any(self.inside) or self.due or self.headers_due)

    def prepare(self):
        self.places, self.numbers = [], []
        return self


async def started(dut, **more):
    shape = SHAPES[bench_parameters()["shape"]]
    await begin(dut, **IDLE)
    bench = Bench(dut, shape).prepare()
    for _ in range(2):
        await bench.step(**more)
    return bench


def change_ready(bench, probability):
    """Slots become ready with what they hold, and late again once they are empty."""
    for slot in range(bench.shape.slots):
        if random.random() < probability:
            if not bench.ready >> slot & 1:
                bench.ready |= 1 << slot
                bench.status[slot] = random.getrandbits(8)
            elif not bench.inside[slot]:
                bench.ready &= ~(1 << slot)


@cocotb.test()
async def keeps_every_slots_order(dut):
    bench = await started(dut)
    flows = ({}, {"reserve": 0.5, "header": 0.5, "word": 0.6, "space": 0.5, "take": 0.5}, {"space": 0.2}, {"word": 0.3})
    for flow in flows:
        for _ in range(120):
            bench.producer.add(random.randrange(bench.shape.slots))
        while not bench.empty:
            change_ready(bench, 0.05)
            await bench.step(**flow)
        bench.ready = 0
        await bench.step()
    assert bench.places == bench.numbers
    assert len(bench.served) == 480


@cocotb.test()
async def fills_every_place_of_a_ring(dut):
    bench = await started(dut)
    shape, slot = bench.shape, bench.shape.slots - 1
    for _ in range(shape.waiting + 3):
        bench.producer.add(slot)
    for _ in range(60):
        await bench.step()
    assert len(bench.inside[slot]) == shape.waiting
    hit("waiting room: a full ring")
    assert dut.o_space.value == 0
    assert int(dut.o_waiting.value) == 1 << slot
    bench.ready = 1 << slot
    while not bench.empty:
        await bench.step(space=0.5)
    assert len(bench.served) == shape.waiting + 3
    assert bench.places == bench.numbers


@cocotb.test()
async def serves_slots_in_turn_without_a_gap(dut):
    bench = await started(dut)
    shape = bench.shape
    # A full ring would hold up the vectors of all others.
    count = (shape.waiting - 1) * shape.slots
    for number in range(count):
        bench.producer.add(number % shape.slots)
    while sum(map(len, bench.inside)) < count:
        await bench.step(space=0)
    bench.ready = (1 << shape.slots) - 1
    while not bench.empty:
        await bench.step()
    assert bench.served == [(bench.served[0] + number) % shape.slots for number in range(count)]
    assert bench.first_out[-1] - bench.first_out[0] == (count - 1) * shape.words


@cocotb.test()
async def goes_on_behind_the_slot_that_was_served_last(dut):
    bench = await started(dut)
    slots = bench.shape.slots
    for before in random.sample(range(slots), min(slots, 6)):
        bench.producer.add(before)
        bench.ready = 1 << before
        while not bench.empty:
            await bench.step()
        bench.ready = 0
        for slot in random.sample(range(slots), slots):
            bench.producer.add(slot)
        while sum(map(len, bench.inside)) < slots:
            await bench.step()
        for _ in range(WaitingRoom.LATENCY):
            await bench.step()
        bench.served.clear()
        bench.ready = (1 << slots) - 1
        while not bench.empty:
            await bench.step()
        assert bench.served == [(before + 1 + k) % slots for k in range(slots)]


@cocotb.test()
async def a_late_slot_is_in_nobodys_way(dut):
    bench = await started(dut)
    shape = bench.shape
    if shape.slots == 1:
        return
    for _ in range(shape.waiting - 1):
        bench.producer.add(0)
    for _ in range(50):
        bench.producer.add(1)
    bench.ready = 0b10
    while len(bench.served) < 50:
        await bench.step()
    assert set(bench.served) == {1}
    assert len(bench.inside[0]) == shape.waiting - 1
    bench.ready = 0b11
    while not bench.empty:
        await bench.step()


@cocotb.test()
async def keeps_its_latency(dut):
    bench = await started(dut)
    bench.ready = (1 << bench.shape.slots) - 1
    for _ in range(3):
        bench.producer.add(0)
        while not bench.empty:
            await bench.step()
    assert [out - into for into, out in zip(bench.last_in, bench.first_out, strict=True)] == [WaitingRoom.LATENCY] * 3


@cocotb.test()
async def holds_headers_up_when_too_many_are_ahead(dut):
    bench = await started(dut)
    slots = bench.shape.slots
    for _ in range(2 * HEADERS):
        bench.producer.add(random.randrange(slots))
    for _ in range(HEADERS + 20):
        await bench.step(reserve=0)
    assert bench.producer.accepted == HEADERS
    bench.ready = (1 << slots) - 1
    while not bench.empty:
        await bench.step(header=0.7)
    assert bench.places == bench.numbers
    assert len(bench.served) == 2 * HEADERS


@cocotb.test()
async def is_empty_after_a_reset(dut):
    bench = await started(dut)
    slots = bench.shape.slots
    for _ in range(12):
        for _ in range(40):
            bench.producer.add(random.randrange(slots))
        bench.ready = random.getrandbits(slots)
        for _ in range(random.randrange(60)):
            await bench.step(space=0.3, take=0.3)
        await cycle(dut, **IDLE, rst=1)
        await cycle(dut, rst=0)
        await RisingEdge(dut.clk)
        assert int(dut.o_waiting.value) == 0
        bench = Bench(dut, bench.shape).prepare()
        for _ in range(5):
            bench.producer.add(random.randrange(slots))
        bench.ready = (1 << slots) - 1
        while not bench.empty:
            await bench.step()


@pytest.mark.parametrize("shape", list(SHAPES))
def test_keeps_items_until_their_user_comes(shape):
    run_bench(Bare(WaitingRoom(shape=SHAPES[shape])), module=__name__, parameters={"shape": shape})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slots": 65}, "slots must be 1 to 64, not 65"),
        ({"waiting": 3}, "waiting must be a power of two"),
        ({"waiting": 1}, "waiting must be a power of two"),
        ({"words": 0}, "words and bits must be at least 1"),
    ],
)
def test_sizes_without_a_meaning_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        WaitingRoomShape(**{"slots": 2, "waiting": 2, "words": 1, "bits": 1, **change})
