"""The expander: coded vectors leave as plain ones, what is wrong with a code shows, and the next packet is fine."""

import random

import cocotb
import numpy as np
import pytest

from microduet_hw.code_reader import CodeReader
from microduet_hw.status import UserStatus
from microduet_hw.user_code import GROUP, code
from microduet_hw.user_expander import UserExpander
from microduet_hw.user_packets import pack_abandon, pack_user, unpack_user, user_beats
from microduet_hw.user_reference import packet_status, plain_packet
from tests.support.bench import bench_parameters, run_bench
from tests.support.cover_plan import hit
from tests.support.flow import begin, cycle
from tests.support.users import UserSender

MODEL = {"version": 77, "scale": np.float32(0.0375), "zero_point": 0}
LENGTHS = {"one element": 1, "a beat": 64, "a beat and one": 65, "RM4": 768}
IDLE = {"s_axis_users__tvalid": 0, "m_axis_users__tready": 0}


def vector_of(length, share):
    """A random vector, about `share` of it zeros."""
    rng = np.random.default_rng(random.getrandbits(32))
    return np.where(rng.random(length) < share, 0, rng.integers(1, 256, length)).astype(np.uint8)


def packet_of(vector, *, coded):
    header = {"number": random.getrandbits(16), "slot": random.getrandbits(6), **MODEL}
    return pack_user(**header, payload=vector, coded=code(vector) if coded else None)


def damaged(packet, vector):
    """The coded packet of a vector with one thing wrong with it."""
    used, packet = len(code(vector)), packet.copy()
    text = packet.view(np.uint8).reshape(-1)[64:]
    rest = len(vector) % GROUP
    match random.choice(["bit", "mask", "short", "long"] + ["beyond"] * (rest > 0)):
        case "bit":
            text[random.randrange(used)] ^= 1 << random.randrange(8)
        case "mask":
            text[random.randrange(2)] ^= 1 << random.randrange(8)
        case "beyond":
            text[used - np.count_nonzero(vector[-rest:]) - 1] |= 0x80
        case "short":
            return packet[: random.randrange(1, len(packet))]
        case _:
            extra = np.full((random.choice([1, 2, 5]), 16), random.getrandbits(32), np.uint32)
            return np.concatenate([packet, extra])
    return packet


def random_packet(length):
    """A packet, and the vector that it is of: most are coded, a third of those are damaged."""
    vector = vector_of(length, random.choice([0.0, 0.5, 1.0, random.random()]))
    kind = random.random()
    hit("user expander: a vector of zeros", not vector.any())
    hit("user expander: a vector without zeros", vector.all())
    if kind < 0.1:
        return pack_abandon(number=1, slot=2), None
    packet = packet_of(vector, coded=kind >= 0.3)
    return (damaged(packet, vector), vector) if kind >= 0.7 else (packet, vector)


async def handed_on(dut, packets, *, wait, stall, cycles=None):
    """The packets that leave; `cycles` collects when beats come and leave."""
    sender, found, beats, held = UserSender(packets, wait=wait), [], [], None
    for _ in range(100 * sum(map(len, packets)) + 1000):
        ready = random.random() >= stall
        await cycle(dut, **sender.inputs(), m_axis_users__tready=int(ready))
        valid = int(dut.m_axis_users__tvalid.value)
        offer = (int(dut.m_axis_users__tdata.value), int(dut.m_axis_users__tlast.value)) if valid else None
        assert held in (None, offer), "an offer changed before it was taken"
        if cycles is not None:
            cycles.append((sender.offered and dut.s_axis_users__tready.value == 1, bool(valid and ready)))
        sender.look(dut)
        held = offer if not ready else None
        hit("user expander: a beat waits", held is not None)
        if offer and ready:
            beats.append(np.frombuffer(offer[0].to_bytes(64, "little"), np.uint32))
            if offer[1]:
                found.append(np.stack(beats))
                beats = []
        if len(found) == len(packets) and not sender.beats:
            return found
    raise AssertionError(f"{len(found)} of {len(packets)} packets left")


@cocotb.test()
async def hands_on_what_the_reference_says(dut):
    parameters = bench_parameters()
    length = LENGTHS[parameters["length"]]
    made = [random_packet(length) for _ in range(500)]
    await begin(dut, **IDLE)
    left = await handed_on(dut, [p for p, _ in made], wait=parameters["wait"], stall=parameters["stall"])
    seen = set()
    for number, ((packet, vector), found) in enumerate(zip(made, left, strict=True)):
        assert found.tolist() == plain_packet(packet, length=length).tolist(), number
        if vector is None:
            continue
        status = packet_status(found, length=length, **MODEL)
        right = unpack_user(found).payload.tolist() == vector.tolist()
        # A bit too many may stand for a byte behind the code that is 0: the vector is the right one then.
        assert (status == UserStatus.OK) <= right, number
        seen.add(status)
    assert {UserStatus.OK, UserStatus.WRONG_LENGTH, UserStatus.CHECKSUM} <= seen


@cocotb.test()
async def takes_no_longer_than_it_says(dut):
    length = LENGTHS[bench_parameters()["length"]]
    await begin(dut, **IDLE)
    for share in (0.0, 0.5, 1.0):
        cycles = []
        packet = packet_of(vector_of(length, share), coded=True)
        await handed_on(dut, [packet], wait=0, stall=0, cycles=cycles)
        came, left = ([now for now, one in enumerate(cycles) if one[way]] for way in range(2))
        assert left[0] == came[0]
        assert left[-1] - came[1] == UserExpander(length=length).latency
    cycles = []
    await handed_on(dut, [packet_of(vector_of(length, 0.5), coded=False)] * 3, wait=0, stall=0, cycles=cycles)
    assert cycles == [(True, True)] * (3 * user_beats(length))


@cocotb.test()
async def forgets_half_a_code_in_a_reset(dut):
    length = LENGTHS[bench_parameters()["length"]]
    packet = packet_of(vector_of(length, 0.5), coded=True)
    await begin(dut, **IDLE)
    sender = UserSender([packet], wait=0)
    for _ in range(random.randint(2, 6)):
        await cycle(dut, **{**sender.inputs(), "s_axis_users__tlast": 0}, m_axis_users__tready=1)
        sender.look(dut)
    await cycle(dut, **IDLE, rst=1)
    await cycle(dut, **IDLE, rst=0)
    (found,) = await handed_on(dut, [packet], wait=0, stall=0)
    assert found.tolist() == plain_packet(packet, length=length).tolist()


@pytest.mark.parametrize(("wait", "stall"), [(0.0, 0.0), (0.5, 0.3)])
@pytest.mark.parametrize("length", list(LENGTHS))
def test_hands_on(length, wait, stall):
    parameters = {"length": length, "wait": wait, "stall": stall}
    run_bench(UserExpander(length=LENGTHS[length]), module=__name__, parameters=parameters)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"length": 0, "size": 64}, "length must be at least 1, not 0"),
        ({"length": 5, "size": 32}, "size must be a power of two, at least 36, not 32"),
        ({"length": 5, "size": 65}, "size must be a power of two, at least 36, not 65"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        CodeReader(**sizes)
