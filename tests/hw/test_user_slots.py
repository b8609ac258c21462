"""What is known slot by slot: equal, cycle by cycle, to a few lines of Python."""

import random

import cocotb
import pytest

from microduet_hw.status import QUERY, UserStatus
from microduet_hw.user_slots import PLACE, VERDICT, UserSlots
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle

EVENTS = ("items", "begin", "verdict", "clear")
IDLE = {**{f"i_{name}__valid": 0 for name in EVENTS}, "i_waiting": 0, "i_asked": 0}


class Model:
    """What a slot knows: the user's number and status, the items' number, and for how long they have waited."""

    def __init__(self, watchdog):
        self.watchdog = watchdog
        self.user = self.item = None
        self.status, self.age = UserStatus.OK, 0

    @property
    def ready(self):
        return self.user is not None and self.user == self.item

    def refused(self, number):
        return self.user == number or self.item not in (None, number)

    def step(self, *, waiting, items=None, begin=False, verdict=None, clear=False):
        late = waiting and not self.ready and self.age == self.watchdog - 1
        self.age = min(self.age + 1, self.watchdog - 1) if waiting and not self.ready else 0
        if late:
            self.user, self.status = self.item, UserStatus.TIMEOUT
        elif verdict is not None and self.user is None:
            self.user, self.status = verdict
        elif begin:
            self.user = None
        if items is not None:
            self.item = items
        if clear:
            self.user = self.item = None


def alike():
    """Three numbers of queries: two differ from the first in a bit each."""
    width = QUERY["number"].width
    first = random.getrandbits(width)
    return [first, *(first ^ 1 << bit for bit in random.sample(range(width), 2))]


def any_slot(slots):
    """Mostly a slot that there is."""
    return random.randrange(slots if random.random() < 0.8 else 64)


class Slots:
    """The component and a model of each slot: in every cycle they show the same."""

    def __init__(self, dut):
        parameters = bench_parameters()
        self.dut, self.slots, self.watchdog = dut, parameters["slots"], parameters["watchdog"]
        self.forget()

    def forget(self):
        self.models = [Model(self.watchdog) for _ in range(self.slots)]

    def overdue(self, slot):
        """Whether this cycle is the last one of a wait."""
        return not self.models[slot].ready and self.models[slot].age == self.watchdog - 1

    async def cycle(self, *, waiting=(), asked=(0, 0), reset=False, **events):
        """Give events, each a slot, a number and of a verdict the status, and look; whether `asked` is refused."""
        inputs = {f"i_{name}__valid": int(name in events) for name in EVENTS}
        inputs |= {f"i_{name}__payload": payload(*event) for name, event in events.items()}
        inputs |= {"i_waiting": sum(1 << slot for slot in waiting), "i_asked": payload(*asked)}
        await cycle(self.dut, **inputs, rst=int(reset))
        refused = self.look(asked)
        for slot, model in enumerate(self.models):
            mine = {name: event[1:] for name, event in events.items() if event[0] == slot}
            if "items" in mine:
                mine["items"] = mine["items"][0]
            mine |= {name: True for name in ("begin", "clear") if name in mine}
            model.step(waiting=slot in waiting, **mine)
        if reset:
            self.forget()
        return refused

    def look(self, asked):
        """Compare the outputs of a cycle with the models; whether `asked` is refused."""
        assert int(self.dut.o_ready.value) == sum(model.ready << k for k, model in enumerate(self.models))
        for slot, model in enumerate(self.models):
            found = int(self.dut.o_status.value) >> 8 * slot & 0xFF
            assert not model.ready or found == model.status, f"slot {slot}"
        refused = asked[0] >= self.slots or self.models[asked[0]].refused(asked[1])
        assert self.dut.o_refused.value == refused
        return refused

    async def wait(self, slot, number):
        """Items of a query come, and wait until the last cycle before they are late."""
        await self.cycle(items=(slot, number))
        for _ in range(self.watchdog - 1):
            await self.cycle(waiting=[slot])
        assert self.overdue(slot)


def some(slots):
    """A few slots, or all if there are no more."""
    return random.sample(range(slots), min(slots, 3))


def payload(slot, number, *status):
    where = {"slot": slot, "number": number}
    return (VERDICT.const({"place": where, "status": status[0]}) if status else PLACE.const(where)).as_bits()


