"""Parameter sets of the DRAM model: what is read, and what is refused."""

import re
from pathlib import Path

import msgspec
import pytest

from microduet_sim.dram.parameters import BUILT_IN, ParameterError, built_in, built_in_text, read_parameters
from tests.support.environment import REPOSITORY


def test_built_in_sets_are_the_card_a_phone_and_a_server() -> None:
    hbm, rows, ddr, lpddr, dimm, ddr5 = (built_in(name) for name in BUILT_IN)
    assert (hbm.bytes >> 20, hbm.burst_bytes, hbm.banks) == (256, 32, 16)
    assert (ddr.bytes >> 30, ddr.burst_bytes, ddr.banks) == (16, 64, 16)
    assert hbm.peak_gigabytes_per_s == pytest.approx(14.4, rel=1e-3)
    assert ddr.peak_gigabytes_per_s == pytest.approx(19.2, rel=1e-3)
    assert (lpddr.bytes >> 30, lpddr.burst_bytes, lpddr.banks) == (1, 32, 8)
    assert 4 * lpddr.peak_gigabytes_per_s == pytest.approx(34.1, rel=1e-3)
    assert (dimm.bytes >> 30, dimm.ranks, dimm.burst_bytes, dimm.banks) == (16, 2, 64, 16)
    assert (ddr5.bytes >> 30, ddr5.ranks, ddr5.burst_bytes, ddr5.banks) == (16, 2, 64, 32)
    assert 4 * dimm.peak_gigabytes_per_s == pytest.approx(76.8, rel=1e-3)
    assert 4 * ddr5.peak_gigabytes_per_s == pytest.approx(76.8, rel=1e-3)
    same = {"address_map": hbm.address_map, "refresh": hbm.refresh, "refresh_phase": hbm.refresh_phase}
    assert rows != hbm
    assert rows.replace(**same) == hbm


def test_a_set_may_say_only_in_what_it_differs_from_another(tmp_path: Path) -> None:
    path = tmp_path / "slow.toml"
    path.write_text('base = "ddr4-2400"\nCL = 19\n')
    assert read_parameters(path) == built_in("ddr4-2400").replace(CL=19)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_printed_set_is_read_again(name: str, tmp_path: Path) -> None:
    flat, nested = tmp_path / "flat.toml", tmp_path / "nested.toml"
    flat.write_text(built_in_text(name))
    nested.write_text(f"[mine]\n{built_in_text(name)}")
    assert read_parameters(flat) == read_parameters(nested) == read_parameters(name) == built_in(name)


def test_the_page_lists_every_key_and_its_values() -> None:
    page = (REPOSITORY / "docs" / "memory.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    sets = [msgspec.to_builtins(built_in(name)) for name in ("hbm2-u280", "ddr4-2400", "lpddr4x-4266")]
    assert [key for key, *_ in rows if key in sets[0]] == list(sets[0])
    for key, *values in rows:
        if key in sets[0]:
            assert [value.strip("`") for value in values] == [str(each[key]) for each in sets], key


WRONG_VALUES = [
    ("tRC = 44", "", "tRC"),
    ("tRC = 44", "tRC = 44\ntXYZ = 3", "tXYZ"),
    ("tRC = 44", "tRC = -44", "tRC must be at least 1, not -44"),
    ("tRC = 44", "tRC = 29", "tRC must be at least tRAS, but 29 < 30"),
    ("tRC = 44", "tRC = 44.5", "tRC"),
    ("tRC = 44", 'tRC = "44"', "tRC"),
    ("tRC = 44", "tRC = 3000000000", "tRC must be below"),
    ("tCCD_L = 4", "tCCD_L = 1", "tCCD_L must be at least tCCD_S, but 1 < 2"),
    ("tRRD_L = 6", "tRRD_L = 3", "tRRD_L must be at least tRRD_S"),
    ("tFAW = 22", "tFAW = 3", "tFAW must be at least tRRD_S"),
    ("tREFI = 3510", "tREFI = 234", "tRFC must be below tREFI, but 234 >= 234"),
    ("tCK_ns = 1.111", "tCK_ns = 0.0", "tCK_ns must be above 0"),
    ("tCK_ns = 1.111", "tCK_ns = nan", "tCK_ns must be at least 1, not nan"),
    ("rows = 16384", "rows = 16000", "rows must be a power of two, not 16000"),
    ("rows = 16384", "rows = 8192", "address_map must have each of 13 RA bits once"),
    (
        "banks_per_group = 4",
        "banks_per_group = 64",
        "ranks x bank_groups x banks_per_group must be at most 128, not 256",
    ),
    ("ranks = 1", "ranks = 3", "ranks must be a power of two, not 3"),
    ("ranks = 1", "ranks = 32", "ranks must be at most 16, not 32"),
    ("ranks = 1", "ranks = 2", "address_map must have each of 1 RK bits once, not []"),
    ("command_buses = 2", "command_buses = 3", "command_buses must be 1 or 2, not 3"),
    ("BG1 BA1", "BA1 BA1", "address_map must have each of 2 BG bits once, not [0]"),
    ("BG1 BA1", "XY1 BA1", "address_map must be of bits like BG0 or ranges like RA13..RA0, not 'XY1'"),
    ("RA13..RA0", "RA0..RA13", "address_map must go from high to low"),
    ("window = 64", "window = 0", "window must be at least 1, not 0"),
    ("distance = 0", "distance = 8", "distance must be 0 to 7, not 8"),
    ("refresh_postpone = 0", "refresh_postpone = 9", "refresh_postpone must be at most 8, not 9"),
    ('refresh = "all-bank"', 'refresh = "sometimes"', "refresh"),
    ("tCK_ns = 1.111", "tCK_ns = = 1", "not a TOML file"),
    ("tCK_ns = 1.111", 'base = "hbm3"', f"base must be {', '.join(BUILT_IN)}, not 'hbm3'"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG_VALUES)
def test_a_wrong_key_is_named_with_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    text = built_in_text("hbm2-u280")
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ParameterError) as raised:
        read_parameters(path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_lists_the_built_in_sets(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=f"no such file; built-in sets are {', '.join(BUILT_IN)}"):
        read_parameters(tmp_path / "none.toml")


def test_several_sets_in_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text("\n".join(f"[{name}]\n{built_in_text(name)}" for name in BUILT_IN))
    with pytest.raises(ParameterError, match=f"must hold one set, not 6: {', '.join(BUILT_IN)}"):
        read_parameters(path)


def test_ddr4_refreshes_no_single_bank() -> None:
    with pytest.raises(ValueError, match="refresh must be 'all-bank' or 'off' where tRFCSB is 0"):
        built_in("ddr4-2400").replace(refresh="single-bank")


@pytest.mark.parametrize(("ranks", "bits"), [(1, ""), (2, "RK0 "), (4, "RK1..RK0 "), (8, "RK2..RK0 ")])
def test_more_ranks_take_the_place_of_those_there_are(ranks: int, bits: str) -> None:
    dimm = built_in("ddr4-2400-dimm")
    more = dimm.with_ranks(ranks)
    assert more.address_map == f"RA15..RA0 BA1 BA0 BG1 BG0 {bits}CA6..CA0"
    assert more.bytes == ranks * (8 << 30)
    assert more.with_ranks(2) == (dimm if ranks > 1 else dimm.replace(address_map=f"RK0 {more.address_map}"))


def test_too_many_ranks_are_refused() -> None:
    with pytest.raises(ValueError, match="ranks x bank_groups x banks_per_group must be at most 128, not 256"):
        built_in("ddr5-4800-dimm").with_ranks(8)
