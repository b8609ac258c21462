"""`microduet bench nmp`: times that add up, ratios beside the paper's, bad arguments named in one line."""

import json
import typing

import pytest

from microduet.duet import zoo
from microduet.near import bench, paper
from microduet.near.compute import SERVER, compute_time, implied_efficiency
from microduet.near.lookups import Server
from microduet.near.measure import MODES, LookupTime, lookup_time
from microduet.near.report import ratios
from microduet_sim.dram.parameters import built_in
from tests.sw.command_line import run

DIMM = built_in("ddr4-2400-dimm")
RM2 = zoo.shape_of("rm2")


def told(done: int, of: int) -> None:
    assert 0 <= done <= of


def times(n: int, *, channels: int = 4, ranks: int = 2) -> dict[str, LookupTime]:
    server = Server(channel=DIMM.with_ranks(ranks), channels=channels)
    return {mode: lookup_time(RM2, RM2.item_features, server, mode, n=n, seed=0, progress=told) for mode in MODES}


def test_ranks_are_faster_than_the_channel_and_bank_groups_than_ranks() -> None:
    found = times(8)
    assert {one.rows for one in found.values()} == {8 * 960}
    assert found["plain"].ms > 1.6 * found["recnmp"].ms > 1.6 * 1.6 * found["trim"].ms
    assert found["plain"].gigabytes_per_s < 4 * DIMM.peak_gigabytes_per_s
    assert found["plain"].gigabytes_per_s < found["recnmp"].gigabytes_per_s < 8 * DIMM.peak_gigabytes_per_s
    assert [found[mode].bound for mode in MODES] == ["bus", "bus", "activations"]
    assert all(0.8 < one.bound_share <= 1 for one in found.values())
    assert all(one.ms <= one.slower_ms for one in found.values())


def test_more_ranks_help_sums_in_memory_and_not_the_channel() -> None:
    two, four = times(8), times(8, ranks=4)
    assert four["plain"].ms == pytest.approx(two["plain"].ms, rel=0.05)
    assert two["recnmp"].ms / four["recnmp"].ms == pytest.approx(2, rel=0.15)


def test_four_channels_are_four_times_one() -> None:
    one, four = times(4, channels=1), times(16)
    assert four["recnmp"].ms == pytest.approx(one["recnmp"].ms, rel=0.1)


def test_an_error_ends_all_channels() -> None:
    def stop(done: int, of: int) -> None:
        raise RuntimeError("enough")

    server = Server(channel=DIMM, channels=4)
    with pytest.raises(RuntimeError, match="enough"):
        lookup_time(RM2, RM2.item_features, server, "trim", n=128, seed=0, progress=stop)


@pytest.mark.parametrize(("name", "whole", "duet"), [("rm2", 319_552, 16_960), ("rm3", 3_203_328, 20_736)])
def test_the_estimate_is_products_over_a_part_of_the_peak(name: str, whole: int, duet: int) -> None:
    shape = zoo.shape_of(name)
    parts = bench.figures(shape, typing.cast(typing.Any, zoo.split_of(shape, "duet"))).parts
    found = compute_time(shape, parts, n=1000, how="estimate")
    per_ms = 18 * 3.7e6 * 64 / 2 * SERVER.efficiency
    assert found.whole == pytest.approx(1000 * whole / per_ms)
    assert found.item + found.combined == pytest.approx(1000 * duet / per_ms)
    assert implied_efficiency(1000 * whole, found.whole) == pytest.approx(SERVER.efficiency)


