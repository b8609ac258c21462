"""A DRAM channel behind its port: idle times, order, data, back-pressure, switch, writes."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microduet_sim.dram.channel import Beat, DramChannel
from microduet_sim.dram.parameters import DramParameters, built_in

HBM, DDR, LPDDR = built_in("hbm2-u280"), built_in("ddr4-2400"), built_in("lpddr4x-4266")
PORT_MHZ = 450
CYCLE_NS = 1000 / PORT_MHZ
ROW = {"hbm": 1 << 14, "ddr": 1 << 17}
"""Bytes from one row of a bank to the next."""


def answers(channel: DramChannel, cycle: int, *, beats: int, limit: int = 20_000) -> Iterator[tuple[int, Beat]]:
    """The next `beats` beats and the cycles in which they are taken, each at once."""
    for now in range(cycle, cycle + limit):
        beat = channel.offer(now)
        if beat is None:
            continue
        channel.take()
        yield now, beat
        beats -= 1
        if not beats:
            return
    raise AssertionError(f"{beats} beats did not come in {limit} cycles")


def read_ns(channel: DramChannel, at: int, cycle: int, *, beats: int = 1) -> float:
    channel.read(at, beats=beats, id=0, cycle=cycle)
    return (next(answers(channel, cycle, beats=1))[0] - cycle) * CYCLE_NS


IDLE = [
    # parameters, hit, closed, miss: read at the port of the card, in ns
    ("hbm", HBM, 106.7, 122.2, 137.8, 2.3),
    ("ddr", DDR, 73.3, 89.9, 106.6, 3.4),
]


@pytest.mark.parametrize("case", IDLE, ids=[case[0] for case in IDLE])
def test_idle_reads_take_as_long_as_on_the_card(case: tuple[str, DramParameters, float, float, float, float]) -> None:
    name, parameters, hit, closed, miss, tolerance = case
    times: list[tuple[float, float, float]] = []
    for phase in range(97):  # the clocks are in no simple ratio
        with DramChannel(parameters.replace(refresh="off"), port_mhz=PORT_MHZ) as channel:
            first = read_ns(channel, 0, 1000 + phase)
            again = read_ns(channel, 0, 2000 + phase)
            times.append((again, first, read_ns(channel, ROW[name], 3000 + phase)))
    print(f"{name}: hit, closed, miss on the card {hit}, {closed}, {miss} ns, model {np.mean(times, axis=0).round(1)}")
    assert np.allclose(times, (hit, closed, miss), rtol=0, atol=tolerance)


def test_the_switch_costs_more_the_farther_it_reaches() -> None:
    def closed(**changes: object) -> float:
        with DramChannel(HBM.replace(refresh="off", **changes), port_mhz=PORT_MHZ) as channel:
            return read_ns(channel, 0, 1000)

    assert closed(switch="on") - closed() == pytest.approx(15.6, abs=CYCLE_NS)
    assert closed(switch="on", distance=7) - closed() == pytest.approx(48.9, abs=CYCLE_NS)
    assert closed(distance=7) == closed()


def sequential_gigabytes_per_s(parameters: DramParameters, *, beats: int, ahead: int, count: int = 30_000) -> float:
    """Of one ID's reads of `beats` beats, over and over through 1 MiB, at most `ahead` beats in flight, at 1 GHz."""
    asked = received = cycle = first = 0
    with DramChannel(parameters, port_mhz=1000) as channel:
        while received < count:
            if asked + beats - received <= ahead and channel.ready:
                channel.read(asked * 32 % (1 << 20), beats=beats, id=0, cycle=cycle)
                asked += beats
            if channel.offer(cycle) is not None:
                channel.take()
                received += 1
                first = cycle if received == 1000 else first
            cycle += 1
    return (count - 1000) * 32 / (cycle - first)


SEQUENTIAL = [
    # what is different, changes, beats of a read, beats in flight, GB/s
    ("bursts of 512 bytes", {}, 16, 128, 8.53),
    ("bursts of 256 bytes", {}, 8, 128, 8.53),
    ("half as many beats in flight", {}, 16, 64, 8.39),
    ("banks above all columns", {"address_map": "RA15..RA0 BA2..BA0 CA5..CA0"}, 16, 128, 8.40),
    ("refresh of all banks", {"refresh": "all-bank"}, 16, 128, 7.83),
    ("no refresh", {"refresh": "off"}, 16, 128, 8.53),
]


@pytest.mark.parametrize(("what", "changes", "beats", "ahead", "expected"), SEQUENTIAL)
def test_lpddr_streams_at_the_speed_of_its_bus(
    what: str, changes: dict[str, object], beats: int, ahead: int, expected: float
) -> None:
    found = sequential_gigabytes_per_s(LPDDR.replace(**changes), beats=beats, ahead=ahead)
    print(f"{what}: {found:.3f} GB/s of {LPDDR.peak_gigabytes_per_s:.3f}")
    assert found == pytest.approx(expected, rel=0.01)


