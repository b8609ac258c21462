"""The planner's channel model against the DRAM's model behind a port: `-s` prints both."""

from collections.abc import Sequence

import numpy as np
import pytest

from microduet.planner.model import CHANNELS, joint_load, part_load
from microduet_hw.config import SourceKind
from microduet_sim.dram.channel import DramChannel
from microduet_sim.dram.channels import default_parameters

PORT_MHZ = 450
PHASES = 12
"""Starts of which the mean is taken: the clocks are in no simple ratio."""
ROW = {SourceKind.HBM: 1 << 14, SourceKind.DDR: 1 << 17}
"""Bytes from one row of a bank to the next."""
BANKS = {
    SourceKind.HBM: [bank << 11 | group << 5 for bank in range(8) for group in range(2)],
    SourceKind.DDR: [bank << 14 | group << 6 for bank in range(8) for group in range(2)],
}
"""An address in each bank."""
CLOSE = {False: {"abs": 3.2, "rel": 0}, True: {"abs": 0, "rel": 0.05}}
"""How far the law may be off: in ns for one or two rows, a part of the time for more."""
Reads = Sequence[tuple[int, int]]
"""Address and beats of each."""


def last_beat(channel: DramChannel, reads: Reads, cycle: int) -> int:
    """The cycle of the last beat of `reads`, issued one per cycle from `cycle` on."""
    waiting, left = list(enumerate(reads)), sum(beats for _, beats in reads)
    while True:
        if waiting and channel.ready:
            number, (at, beats) = waiting.pop(0)
            channel.read(at, beats=beats, id=number % 64, cycle=cycle)
        if channel.offer(cycle) is not None:
            channel.take()
            left -= 1
            if not left:
                return cycle
        cycle += 1


def measured_ns(kind: SourceKind, reads: Reads, *, phases: int = PHASES) -> float:
    """From the first request to the last beat, when every bank has another row open."""
    parameters, times = default_parameters(kind).replace(refresh="off"), list[int]()
    for phase in range(phases):
        with DramChannel(parameters, port_mhz=PORT_MHZ) as channel:
            begin = last_beat(channel, [(at + 9 * ROW[kind], 1) for at in BANKS[kind]], 100 + 997 * phase) + 500
            times.append(last_beat(channel, reads, begin) - begin)
    return float(np.mean(times)) * 1000 / PORT_MHZ


def modelled_ns(kind: SourceKind, *, reads: int, beats: int, groups: int) -> float:
    return joint_load(kind, [part_load(kind, 1, beats)] * reads, groups).ps(kind) / 1000


def bank(number: int, of: int) -> int:
    """Where part `number` of so many on an HBM channel begins: as `pieces.place` deals out shares."""
    return number * (8 // of) << 11


SEPARATE = [(of, reads) for of, most in ((1, 1), (2, 2), (4, 4), (8, 8)) for reads in range(of // 2 + 1, most + 1)]


@pytest.mark.parametrize("beats", range(1, 9))
def test_parts_in_banks_of_their_own(beats: int) -> None:
    for shares, count in SEPARATE:
        found = measured_ns(SourceKind.HBM, [(bank(k, shares), beats) for k in range(count)])
        law = modelled_ns(SourceKind.HBM, reads=count, beats=beats, groups=count)
        print(f"hbm, {count} rows of {beats} beats in other banks: {found:.1f} ns, law {law:.1f}")
        assert law == pytest.approx(found, **CLOSE[count > 2])


@pytest.mark.parametrize("kind", [SourceKind.HBM, SourceKind.DDR])
@pytest.mark.parametrize("beats", range(1, 9))
def test_parts_in_one_bank(kind: SourceKind, beats: int) -> None:
    for count in (1, 2, 3):
        found = measured_ns(kind, [(k * ROW[kind], beats) for k in range(count)])
        law = modelled_ns(kind, reads=count, beats=beats, groups=1)
        print(f"{kind}, {count} rows of {beats} beats in one bank: {found:.1f} ns, law {law:.1f}")
        assert law == pytest.approx(found, **CLOSE[count > 2])


@pytest.mark.parametrize("beats", range(1, 9))
def test_two_parts_of_three_in_one_bank(beats: int) -> None:
    first, second = bank(0, 2), bank(1, 2)
    orders = ([first, first, second], [first, second, first], [second, first, first])
    found = max(
        measured_ns(SourceKind.HBM, [(at + k * ROW[SourceKind.HBM], beats) for k, at in enumerate(order)])
        for order in orders
    )
    law = modelled_ns(SourceKind.HBM, reads=3, beats=beats, groups=2)
    print(f"hbm, 3 rows of {beats} beats, two in one bank: {found:.1f} ns, law {law:.1f}")
    assert law == pytest.approx(found, **CLOSE[True])


@pytest.mark.parametrize("kind", [SourceKind.HBM, SourceKind.DDR])
@pytest.mark.parametrize("beats", [1, 2, 8])
def test_random_rows_of_one_table_on_the_slowest_of_all_channels(kind: SourceKind, beats: int) -> None:
    random, stride = np.random.default_rng(1), 32 * beats
    for count in (4, 16, 64, 230):
        rows = random.integers(0, (1 << 28) // stride, (CHANNELS, count)).tolist()
        found = max(measured_ns(kind, [(row * stride, beats) for row in item], phases=1) for item in rows)
        law = part_load(kind, count, count * beats).ps(kind) / 1000
        print(f"{kind}, {count} random rows of {beats} beats: {found:.1f} ns, law {law:.1f}")
        assert law == pytest.approx(found, rel=0.4)
