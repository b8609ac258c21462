"""The dispatcher: what each kind of message starts, what it waits for, and its one answer."""

import random
from collections import Counter

import cocotb
import pytest

from microduet_hw.edge.answers import RECORD
from microduet_hw.edge.dispatcher import Dispatcher
from microduet_hw.edge.memo import TAG_BITS
from microduet_hw.edge.message import HEADER, HISTORY_KINDS, EdgeStatus, Kind
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import Bare, begin, cycle

STARTS = {"o_history": "i_history_busy", "o_static": "i_static_busy", "o_query": "i_query_busy"}
"""What can be started, and what then says that it is on."""
OWN = (EdgeStatus.MEMO_INVALID, EdgeStatus.SUM_MISMATCH)
"""What the dispatcher itself finds."""
REFUSALS = [1 << bit for bit in range(16) if 1 << bit not in OWN]
IDLE = {"i_valid": 0, "i_status": 0, "o_records__ready": 0} | dict.fromkeys(STARTS.values(), 0)


def random_message(*, refused):
    status = random.choice([1, 1 | 32, random.choice(REFUSALS)]) if random.random() < refused else 0
    # Only a refused message can be of no known kind.
    kind = random.choice([*Kind] if not status else [*Kind, 7, 255])
    header = {"tag": random.getrandbits(32), "version": random.getrandbits(32), "kind": int(kind)}
    return header | {"group": random.getrandbits(8), "elements": random.getrandbits(16), "status": status}


class Surroundings:
    """All that a dispatcher is told, at random: messages, the parts that it starts, room among the records."""

    def __init__(self, *, refused, busy, stall):
        self.refused, self.busy, self.stall = refused, busy, stall
        self.message = None
        self.left = dict.fromkeys(STARTS, 0)
        self.valid = self.updating = 0

    def drive(self):
        if self.message is None and random.random() < 0.7:
            self.message = random_message(refused=self.refused)
        if random.random() < 0.1:
            self.updating ^= 1
        if random.random() < 0.05:
            self.valid ^= 1
        said = self.message or random_message(refused=0.5)
        header = HEADER.const({name: said[name] for name in HEADER.members}).as_bits()
        return {
            "i_valid": int(self.message is not None),
            "i_header": header,
            "i_status": said["status"],
            "i_mismatch": random.getrandbits(1),
            "i_query_ready": int(random.random() < 0.4),
            "i_memo_valid": self.valid,
            "i_memo_updating": self.updating,
            "i_memo_tag": random.getrandbits(TAG_BITS),
            "i_memo_status": random.choice([0, 4, 256, random.getrandbits(16)]),
            "o_records__ready": int(random.random() >= self.stall),
            **{busy: int(self.left[start] > 0) for start, busy in STARTS.items()},
        }

    def edge(self, outputs):
        for start in STARTS:
            self.left[start] = random.randint(0, self.busy) if outputs[start] else max(0, self.left[start] - 1)
        if outputs["o_release"]:
            self.message = None


def decided(trace, first, message, *, statics):
    """The cycle in which a message is decided that comes in cycle `first`: (cycle, what it starts, status)."""
    for now in range(first, len(trace)):
        inputs, kind = trace[now], message["kind"]
        if message["status"]:
            return now, None, message["status"]
        if kind == Kind.STATIC or kind in HISTORY_KINDS:
            return now, "o_static" if kind == Kind.STATIC else "o_history", 0
        if kind == Kind.FENCE and not inputs["i_memo_updating"]:
            return now, None, inputs["i_memo_status"]
        if kind == Kind.QUERY and (inputs["i_memo_valid"] or not statics):
            if inputs["i_query_ready"]:
                return now, "o_query", 0
        elif kind == Kind.QUERY and not inputs["i_memo_updating"]:
            return now, None, int(EdgeStatus.MEMO_INVALID)
    return None