def test_another_clock_of_the_port_changes_the_grid_only() -> None:
    with DramChannel(HBM.replace(refresh="off"), port_mhz=300) as channel:
        channel.read(0, beats=1, id=0, cycle=100)
        cycles = next(answers(channel, 100, beats=1))[0] - 100
    assert cycles * 1000 / 300 == pytest.approx(122.2, abs=1000 / 300 + 1)


def contents(seed: int, size: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def test_reads_of_one_id_keep_their_order_and_others_overtake() -> None:
    with DramChannel(HBM.replace(refresh="off"), port_mhz=PORT_MHZ) as channel:
        for k, (at, id) in enumerate([(0, 1), (ROW["hbm"], 1), (2 * ROW["hbm"], 1), (0x840, 2)]):
            channel.read(at, beats=2, id=id, cycle=100 + k)
        order = [beat.id for _, beat in answers(channel, 104, beats=8)]
    assert order == [1, 1, 2, 2, 1, 1, 1, 1]


def test_no_more_reads_than_outstanding_are_taken() -> None:
    with DramChannel(HBM.replace(outstanding=3), port_mhz=PORT_MHZ) as channel:
        for k in range(3):
            assert channel.ready
            channel.read(64 * k, beats=1, id=k, cycle=k)
        assert not channel.ready
        assert any(channel.offer(cycle) for cycle in range(3, 200))
        assert not channel.ready
        channel.take()
        assert channel.ready


def test_writes_are_read_back_and_complete_later() -> None:
    data = contents(1, 512)
    with DramChannel(HBM, port_mhz=PORT_MHZ) as channel:
        channel.write(0x1000, data, cycle=10)
        assert channel.writes_under_way(11) == 16
        channel.read(0x1000, beats=16, id=0, cycle=11)
        beats = [beat.data for _, beat in answers(channel, 12, beats=16)]
        assert channel.writes_under_way(2000) == 0
    assert b"".join(beat.to_bytes(32, "little") for beat in beats) == data.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([HBM, DDR]),
    st.integers(0, 1 << 32),
    st.sampled_from([1, 4, 64]),
    st.floats(0.0, 0.9),
    st.sampled_from([1, 200]),
)
def test_random_reads_get_their_data_in_the_order_of_their_id(
    parameters: DramParameters, seed: int, ids: int, stall: float, pause: int
) -> None:
    random = np.random.default_rng(seed)
    memory = contents(seed, 1 << 14)
    waiting: dict[int, list[tuple[int, int]]] = defaultdict(list)  # of an ID: next address, beats left
    reads, cycle, open_id = 60, 0, None
    with DramChannel(parameters, port_mhz=PORT_MHZ) as channel:
        channel.put(1 << 20, memory)
        while reads or any(waiting.values()):
            cycle += 1
            if reads and channel.ready and random.random() < 1 / pause:
                reads -= 1
                beats = int(random.integers(1, 17))
                at = int(random.integers(0, (len(memory) - 512) // 32)) * 32
                id = int(random.integers(0, ids))
                channel.read((1 << 20) + at, beats=beats, id=id, cycle=cycle)
                waiting[id].append((at, beats))
            beat = channel.offer(cycle + 1)
            if beat is None or random.random() < stall:
                assert cycle < 200_000
                continue
            assert open_id in (None, beat.id)
            at, beats = waiting[beat.id][0]
            assert beat.data.to_bytes(32, "little") == memory[at : at + 32].tobytes()
            assert beat.last == (beats == 1)
            waiting[beat.id][0] = (at + 32, beats - 1)
            if beat.last:
                waiting[beat.id].pop(0)
            open_id = None if beat.last else beat.id
            channel.take()


def test_bandwidth_through_the_port_is_the_controllers_own() -> None:
    random = np.random.default_rng(2)
    count, cycle, taken = 4000, 0, 0
    with DramChannel(HBM, port_mhz=PORT_MHZ) as channel:
        sent = 0
        while taken < 2 * count:
            cycle += 1
            if sent < count and channel.ready:
                channel.read(int(random.integers(0, HBM.bytes // 64)) * 64, beats=2, id=sent % 64, cycle=cycle)
                sent += 1
            if channel.offer(cycle + 1) is not None:
                channel.take()
                taken += 1
    assert count * 64 / (cycle * CYCLE_NS) == pytest.approx(4.8, rel=0.03)


WRONG = [
    (lambda channel: channel.read(16, beats=1, id=0, cycle=0), "a burst is 1 to 256 beats of 32 bytes, not 1 at 16"),
    (lambda channel: channel.read(0, beats=0, id=0, cycle=0), "not 0 at 0"),
    (lambda channel: channel.read(HBM.bytes - 32, beats=2, id=0, cycle=0), "must lie within the channel's 0x10000000"),
    (lambda channel: channel.read(0, beats=1, id=256, cycle=0), "id must be 0 to 255, not 256"),
    (lambda channel: channel.write(0, np.zeros(33, np.uint8), cycle=0), "whole beats of 32 bytes"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[case[1] for case in WRONG])
def test_wrong_bursts_are_refused(call, message: str) -> None:
    with DramChannel(HBM, port_mhz=PORT_MHZ) as channel, pytest.raises(ValueError, match=message):
        call(channel)
