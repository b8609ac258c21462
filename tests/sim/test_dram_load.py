"""Latency over load: reads lie where they should, more in flight give more until the channel is full."""

from itertools import pairwise

import numpy as np
import pytest

from microduet_sim.dram.load import OUTSTANDING, LoadPoint, load_points, random_reads
from microduet_sim.dram.parameters import DramParameters, built_in

HBM, DDR = built_in("hbm2-u280"), built_in("ddr4-2400")


def points(parameters: DramParameters, size: int) -> list[LoadPoint]:
    return list(load_points(parameters, [size], transactions=4000))


@pytest.mark.parametrize("size", [1, 32, 100, 4096])
def test_reads_lie_anywhere_in_the_channel_at_multiples_of_their_size(size: int) -> None:
    trace = random_reads(HBM, size, transactions=4000)
    assert (trace.bytes == size).all()
    assert (trace.addresses % np.uint64(size) == 0).all()
    assert int(trace.addresses.max()) + size <= HBM.bytes
    assert np.histogram(trace.addresses, bins=8, range=(0, HBM.bytes))[0].min() > 400


def test_the_same_seed_gives_the_same_points() -> None:
    assert points(HBM, 64) == points(HBM, 64)
    other = list(load_points(HBM, [64], transactions=4000, seed=1))
    assert other != points(HBM, 64)


# Without refresh: idle reads are row misses; a full channel is held by tRRD and tFAW, or by the data bus.
FULL = [
    # parameters, bytes, idle cycles, gigabytes per second at most
    (HBM, 32, 45, 32 * 4 / (HBM.tFAW * HBM.tCK_ns)),
    (HBM, 64, 49, 64 * 2 / (HBM.tFAW * HBM.tCK_ns)),
    (HBM, 256, 61, HBM.peak_gigabytes_per_s),
    (DDR, 64, 56, DDR.peak_gigabytes_per_s),
]


@pytest.mark.parametrize("case", FULL, ids=lambda case: f"{case[0].burst_bytes}-{case[1]}")
def test_load_ends_where_the_channel_is_full(case: tuple[DramParameters, int, int, float]) -> None:
    parameters, size, idle, limit = case
    measured = points(parameters.replace(refresh="off"), size)
    assert [point.outstanding for point in measured] == list(OUTSTANDING)
    assert measured[0].p50_ns == pytest.approx(idle * parameters.tCK_ns, abs=1e-3)
    for less, more in pairwise(measured):
        assert more.gigabytes_per_s > 0.99 * less.gigabytes_per_s
        assert more.mean_ns >= less.mean_ns
    full = measured[-1]
    assert 0.9 * limit < full.gigabytes_per_s <= 1.001 * limit
    assert full.peak_share == pytest.approx(full.gigabytes_per_s / parameters.peak_gigabytes_per_s, abs=1e-4)


def test_outstanding_is_load_times_latency() -> None:
    for point in points(HBM, 128):
        in_flight = point.gigabytes_per_s / point.bytes * (point.mean_ns + HBM.tCK_ns)
        assert in_flight == pytest.approx(point.outstanding, rel=0.04)


@pytest.mark.parametrize("size", [0, -64, 4097])
def test_reads_that_no_burst_can_make_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"reads must be of 1 to 4096 bytes, not {size}"):
        random_reads(HBM, size)