def test_json_is_one_object_whose_times_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "nmp", "--models", "rm3", "--models", "rm5", "--n", 16, "--ranks", 4, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["part"], row["mode"]) for row in found["rows"]] == [
        (model, part, mode) for model in ("rm3", "rm5") for part in ("whole", "duet") for mode in MODES
    ]
    for row in found["rows"]:
        if row["part"] == "whole":
            assert row["query_ms"] == pytest.approx(row["ms"] + row["compute_ms"])
        else:
            assert max(row["away_ms"], row["ms"]) < row["query_ms"] < row["away_ms"] + row["ms"] + row["compute_ms"]
        assert (row["paper_ms"], row["paper_gigabytes_per_s"], row["paper_efficiency"]) == (None, None, None)
    assert (found["n"], found["seed"], found["compute"]) == (16, 0, "estimate")
    assert (found["memory"]["ranks"], found["memory"]["channels"]) == (4, 4)
    assert found["memory"]["near"]["trim"]["instruction_bits"] == 85
    assert found["processor"]["efficiency"] == SERVER.efficiency
    assert "python" in found["versions"]
    assert {one["paper"] for one in found["ratios"]} == {None}


def test_the_papers_query_stands_beside_ours(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("bench", "nmp", "--models", "rm3", "--models", "rm4", "--modes", "recnmp", "--modes", "trim")
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    for words in ("1,024 candidates; 4 x ddr4-2400-dimm with ranks: 2, 76.8 GB/s", "11.3", "whole over duet"):
        assert words in printed
    assert "Traceback" not in printed


def test_ratios_are_of_the_same_model_and_mean_over_models() -> None:
    rows = [
        {"model": model, "part": part, "mode": mode, "ms": ms, "query_ms": 2 * ms,
         "paper_ms": paper.milliseconds(model, part, mode, 1024)}
        for model, part, mode, ms in [
            ("rm2", "whole", "recnmp", 8.0), ("rm2", "duet", "recnmp", 2.0),
            ("rm3", "whole", "recnmp", 9.0), ("rm3", "duet", "recnmp", 1.0),
        ]
    ]  # fmt: skip
    found = ratios(rows)
    assert {one["ratio"] for one in found} == {"whole over duet, recnmp"}
    assert [(one["model"], one["lookups"], one["query"]) for one in found] == [
        ("rm2", 4.0, 4.0),
        ("rm3", 9.0, 9.0),
        ("mean", pytest.approx(6.0), pytest.approx(6.0)),
    ]
    assert [one["paper"] for one in found] == [
        pytest.approx(40.2 / 10.1),
        pytest.approx(11.3 / 1.4),
        pytest.approx((40.2 / 10.1 * 11.3 / 1.4) ** 0.5),
    ]


def test_a_measurement_names_the_processor(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("bench", "nmp", "--models", "rm2", "--modes", "trim", "--n", 2, "--compute", "measured", "--json")
    assert run(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["processor"]["cores"] >= 1
    assert all(row["compute_ms"] > 0 for row in found["rows"])


BAD = [
    (("--models", "rm6"), "--models must be rm1, rm2, rm3, rm4, rm5, not 'rm6'"),
    (("--models", "rm2", "--models", "rm2"), "--models must name each once, not rm2, rm2"),
    (("--modes", "tensordimm"), "--modes must be plain, recnmp, trim, not 'tensordimm'"),
    (("--n", "0"), "--n must be at least 1, not 0"),
    (("--channels", "0"), "--channels must be at least 1, not 0"),
    (("--ranks", "0"), "--ranks must be at least 1, not 0"),
    (("--ranks", "3"), "--memory ddr4-2400-dimm with --ranks 3: ranks must be a power of two, not 3"),
    (("--ranks", "16"), "ranks x bank_groups x banks_per_group must be at most 128, not 256"),
    (("--memory", "ddr6"), "ddr6: no such file; built-in sets are"),
    (("--memory", "hbm2-u280-rows"), "refresh must be 'all-bank' or 'off' where ranks sum, not 'single-bank'"),
    (("--memory", "hbm2-u280"), "rm2: tables must fit into channels of 536,870,912 bytes, not take"),
    (("--compute", "guess"), "--compute must be estimate, measured, not 'guess'"),
    (("--seed", "-1"), "seed"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_bad_argument_is_named_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run("bench", "nmp", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
