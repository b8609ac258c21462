"""Sums made inside a channel's memory: every row read once by the rules, ranks and bank groups in parallel, bounds."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microduet_sim.dram.near_memory import RECNMP, TRIM, Adders, Gather, NearMemory, Reduced, channel_bits, reduce
from microduet_sim.dram.parameters import COMMANDS, DramParameters, built_in
from tests.support.dram_rules import broken_rules
from tests.support.dram_sets import parameter_sets

DIMM, DDR5 = built_in("ddr4-2400-dimm"), built_in("ddr5-4800-dimm")
QUIET = DIMM.replace(refresh="off")
MODES = pytest.mark.parametrize("near", [RECNMP, TRIM], ids=["rank", "bank-group"])


def gather(parameters: DramParameters, *, rows: int, size: int = 256, per_sum: int = 40, seed: int = 0) -> Gather:
    """Uniform rows, `per_sum` of them to a sum."""
    addresses = np.random.default_rng(seed).integers(0, parameters.bytes // size, rows) * size
    return Gather(
        addresses=addresses.astype(np.uint64), sums=(np.arange(rows) // per_sum).astype(np.uint32), bytes=size
    )


def fields(addresses: npt.NDArray[np.uint64], t: DramParameters) -> dict[str, npt.NDArray[np.uint64]]:
    """Rank, bank over all ranks, and row of each burst, by the address map."""
    found = np.zeros((5, len(addresses)), np.uint64)
    for segment in t.segments():
        bits = addresses // np.uint64(t.burst_bytes) >> np.uint64(segment.from_bit)
        found[segment.field] |= (bits & np.uint64((1 << segment.bits) - 1)) << np.uint64(segment.to)
    row, group, bank, _, rank = found
    banks = (rank * np.uint64(t.bank_groups) + group) * np.uint64(t.banks_per_group) + bank
    return {"rank": rank, "group": rank * np.uint64(t.bank_groups) + group, "bank": banks, "row": row}


def speed(found: Reduced) -> float:
    """Bytes per cycle of rows."""
    return len(found.gather) * found.gather.bytes / found.cycles


@st.composite
def gathers(draw: st.DrawFn, t: DramParameters) -> Gather:
    """Rows on few or on all rows of all banks, some of them twice, in sums of any length."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    rows, size = draw(st.integers(1, 200)), draw(st.sampled_from([1, 64, 128, 192, 256]))
    span = draw(st.sampled_from([4, 1 << 10, t.bytes // 256]))
    starts = np.sort(random.choice(rows, draw(st.integers(1, rows)), replace=False))
    starts[0] = 0
    sums = np.searchsorted(starts, np.arange(rows), side="right") - 1
    addresses = random.integers(0, span, rows).astype(np.uint64) * np.uint64(256)
    return Gather(addresses=addresses, sums=sums.astype(np.uint32), bytes=size)


@st.composite
def modes(draw: st.DrawFn) -> NearMemory:
    return NearMemory(
        adders=draw(st.sampled_from(list(Adders))),
        instruction_bits=draw(st.sampled_from([1, 79, 85, 700])),
        queue=draw(st.sampled_from([1, 2, 32])),
        sums=draw(st.sampled_from([1, 3, 16])),
        dimm_ranks=draw(st.sampled_from([1, 2, 8])),
    )


SETS = [DIMM.with_ranks(ranks) for ranks in (1, 2, 8)] + [DDR5]


@settings(max_examples=120, deadline=None)
@given(st.data(), parameter_sets(*SETS).filter(lambda t: t.refresh != "single-bank"), modes())
def test_every_row_is_read_once_and_no_rule_is_broken(data: st.DataObject, t: DramParameters, near: NearMemory) -> None:
    wanted = data.draw(gathers(t))
    found = reduce(wanted, t, near, commands=400_000)
    commands = found.commands.tolist()
    assert broken_rules(commands, t, near.adders.value) == []

    bursts = -(-wanted.bytes // t.burst_bytes)
    addresses = (wanted.addresses[:, None] + np.arange(bursts).astype(np.uint64) * np.uint64(t.burst_bytes)).ravel()
    place = fields(addresses, t)
    reads = Counter((bank, row) for kind, _, bank, row in commands if COMMANDS[kind] == "RD")
    assert reads == Counter(zip(place["bank"].tolist(), place["row"].tolist(), strict=True))
    assert {name: found.counted(name) for name in COMMANDS} == {
        name: sum(COMMANDS[kind] == name for kind, *_ in commands) for name in COMMANDS
    }

    per_row = fields(wanted.addresses, t)
    dimms = (per_row["rank"] // np.uint64(near.dimm_ranks)).tolist()
    assert found.dimm_sums == len(set(zip(wanted.sums.tolist(), dimms, strict=True)))
    parts = set(zip(wanted.sums.tolist(), per_row["group"].tolist(), strict=True))
    assert found.partial_sums == (len(parts) if near.adders is Adders.BANK_GROUP else 0)
    assert (found.sent[wanted.sums] > found.completion).all()
    assert (found.completion > 0).all()
    assert all(0 <= share <= 1 for share in found.shares().values())


# A row of one or four bursts, its bank closed: the instruction's cycles on the channel and on the rank's pins, one to
# be seen, tRCD, three more reads at tCCD_L, CL and a burst; the part's way to the rank; the sum's to the host.
ALONE = [
    (RECNMP, QUIET, 64, 1 + 0 + 1 + 16 + 16 + 4 + 0 + 4),
    (RECNMP, QUIET, 256, 1 + 0 + 1 + 16 + 3 * 6 + 16 + 4 + 0 + 16),
    (TRIM, QUIET, 64, 1 + 4 + 1 + 16 + 16 + 4 + 4 + 4),
    (TRIM, QUIET, 256, 1 + 4 + 1 + 16 + 3 * 6 + 16 + 4 + 16 + 16),
    (TRIM, DDR5, 64, 2 + 7 + 1 + 39 + 40 + 8 + 8 + 8),
]


@pytest.mark.parametrize(("near", "parameters", "size", "cycles"), ALONE)
def test_a_row_alone_takes_its_commands_times(
    near: NearMemory, parameters: DramParameters, size: int, cycles: int
) -> None:
    one = Gather(addresses=np.zeros(1, np.uint64), sums=np.zeros(1, np.uint32), bytes=size)
    assert reduce(one, parameters, near).cycles == cycles


@MODES
def test_twice_the_ranks_are_twice_as_fast(near: NearMemory) -> None:
    speeds = [speed(reduce(gather(t, rows=20_000), t, near)) for t in (DIMM.with_ranks(k) for k in (1, 2, 4))]
    assert speeds[1] / speeds[0] == pytest.approx(2, rel=0.06)
    assert speeds[2] / speeds[0] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(("parameters", "size", "least", "most"), [
    # tFAW allows four rows per 26 cycles, their buses 6 cycles per burst and group: 2.46 and 1.23 times a rank's bus.
    (DIMM, 256, 2.1, 16 / 6.5),
    (DIMM, 128, 1.15, 8 / 6.5),
    # Four rows per 32 cycles: 4 and 2 times.
    (DDR5, 256, 3.0, 32 / 8),
    (DDR5, 128, 1.8, 16 / 8),
])  # fmt: skip
def test_bank_groups_are_faster_than_ranks_by_what_activations_allow(
    parameters: DramParameters, size: int, least: float, most: float
) -> None:
    rows = gather(parameters, rows=20_000, size=size, per_sum=120)
    rank, group = (reduce(rows, parameters, near) for near in (RECNMP, TRIM))
    assert least < speed(group) / speed(rank) < 1.02 * most


def test_a_ranks_bus_is_full_but_for_refresh() -> None:
    shares = reduce(gather(DIMM, rows=20_000), DIMM, RECNMP).shares()
    assert shares["refresh"] == pytest.approx(DIMM.tRFC / DIMM.tREFI, rel=0.1)
    assert 0.96 < shares["bus"] / (1 - shares["refresh"]) <= 1
    assert max(shares, key=lambda name: shares[name]) == "bus"


@MODES
def test_refreshes_come_to_every_rank_and_cost_their_time(near: NearMemory) -> None:
    rows = gather(DIMM, rows=40_000)
    busy, quiet = reduce(rows, DIMM, near), reduce(rows, QUIET, near)
    per_rank = busy.counts[:, COMMANDS.index("REFAB")]
    assert np.abs(per_rank.astype(int) - busy.cycles // DIMM.tREFI).max() <= 1
    assert quiet.counted("REFAB") == 0
    assert busy.cycles - quiet.cycles >= 0.9 * int(per_rank.min()) * DIMM.tRFC


def test_parts_of_sums_rest_with_their_rank() -> None:
    one, none = (
        reduce(gather(t, rows=20_000, size=128, per_sum=8), t, TRIM) for t in (DDR5, DDR5.replace(refresh="off"))
    )
    shares = one.shares()
    assert max(shares, key=lambda name: shares[name]) == "partial sums"
    assert 0.97 < shares["partial sums"] + shares["refresh"] <= 1.01
    assert one.cycles / none.cycles == pytest.approx(1 / (1 - DDR5.tRFC / DDR5.tREFI), rel=0.02)


def test_narrow_command_pins_bound_bank_groups() -> None:
    narrow = QUIET.replace(ca_bits=4)
    found = reduce(gather(narrow, rows=10_000), narrow, TRIM)
    assert found.cycles >= 10_000 // 2 * -(-85 // 4)
    assert 0.97 < found.shares()["commands"] <= 1
    assert speed(found) < 0.6 * speed(reduce(gather(QUIET, rows=10_000), QUIET, TRIM))


@MODES
def test_long_instructions_bound_the_channel(near: NearMemory) -> None:
    long = NearMemory(adders=near.adders, instruction_bits=20 * channel_bits(QUIET), queue=32)
    shares = reduce(gather(QUIET, rows=10_000, per_sum=1000), QUIET.replace(ca_bits=22), long).shares()
    if near.adders is Adders.RANK:
        assert 0.97 < shares["channel"] <= 1
    else:
        assert 0.97 < shares["commands"] <= 1


def test_short_sums_fill_the_channel_and_gain_nothing_from_more_ranks() -> None:
    eight = QUIET.with_ranks(8)
    found = reduce(gather(eight, rows=10_000, per_sum=4), eight, RECNMP)
    assert 0.9 < found.shares()["channel"] <= 1
    assert found.shares()["bus"] < 0.5


def test_one_sum_at_a_time_and_one_row_at_a_time_wait_for_each_other() -> None:
    rows = gather(QUIET, rows=400, per_sum=10)
    alone = NearMemory(adders=Adders.RANK, instruction_bits=79, queue=1, sums=1)
    found = reduce(rows, QUIET, alone)
    first = found.completion.reshape(-1, 10).min(axis=1)
    assert (first[1:] > found.sent[:-1]).all()
    assert found.cycles > 4 * reduce(rows, QUIET, RECNMP).cycles


def test_the_same_gather_takes_the_same_time() -> None:
    rows = gather(DIMM, rows=2000)
    assert reduce(rows, DIMM, TRIM).completion.tolist() == reduce(rows, DIMM, TRIM).completion.tolist()


def rows_at(*addresses: int, sums: tuple[int, ...] | None = None, size: int = 64) -> Gather:
    numbers = sums if sums is not None else range(len(addresses))
    return Gather(addresses=np.array(addresses, np.uint64), sums=np.array(numbers, np.uint32), bytes=size)


BAD = [
    (rows_at(), DIMM, "a gather must be of rows of at least 1 byte with a sum each, not 0 rows"),
    (rows_at(0, size=0), DIMM, "a gather must be of rows of at least 1 byte"),
    (rows_at(0, 64, sums=(0,)), DIMM, "not 2 rows of 64 bytes and 1 sums"),
    (rows_at(0, 64, sums=(1, 2)), DIMM, "sums must count from 0 up"),
    (rows_at(0, 64, 128, sums=(0, 1, 0)), DIMM, "sums must count from 0 up"),
    (rows_at(0, 64, sums=(0, 2)), DIMM, "sums must count from 0 up"),
    (rows_at(DIMM.bytes - 32), DIMM, "rows must end within the channel's 0x400000000 bytes, not at 0x400000020"),
    (rows_at(0), built_in("hbm2-u280-rows"), "refresh must be 'all-bank' or 'off' where ranks sum, not 'single-bank'"),
]


@pytest.mark.parametrize(("wrong", "parameters", "message"), BAD)
def test_a_wrong_gather_is_refused(wrong: Gather, parameters: DramParameters, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reduce(wrong, parameters, RECNMP)


@pytest.mark.parametrize("name", ["instruction_bits", "queue", "sums", "dimm_ranks"])
def test_a_near_memory_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        NearMemory(**{"adders": Adders.RANK, "instruction_bits": 79, name: 0})


def test_progress_is_told_and_may_stop_it() -> None:
    told: list[int] = []
    rows = gather(QUIET, rows=60_000, size=64)
    reduce(rows, QUIET, RECNMP, progress=lambda done, of: told.append(done))
    assert len(told) >= 3
    assert told == sorted(told)

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reduce(rows, QUIET, RECNMP, progress=stop)
