"""Traces on one channel of DRAM: idle times, what the card delivers, and no timing rule broken on any trace."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microduet_sim.dram.parameters import COMMANDS, DramParameters, built_in
from microduet_sim.dram.replay import Trace, replay
from tests.support.dram_rules import broken_rules
from tests.support.dram_sets import parameter_sets

HBM, DDR, DIMM = built_in("hbm2-u280"), built_in("ddr4-2400"), built_in("ddr4-2400-dimm")
QUIET = HBM.replace(refresh="off")
ROW = 1 << 14
"""Bytes from one row of an HBM bank to the next: the bits below it are columns, groups and banks."""


def trace(addresses: npt.ArrayLike, size: int = 32) -> Trace:
    array = np.asarray(addresses, np.uint64)
    return Trace(addresses=array, bytes=np.full(len(array), size, np.uint32))


def latencies(addresses: list[int], parameters: DramParameters, *, size: int = 32, outstanding: int = 1) -> list[int]:
    return replay(trace(addresses, size), parameters, outstanding=outstanding).latency.tolist()


# One cycle to be seen, then: PRE tRP ACT tRCD RD CL and the burst; see "Latency" in docs/memory.md.
IDLE = [
    ("closed", [0], 32, [1 + 14 + 14 + 2]),
    ("hit", [0, 64], 32, [31, 1 + 14 + 2]),
    ("miss", [0, ROW], 32, [31, 1 + 14 + 14 + 14 + 2]),
    ("two groups closed", [0], 64, [1 + 4 + 14 + 14 + 2]),
    ("two groups miss", [0, ROW], 64, [35, 1 + 14 + 18 + 14 + 2]),
    ("not aligned", [16], 32, [35]),
]


@pytest.mark.parametrize(("addresses", "size", "expected"), [case[1:] for case in IDLE], ids=[case[0] for case in IDLE])
def test_idle_latency_in_cycles(addresses: list[int], size: int, expected: list[int]) -> None:
    assert latencies(addresses, QUIET, size=size) == expected


CHANGES = [
    ({"CL": 19}, 5),
    ({"tRCDRD": 17}, 3),
    ({"tRP": 21}, 7),
    ({"tRTP": 10}, 0),  # the read before is long past
    ({"tRTP": 60}, 60 - 18),  # from that read to the precharge; the miss arrived 17 cycles after it
    ({"tRAS": 200, "tRC": 214}, 201 - 105),  # the activation was at cycle 1, the precharge would be at 105
    ({"BL": 8, "bus_bits": 32}, 2),
]


@pytest.mark.parametrize(("changes", "longer"), CHANGES, ids=[" ".join(case[0]) for case in CHANGES])
def test_a_miss_lasts_as_long_as_its_parameters_say(changes: dict[str, int], longer: int) -> None:
    far = [0, *[64] * 4, ROW]
    assert latencies(far, QUIET.replace(**changes))[-1] == latencies(far, QUIET)[-1] + longer


# (bytes, stride or None for random, working set, window, outstanding, GB/s measured on the card, tolerance)
CARD = [
    (64, None, 1 << 28, 12, 64, 4.754, 0.03),
    (64, None, 1 << 28, 64, 64, 4.754, 0.03),
    (128, None, 1 << 28, 64, 64, 9.6, 0.03),
    (256, None, 1 << 28, 64, 5, 12.6, 0.03),
    (256, None, 1 << 28, 64, 64, 12.6, 0.06),
    (64, 64, 1 << 28, 12, 64, 13.0, 0.03),
    (64, 64, 1 << 28, 64, 64, 13.3, 0.03),
    (32, 4096, 1 << 13, 64, 64, 6.7, 0.03),
    (32, 4096, 1 << 28, 64, 64, 2.4, 0.03),
]


@pytest.mark.parametrize("case", CARD, ids=str)
def test_bandwidths_of_the_card(case: tuple[int, int | None, int, int, int, float, float]) -> None:
    size, stride, span, window, outstanding, card, tolerance = case
    n = 30_000
    random = np.random.default_rng(1).integers(0, span // size, n) * size
    addresses = random if stride is None else np.arange(n) * stride % span
    replayed = replay(trace(addresses, size), HBM.replace(window=window), outstanding=outstanding)
    print(f"{case}: card {card} GB/s, model {replayed.gigabytes_per_s:.2f}")
    assert replayed.gigabytes_per_s == pytest.approx(card, rel=tolerance)


def test_refreshes_come_every_interval_and_take_their_time() -> None:
    busy = replay(trace(np.arange(20_000) * 64 % HBM.bytes, 64), HBM, outstanding=64)
    cycles = int(busy.completion.max())
    assert busy.refreshes in (cycles // HBM.tREFI, cycles // HBM.tREFI - 1)
    quiet = replay(trace(np.arange(20_000) * 64 % HBM.bytes, 64), QUIET, outstanding=64)
    assert quiet.refreshes == 0
    assert cycles - int(quiet.completion.max()) >= busy.refreshes * HBM.tRFC


def test_a_bank_refresh_leaves_the_other_banks_alone() -> None:
    single = HBM.replace(refresh="single-bank")
    addresses = np.random.default_rng(3).integers(0, HBM.bytes // 64, 20_000) * 64
    per_bank = replay(trace(addresses, 64), single, outstanding=1)
    together = replay(trace(addresses, 64), HBM, outstanding=1)
    assert per_bank.refreshes == pytest.approx(int(per_bank.completion.max()) // HBM.tREFISB, abs=1)
    assert np.percentile(per_bank.latency, 99) < np.percentile(together.latency, 99)


def test_postponed_refreshes_follow_the_work_that_is_under_way() -> None:
    addresses = np.random.default_rng(4).integers(0, HBM.bytes // 64, 2000) * 64
    postponed = HBM.replace(refresh_postpone=8)
    replayed = replay(trace(addresses, 64), postponed, outstanding=1, commands=200_000)
    refreshes = [cycle for kind, cycle, _, _ in replayed.commands.tolist() if COMMANDS[kind] == "REFAB"]
    assert len(refreshes) == pytest.approx(int(replayed.completion.max()) // HBM.tREFI, abs=1)
    assert max(np.diff(refreshes)) <= 9 * HBM.tREFI


def test_a_closed_page_is_found_closed() -> None:
    closed = QUIET.replace(page="closed")
    # The second arrives at cycle 32, and tRC after the first's activation at cycle 1 is 45.
    assert latencies([0, 0, ROW], closed) == [31, 31 + 12, 31 + 12]
    assert latencies([0, 0, ROW], closed.replace(tRC=31, tRAS=17, tRTP=3)) == [31, 31, 31]
    assert latencies([0, 0, ROW], QUIET) == [31, 17, 45]


def test_a_row_that_waits_is_not_closed() -> None:
    closed = QUIET.replace(page="closed")
    replayed = replay(trace([0, 64, 128], 32), closed, outstanding=3, commands=20)
    assert [COMMANDS[kind] for kind, *_ in replayed.commands.tolist()] == ["ACT", "RD", "RD", "RD", "AP"]


def test_a_longer_window_finds_more_hits() -> None:
    addresses = np.random.default_rng(5).integers(0, HBM.bytes // 128, 20_000) * 128
    short, long = (replay(trace(addresses, 128), HBM.replace(window=w), outstanding=64) for w in (12, 64))
    assert long.gigabytes_per_s > 1.2 * short.gigabytes_per_s


def test_the_age_limit_ends_a_row_that_everybody_else_wants() -> None:
    # One read of another row of the bank, behind which come hits without end.
    addresses = [0, ROW, *[64 * (k % 8) for k in range(3000)]]
    waits = [latencies(addresses, QUIET.replace(age_limit=limit), outstanding=16)[1] for limit in (100, 1000)]
    assert waits[0] < 200
    assert 1000 <= waits[1] < 1200


def test_transactions_wait_for_their_slot() -> None:
    replayed = replay(trace([0, ROW, 64, 128], 32), QUIET, outstanding=1)
    assert (replayed.arrival[1:] == replayed.completion[:-1] + 1).all()
    together = replay(trace([0, ROW, 64, 128], 32), QUIET, outstanding=4)
    assert together.arrival.tolist() == [0, 0, 0, 0]


@st.composite
def traces(draw: st.DrawFn, size: int) -> tuple[Trace, npt.NDArray[np.bool_]]:
    """Addresses that fall on few rows of all banks, or anywhere, and some writes among them."""
    seed = draw(st.integers(0, 1 << 32))
    random = np.random.default_rng(seed)
    n = draw(st.integers(1, 300))
    span = draw(st.sampled_from([1 << 12, 1 << 17, size]))
    longest = draw(st.sampled_from([32, 256, 4096]))
    sizes = random.integers(1, longest + 1, n).astype(np.uint32)
    addresses = random.integers(0, span - longest, n).astype(np.uint64) if span > longest else np.zeros(n, np.uint64)
    writes = random.random(n) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    return Trace(addresses=addresses, bytes=sizes), writes


@settings(max_examples=150, deadline=None)
@given(st.data(), parameter_sets(HBM, DDR, *(DIMM.with_ranks(ranks) for ranks in (1, 2, 4))), st.integers(1, 80))
def test_no_trace_breaks_a_timing_rule(data: st.DataObject, parameters: DramParameters, outstanding: int) -> None:
    reads, writes = data.draw(traces(parameters.bytes))
    replayed = replay(reads, parameters, outstanding=outstanding, writes=writes, commands=400_000)
    commands = replayed.commands.tolist()
    assert broken_rules(commands, parameters) == []
    bursts = (reads.addresses + reads.bytes - 1) // parameters.burst_bytes - reads.addresses // parameters.burst_bytes
    columns = [COMMANDS[kind] for kind, *_ in commands if COMMANDS[kind] in ("RD", "WR")]
    assert len(columns) == int((bursts + 1).sum())
    assert columns.count("WR") == int((bursts + 1)[writes].sum())
    assert (replayed.completion > replayed.arrival).all()


RULES = [
    *[(name, name[:4]) for name in ("tRP", "tRAS", "tRC", "tRTP", "tRRD_S", "tRRD_L", "tFAW")],
    *[(name, "cycles after") for name in ("tCCD_S", "tCCD_L")],
]


def test_the_checker_of_these_tests_finds_what_is_wrong() -> None:
    right = replay(trace(np.arange(200) * 7937 * 32 % HBM.bytes, 64), HBM, outstanding=8, commands=10_000)
    commands = right.commands.tolist()
    assert broken_rules(commands, HBM) == []
    assert any("command bus" in broken for broken in broken_rules(commands, HBM.replace(command_buses=1)))
    for name, rule in RULES:
        longer = {name, name.replace("_S", "_L"), "tFAW" if name.startswith("tRRD") else "tRC"}
        slower = HBM.replace(**dict.fromkeys(longer, 1000))
        assert any(rule in broken for broken in broken_rules(commands, slower)), name


def test_data_of_another_rank_wait_for_the_bus_to_turn() -> None:
    quiet = DIMM.replace(refresh="off")
    there_and_back = trace(np.arange(400) % 2 * DIMM.page_bytes, 64)
    near, far = (replay(there_and_back, quiet.replace(tRTRS=t), outstanding=8, commands=2000) for t in (0, 6))
    commands = far.commands.tolist()
    assert broken_rules(commands, far.parameters) == []
    assert any("tRTRS" in broken for broken in broken_rules(commands, quiet.replace(tRTRS=1000)))
    # A rank is left only when nothing else in sight wants it, so not every read pays.
    assert int(near.completion.max()) < int(far.completion.max()) <= int(near.completion.max()) + 400 * 6


def test_a_rank_that_refreshes_leaves_the_other_one_alone() -> None:
    addresses = np.random.default_rng(6).integers(0, DIMM.bytes // 64, 20_000) * 64
    for phase in ("aligned", "staggered"):
        replayed = replay(trace(addresses, 64), DIMM.replace(refresh_phase=phase), outstanding=64, commands=200_000)
        first, second = (
            [cycle for kind, cycle, bank, _ in replayed.commands.tolist() if (COMMANDS[kind], bank) == ("REFAB", own)]
            for own in (0, DIMM.banks)
        )
        apart = 0 if phase == "aligned" else DIMM.tREFI // 2
        assert all(abs(other - one - apart) < 100 for one, other in zip(first, second, strict=False))
        assert replayed.refreshes == replayed.counts["REFAB"] == len(first) + len(second) > 2
