"""The buffer of messages: whole packets become messages, and every reason to refuse one is told."""

import random
from collections import Counter

import cocotb
import msgspec
import pytest
from amaranth.hdl import Value

from microduet_hw.edge.config import BEAT_BITS, EdgeConfig
from microduet_hw.edge.message import EdgeStatus, Kind, message_beats, message_elements
from microduet_hw.edge.message_buffer import MessageBuffer, buffer_rows
from microduet_hw.edge.reference import message_status
from tests.support.bench import bench_parameters, run_bench
from tests.support.edge import bottom, small_edge
from tests.support.edge_messages import IDLE, Packet, give, stands
from tests.support.flow import begin, cycle

VERSIONS = (0, 1, 1 << 31, 0xFFFFFFFF)
REASONS = (
    EdgeStatus.STALE_VERSION,
    EdgeStatus.WRONG_COUNT,
    EdgeStatus.SHORT_PACKET,
    EdgeStatus.LONG_PACKET,
    EdgeStatus.UNKNOWN,
)


def nearly(number, bits):
    """The number with one of its bits changed."""
    return number ^ 1 << random.randrange(bits)


def random_packet(config, *, right):
    """A packet of any kind: as it should be with probability `right`, else wrong in one way or several."""
    kind, groups = random.choice(list(Kind)), len(config.histories)
    group = random.randrange(groups)
    elements, beats = message_elements(config, kind, group), message_beats(config, kind, group)
    if random.random() >= right:
        ways = [random.random() < 0.4 for _ in range(4)]
        others = [0, elements + 1, abs(elements - 1), random.getrandbits(16), nearly(elements, 16)]
        elements = random.choice(others) if ways[0] else elements
        beats = random.choice([0, max(0, beats - 1), beats + 1, beats + 2, 40]) if ways[1] else beats
        kind = random.choice([random.randrange(len(Kind), 256), nearly(kind, 8)]) if ways[2] else kind
        group = random.choice([random.randrange(groups, 256), nearly(group, 8)]) if ways[3] else group
    return Packet(kind=kind, group=group, elements=elements, beats=beats, version=random.choice(VERSIONS))


class Sender:
    """Offers packets beat by beat, each until it is taken, with pauses."""

    def __init__(self, packets, *, eagerness):
        self.beats = [
            (beat, k == len(packet.beats) - 1, packet) for packet in packets for k, beat in enumerate(packet.beats)
        ]
        self.eagerness = eagerness
        self.offered = False

    def inputs(self):
        self.offered = bool(self.beats) and (self.offered or random.random() < self.eagerness)
        beat, last, _ = self.beats[0] if self.offered else (random.getrandbits(BEAT_BITS), random.getrandbits(1), None)
        return {
            "s_axis_items__tvalid": int(self.offered),
            "s_axis_items__tdata": beat,
            "s_axis_items__tlast": int(last),
        }

    def taken(self):
        self.offered = False
        return self.beats.pop(0)