@cocotb.test()
async def knows_what_the_model_knows(dut):
    await begin(dut, **IDLE)
    bench = Slots(dut)
    slots, timeouts, refused = bench.slots, 0, 0
    waiting, numbers = [], []
    for now in range(4000):
        if now % (20 * slots) == 0:
            numbers = alike()
        # Now and then so little happens that a slot is ready for longer than the watchdog waits.
        often = 0.1 if now % 400 < 300 else 0.01
        events = {name: (any_slot(slots), random.choice(numbers)) for name in EVENTS if random.random() < often}
        asked = any_slot(slots), random.choice(numbers)
        if "verdict" in events:
            events["verdict"] += (random.getrandbits(8),)
        reset = random.random() < 0.005
        # Items wait only in a slot whose query is known.
        waiting = [
            slot
            for slot, model in enumerate(bench.models)
            if model.item is not None and ((slot in waiting) ^ (random.random() < 1 / bench.watchdog))
        ]
        timeouts += any(model.ready and model.status == UserStatus.TIMEOUT for model in bench.models)
        situations(bench, waiting, asked, {name: event[0] for name, event in events.items()})
        refused += await bench.cycle(waiting=waiting, asked=asked, reset=reset, **events)
    assert timeouts
    assert refused


def situations(bench, waiting, asked, at):
    """Say what a cycle meets; `at` is the slot of each event."""
    hit("user slots: a verdict and a clear of one slot at once", at.get("verdict", -1) == at.get("clear", -2))
    hit("user slots: items and a user of one slot at once", at.get("items", -1) == at.get("begin", -2))
    hit("user slots: a slot that there is not", asked[0] >= bench.slots)
    hit(
        "user slots: a verdict in the cycle of the timeout",
        any(bench.overdue(slot) and at.get("verdict") == slot for slot in waiting),
    )


@cocotb.test()
async def a_user_who_comes_in_the_last_cycle_keeps_his_status(dut):
    await begin(dut, **IDLE)
    bench = Slots(dut)
    for slot in some(bench.slots):
        number = alike()[0]
        await bench.cycle(items=(slot, number))
        for _ in range(bench.watchdog - 2):
            await bench.cycle(waiting=[slot])
        await bench.cycle(waiting=[slot], verdict=(slot, number, UserStatus.ABANDONED))
        for _ in range(bench.watchdog + 2):
            await bench.cycle(waiting=[slot])
            assert int(dut.o_status.value) >> 8 * slot & 0xFF == UserStatus.ABANDONED
        await bench.cycle(clear=(slot, number))


@cocotb.test()
async def a_user_begun_anew_after_a_timeout_is_waited_for_as_long_again(dut):
    await begin(dut, **IDLE)
    bench = Slots(dut)
    for slot in some(bench.slots):
        number = alike()[0]
        await bench.wait(slot, number)
        await bench.cycle(waiting=[slot])
        await bench.cycle(waiting=[slot], begin=(slot, number))
        for _ in range(bench.watchdog):
            await bench.cycle(waiting=[slot])
            assert not int(dut.o_ready.value) >> slot & 1
        await bench.cycle(waiting=[slot])
        assert int(dut.o_ready.value) >> slot & 1
        await bench.cycle(clear=(slot, number))


@cocotb.test()
async def items_of_another_query_in_the_cycle_of_a_timeout_are_late_at_once(dut):
    """The slot waits on, so its new query is late a cycle after the old one."""
    await begin(dut, **IDLE)
    bench = Slots(dut)
    for slot in some(bench.slots):
        old, new, _ = alike()
        await bench.wait(slot, old)
        await bench.cycle(waiting=[slot], items=(slot, new))
        await bench.cycle(waiting=[slot])
        assert not int(dut.o_ready.value) >> slot & 1
        await bench.cycle(waiting=[slot])
        assert int(dut.o_ready.value) >> slot & 1
        await bench.cycle(clear=(slot, new))


@pytest.mark.parametrize(("slots", "watchdog"), [(3, 12), (1, 2), (64, 30)])
def test_knows_what_the_model_knows(slots, watchdog):
    component = UserSlots(slots=slots, watchdog=watchdog)
    run_bench(Bare(component), module=__name__, parameters={"slots": slots, "watchdog": watchdog})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slots": 0}, "slots must be 1 to 64"),
        ({"slots": 65}, "not 65"),
        ({"watchdog": 1}, "watchdog must be at least"),
    ],
)
def test_sizes_without_a_meaning_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        UserSlots(**{"slots": 2, "watchdog": 5, **change})
