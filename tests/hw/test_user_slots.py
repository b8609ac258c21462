"""What is known slot by slot: equal, cycle by cycle, to a few lines of Python."""

import random

import cocotb
import pytest

from microduet_hw.status import QUERY, UserStatus
from microduet_hw.user_slots import PLACE, VERDICT, UserSlots
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle

PORTS = ("i_items", "i_begin", "i_verdict", "i_clear")
IDLE = {**{f"{port}__valid": 0 for port in PORTS}, "i_waiting": 0, "i_asked": 0}


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


def place(slot, number):
    return PLACE.const({"slot": slot, "number": number}).as_bits()


@cocotb.test()
async def knows_what_the_model_knows(dut):
    parameters = bench_parameters()
    slots, watchdog = parameters["slots"], parameters["watchdog"]
    await begin(dut, **IDLE)
    models = [Model(watchdog) for _ in range(slots)]
    timeouts = refused = 0
    waiting, numbers = [False] * slots, []
    for now in range(4000):
        if now % (20 * slots) == 0:
            numbers = alike()
        # Now and then so little happens that a slot is ready for longer than the watchdog waits.
        often = 0.1 if now % 400 < 300 else 0.01
        events = {port: (any_slot(slots), random.choice(numbers)) for port in PORTS if random.random() < often}
        asked = any_slot(slots), random.choice(numbers)
        status, reset = random.getrandbits(8), random.random() < 0.005
        for slot, model in enumerate(models):
            # Items wait only in a slot whose query is known.
            waiting[slot] = model.item is not None and (waiting[slot] ^ (random.random() < 1 / watchdog))
        inputs = {f"{port}__valid": int(port in events) for port in PORTS}
        inputs |= {f"{port}__payload": place(*event) for port, event in events.items()}
        if "i_verdict" in events:
            slot, number = events["i_verdict"]
            verdict = {"place": {"slot": slot, "number": number}, "status": status}
            inputs["i_verdict__payload"] = VERDICT.const(verdict).as_bits()
        inputs |= {"i_waiting": sum(w << k for k, w in enumerate(waiting)), "i_asked": place(*asked)}
        await cycle(dut, **inputs, rst=int(reset))
        assert int(dut.o_ready.value) == sum(model.ready << k for k, model in enumerate(models))
        for slot, model in enumerate(models):
            found = int(dut.o_status.value) >> 8 * slot & 0xFF
            assert not model.ready or found == model.status, f"slot {slot}"
            timeouts += model.ready and model.status == UserStatus.TIMEOUT
        wanted = asked[0] < slots and not models[asked[0]].refused(asked[1])
        assert dut.o_refused.value == (not wanted)
        refused += not wanted
        at = {port: event[0] for port, event in events.items()}
        hit("user slots: a verdict and a clear of one slot at once", at.get("i_verdict", -1) == at.get("i_clear", -2))
        hit("user slots: items and a user of one slot at once", at.get("i_items", -1) == at.get("i_begin", -2))
        hit("user slots: a slot that there is not", asked[0] >= slots)
        hit(
            "user slots: a verdict in the cycle of the timeout",
            any(
                waiting[slot]
                and not models[slot].ready
                and models[slot].age == watchdog - 1
                and at.get("i_verdict") == slot
                for slot in range(slots)
            ),
        )
        for slot, model in enumerate(models):
            mine = {port.removeprefix("i_"): number for port, (other, number) in events.items() if other == slot}
            if "verdict" in mine:
                mine["verdict"] = (mine["verdict"], status)
            mine |= {name: True for name in ("begin", "clear") if name in mine}
            model.step(waiting=waiting[slot], **mine)
        if reset:
            models = [Model(watchdog) for _ in range(slots)]
    assert timeouts
    assert refused


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