def acted(trace, first, message, *, statics):
    """All that is to be seen of a message that comes in cycle `first`, or None if the trace ends before.

    The cycle and name of its start, the cycles in which its record is offered and taken, and the record.
    """
    decision = decided(trace, first, message, statics=statics)
    if decision is None:
        return None
    at, start, status = decision
    over = at if start is None else at + 1
    while over < len(trace) and start and trace[over][STARTS[start]]:
        over += 1
    offered = taken = over + 1
    while taken < len(trace) and not trace[taken]["o_records__ready"]:
        taken += 1
    if taken >= len(trace):
        return None
    if message["kind"] == Kind.CHECK and start and trace[over]["i_mismatch"]:
        status = int(EdgeStatus.SUM_MISMATCH)
    record = {"status": status, "statics": trace[at]["i_memo_tag"], "payload": int(start == "o_query")}
    record |= {name: message[name] for name in ("tag", "kind")}
    return (at, start), (offered, taken), RECORD.const(record).as_bits()


async def observe(dut, surroundings, cycles):
    """Inputs, outputs and message of every cycle."""
    trace, seen, messages = [], [], []
    for _ in range(cycles):
        inputs = surroundings.drive()
        await cycle(dut, **inputs)
        names = (*STARTS, "o_release", "o_acted", "o_kind", "o_group", "o_records__valid", "o_records__payload")
        outputs = {name: int(getattr(dut, name).value) for name in names}
        trace.append(inputs)
        seen.append(outputs)
        messages.append(surroundings.message)
        surroundings.edge(outputs)
    return trace, seen, messages


@cocotb.test()
async def answers_each_message_once(dut):
    parameters = bench_parameters()
    statics = parameters.pop("statics")
    await begin(dut, **IDLE)
    trace, seen, messages = await observe(dut, Surroundings(**parameters), 5000)
    quiet = dict.fromkeys((*STARTS, "o_release", "o_acted", "o_records__valid"), 0)
    now, kinds, refusals, waits = 0, Counter(), Counter(), Counter()
    while now < len(trace):
        message = messages[now]
        acts = acted(trace, now, message, statics=statics) if message else ((None, None), (now + 1, now), 0)
        if acts is None:
            break
        (start_at, start), (offered, taken), record = acts
        for at in range(now, taken + 1):
            expected = quiet | ({start: 1} if start and at == start_at else {})
            expected |= {"o_records__valid": int(at >= offered)}
            expected |= {"o_release": 1, "o_acted": 1} if at == taken and message else {}
            assert {name: seen[at][name] for name in expected} == expected, (at, message)
            if at >= offered:
                assert seen[at]["o_records__payload"] == record, message
            if message:
                assert (seen[at]["o_kind"], seen[at]["o_group"]) == (message["kind"], message["group"])
        if message:
            status = RECORD.from_bits(record)["status"]
            kinds[message["kind"]] += start is not None or (message["kind"] == Kind.FENCE and not message["status"])
            refusals[status] += 1
            waits[message["kind"], "to start"] += start_at > now
            waits[message["kind"], "to be taken"] += taken > offered
            updated = statics and not trace[now]["i_memo_valid"] and start_at > now
            hit("dispatcher: a query waits for the static update", message["kind"] == Kind.QUERY and updated)
            hit("dispatcher: a fence waits for the static update", message["kind"] == Kind.FENCE and start_at > now)
            hit("dispatcher: a record waits", taken > offered)
        now = taken + 1
    assert all(kinds[kind] > 5 for kind in Kind), kinds
    assert refusals[EdgeStatus.SUM_MISMATCH] > 3
    assert (refusals[EdgeStatus.MEMO_INVALID] > 3) == statics
    assert {4, 256, 0, 33} < set(refusals)
    assert {kind for (kind, wait), count in waits.items() if wait == "to start" and count} == {Kind.QUERY, Kind.FENCE}
    assert all(waits[kind, "to be taken"] for kind in Kind)


CASES = [
    # the model has statics, probability that a message is refused, longest time that a part is busy, stalls
    (True, 0.2, 3, 0.6),
    (True, 0.1, 0, 0.3),
    (False, 0.2, 6, 0.4),
]


@pytest.mark.parametrize(("statics", "refused", "busy", "stall"), CASES)
def test_answers_each_message_once(statics, refused, busy, stall):
    run_bench(
        Bare(Dispatcher(statics=statics)),
        module=__name__,
        parameters={"statics": statics, "refused": refused, "busy": busy, "stall": stall},
    )