async def look_at(dut, config, packet, status):
    """What the buffer says of a message, in random order, for as long as one likes."""
    expected = int.from_bytes(b"".join(beat.to_bytes(64, "little") for beat in packet.data), "little")
    size = config.row_beats * BEAT_BITS
    rows = -(-len(packet.data) // config.row_beats)
    asked = None
    for _ in range(random.choice([0, 1, 2 * rows + 1])):
        row = random.randrange(rows) if rows and not status else None
        await cycle(dut, i_row=row or 0, i_run=random.getrandbits(1), i_version=random.choice(VERSIONS))
        stands(dut, packet, status)
        if asked is not None:
            kept = min(size, BEAT_BITS * len(packet.data) - asked * size)
            assert (int(dut.o_row.value) ^ expected >> asked * size) & (1 << kept) - 1 == 0, (packet.fields, asked)
        asked = row


@cocotb.test()
async def packets_become_messages(dut):
    given = bench_parameters()
    config, eagerness = EdgeConfig.from_json(given["config"]), given["eagerness"]
    packets = [random_packet(config, right=0.5) for _ in range(given["packets"])]
    elements = message_elements(config, Kind.CLICK, 0)  # few messages of a beat are short by chance
    packets.append(Packet(kind=Kind.CLICK, group=0, elements=elements, beats=0, version=1))
    # Of kinds that are no others but for a bit, chance alone would leave some out.
    packets += [Packet(kind=k ^ 1 << bit, group=0, elements=0, beats=0, version=1) for k in Kind for bit in range(8)]
    sender, statuses, own, kinds = Sender(packets, eagerness=eagerness), [], 0, Counter()
    await begin(dut, **IDLE)
    inside = False
    while sender.beats:
        # The version may change behind a header; a message that has begun goes on without i_run.
        version, run = random.choice(VERSIONS[:2] if eagerness < 1 else VERSIONS[:1]), random.random() < eagerness
        if not inside and random.random() < 0.5:
            version = sender.beats[0][2].fields["version"]
            version = nearly(version, 32) if random.random() < 0.3 else version
        await cycle(dut, i_release=0, i_version=version, i_run=int(run), **sender.inputs())
        assert dut.o_valid.value == 0
        assert dut.s_axis_items__tready.value == (inside or run)
        if not (sender.offered and (inside or run)):
            continue
        own = own if inside else version
        _, last, packet = sender.taken()
        inside = not last
        if last:
            statuses.append(packet.status(config, own_version=own))
            kinds[packet.fields["kind"]] += statuses[-1] == 0
            await cycle(dut, **sender.inputs())
            stands(dut, packet, statuses[-1])
            await look_at(dut, config, packet, statuses[-1])
            await cycle(dut, i_release=1)
            stands(dut, packet, statuses[-1])
    assert statuses.count(EdgeStatus.OK) > len(packets) // 10
    assert all(any(reason in status for status in statuses) for reason in REASONS)
    assert len(set(statuses)) > 10, "combinations"
    known = set(Kind) - ({Kind.STATIC} if config.static is None else set())
    assert {kind for kind, count in kinds.items() if count} == known


@cocotb.test()
async def takes_a_beat_per_cycle(dut):
    """Without waits a message of n beats takes n + 2 cycles: one in which it is there, and is released."""
    config = EdgeConfig.from_json(bench_parameters()["config"])
    fields = {"kind": Kind.CLICK, "group": 0, "version": 7}
    beats = message_beats(config, Kind.CLICK)
    packets = [Packet(**fields, elements=config.histories[0].elements, beats=beats) for _ in range(20)]
    await begin(dut, **{**IDLE, "i_run": 1, "i_version": 7})
    sender, cycles = Sender(packets, eagerness=1), 0
    while sender.beats:
        await cycle(dut, i_release=0, **sender.inputs())
        cycles += 1
        assert dut.s_axis_items__tready.value == 1
        if sender.taken()[1]:
            await cycle(dut, i_release=1, **sender.inputs())
            cycles += 1
            assert (dut.o_valid.value, dut.o_status.value) == (1, 0)
    assert cycles == len(packets) * (1 + beats + 1)


@cocotb.test()
async def a_host_that_stops_ends_its_own_message(dut):
    """What it sends after all is dropped up to its TLAST; one that comes back a cycle before is waited for."""
    config = EdgeConfig.from_json(bench_parameters()["config"])
    limit, statuses, hesitated = config.watchdog, Counter(), 0
    packets = [random_packet(config, right=0.5) for _ in range(bench_parameters()["packets"])]
    click = {"kind": Kind.CLICK, "group": 0, "elements": config.histories[0].elements, "version": 1}
    packets += [Packet(**click, beats=beats) for beats in [40] * 20 + [message_beats(config, Kind.CLICK)] * 100]
    await begin(dut, **IDLE)
    for packet in random.sample(packets, len(packets)):
        own = packet.fields["version"] if random.random() < 0.7 else random.choice(VERSIONS)
        beats = [(beat, k == len(packet.data)) for k, beat in enumerate(packet.beats)]
        came = random.randint(1, len(beats))
        rest, pause = beats[came:], random.choice([limit - 1, limit, 3 * limit])
        gone = bool(rest) and pause >= limit
        await give(dut, beats[:1], i_run=1, i_version=own, i_release=0)
        await give(dut, beats[1:came], i_run=0)
        for _ in range(min(pause, limit) if rest else 0):
            await cycle(dut, s_axis_items__tvalid=0, i_run=random.getrandbits(1))
            assert (dut.s_axis_items__tready.value, dut.o_valid.value) == (1, 0)
        if not gone:
            await give(dut, rest, i_run=0)
        status = packet.status(config, own_version=own, came=came - 1 if gone else None)
        # The rest of what was given up may be offered already: it is not taken before the message is released.
        offered, (beat, last) = gone and pause == limit, (rest or beats)[0]
        bus = {"s_axis_items__tvalid": int(offered), "s_axis_items__tdata": beat, "s_axis_items__tlast": int(last)}
        await cycle(dut, **bus)
        stands(dut, packet, status)
        await look_at(dut, config, packet, status)
        await cycle(dut, i_release=1)
        stands(dut, packet, status)
        if gone:
            await give(dut, rest, i_release=0, i_run=0)
        statuses[status] += 1
        hesitated += bool(rest) and not gone and not status
    others = (EdgeStatus.OK, EdgeStatus.LONG_PACKET, EdgeStatus.STALE_VERSION)
    assert [other for other in others if not statuses[EdgeStatus.TIMEOUT | other]] == []
    assert not any(EdgeStatus.TIMEOUT | EdgeStatus.SHORT_PACKET in status for status in statuses)
    assert hesitated > 10


CONFIGS = {
    "one history, nothing else": small_edge(((4,), 3)),
    "rows of a beat and a bit": small_edge(((18,), 1), ((18, 18), 5), lanes=18, static=bottom(13, outputs=18)),
    "rows of two beats": small_edge(((32, 32), 9), lanes=32, dynamic=bottom(100, outputs=32)),
    "rows of a beat and a half": small_edge(((24, 96), 9), lanes=24),
    "16 bits": small_edge(((4, 8), 3), ((4,), 2), element_bits=16, static=bottom(70), dynamic=bottom(5)),
}


@pytest.mark.parametrize("eagerness", [1.0, 0.6])
@pytest.mark.parametrize("name", CONFIGS)
def test_packets_become_messages(name, eagerness):
    run_bench(
        MessageBuffer(config=CONFIGS[name]),
        module=__name__,
        scenarios=["packets_become_messages", "takes_a_beat_per_cycle"],
        parameters={"config": CONFIGS[name].to_json().decode(), "eagerness": eagerness, "packets": 300},
    )


# Cycles of a wait that is too long, and how eager another host is, whose messages none of its pauses ends.
@pytest.mark.parametrize(("watchdog", "eagerness"), [(1, 1.0), (2, 1.0), (9, 0.9)])
@pytest.mark.parametrize("name", ["rows of two beats", "16 bits"])
def test_a_host_that_stops_ends_its_own_message(name, watchdog, eagerness):
    config = msgspec.structs.replace(CONFIGS[name], watchdog=watchdog)
    run_bench(
        MessageBuffer(config=config),
        module=__name__,
        scenarios=["a_host_that_stops_ends_its_own_message", "packets_become_messages"],
        parameters={"config": config.to_json().decode(), "packets": 250, "eagerness": eagerness},
    )


ROWS = {
    # rows for the longest message
    "one history, nothing else": 1,
    "rows of a beat and a bit": 2,
    "rows of two beats": 2,
    "rows of a beat and a half": 5,
    "16 bits": 3,
}


@pytest.mark.parametrize("name", ROWS)
def test_has_room_for_the_longest_message(name):
    config = CONFIGS[name]
    assert buffer_rows(config) == ROWS[name]
    buffer = MessageBuffer(config=config)
    assert len(Value.cast(buffer.o_row)) == config.row_beats * BEAT_BITS


STATUSES = [
    # kind, group, elements, beats, version; the flags
    ((Kind.CLICK, 0, 12, 3, 1), "OK"),
    ((Kind.CLICK, 1, 4, 1, 1), "OK"),
    ((Kind.CLICK, 1, 12, 3, 1), "WRONG_COUNT|LONG_PACKET"),
    ((Kind.PRELOAD, 0, 4, 1, 1), "WRONG_COUNT|SHORT_PACKET"),
    ((Kind.CLICK, 2, 0, 0, 1), "UNKNOWN"),
    ((Kind.CLICK, 2, 4, 1, 0), "STALE_VERSION|WRONG_COUNT|LONG_PACKET|UNKNOWN"),
    ((Kind.QUERY, 9, 5, 1, 1), "OK"),
    ((Kind.STATIC, 0, 70, 2, 1), "SHORT_PACKET"),
    ((Kind.CLEAR, 1, 0, 0, 2), "STALE_VERSION"),
    ((7, 0, 0, 0, 1), "UNKNOWN"),
]


@pytest.mark.parametrize(("message", "flags"), STATUSES)
def test_names_every_reason(message, flags):
    fields = dict(zip(("kind", "group", "elements", "beats", "version"), message, strict=True))
    assert message_status(CONFIGS["16 bits"], **fields, own_version=1).name == flags


GONE = [
    # kind, group, elements, beats that came, version; the flags
    ((Kind.CLICK, 0, 12, 0, 1), "TIMEOUT"),
    ((Kind.CLICK, 0, 12, 3, 1), "TIMEOUT"),  # all that it should have, but no TLAST
    ((Kind.CLICK, 0, 12, 4, 1), "LONG_PACKET|TIMEOUT"),
    ((Kind.FENCE, 0, 0, 0, 1), "TIMEOUT"),
    ((Kind.STATIC, 0, 69, 1, 0), "STALE_VERSION|WRONG_COUNT|TIMEOUT"),
    ((7, 0, 0, 0, 1), "UNKNOWN|TIMEOUT"),
]


@pytest.mark.parametrize(("message", "flags"), GONE)
def test_a_message_that_does_not_end_is_late_and_not_short(message, flags):
    fields = dict(zip(("kind", "group", "elements", "beats", "version"), message, strict=True))
    assert message_status(CONFIGS["16 bits"], **fields, own_version=1, gone=True).name == flags
