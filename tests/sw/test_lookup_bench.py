"""`microduet bench lookup`: its rows, its profiles, what it counts as a channel's load, and bad arguments."""

import json

import numpy as np
import pytest

from microduet import compiler
from microduet.channel_load import channel_loads, channel_trace
from microduet.cli import main
from microduet.errors import ModelError
from microduet.memory_settings import CARD_REFRESH, dram_settings
from microduet.presets import Tuning
from microduet.traffic import make_ids
from microduet_hw.config import Precision, SourceKind
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.reference import Packet, reads
from tests.sim.engines import lookup_config
from tests.sw.command_line import run

KEYS = {"model", "tables", "dim", "profile", "refresh", "traffic", "mean_ns", "p50_ns", "p99_ns", "items_per_s"}
SMALL = ("bench", "lookup", "--model", "microrec-small", "--items", "100", "--json")


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, float]]:
    with pytest.raises(SystemExit) as raised:
        main(list(arguments))
    assert raised.value.code == 0
    return json.loads(capsys.readouterr().out)["rows"]


def test_a_row_per_kind_of_traffic(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, *SMALL)
    assert [row["traffic"] for row in found] == ["uniform", "zipf"]
    for row in found:
        assert KEYS | {"lookup_bound_share"} <= set(row)
        assert row["mismatches"] == 0
        assert row["p50_ns"] <= row["p99_ns"]
        assert 100 < row["mean_ns"] < 220
        assert 0 < row["lookup_bound_share"] < 0.1
        assert row["gigabytes_per_s"] < row["peak_gigabytes_per_s"]


def test_staggered_refreshes_meet_nearly_every_item_and_postponed_ones_none(capsys: pytest.CaptureFixture[str]) -> None:
    means = {
        mode: rows(capsys, *SMALL, "--traffic", "uniform", "--refresh", mode)[0]["mean_ns"]
        for mode in ("aligned", "staggered", "postponed", "off")
    }
    assert means["postponed"] < 250 < means["staggered"]
    assert means["aligned"] < means["staggered"]


def test_every_refresh_mode_says_whether_the_card_could_do_it() -> None:
    for mode, said in CARD_REFRESH.items():
        settings = dram_settings(refresh=mode)
        assert set(settings) == {SourceKind.HBM, SourceKind.DDR}
        assert said


@pytest.mark.parametrize("options", [[], ["--row-check"]])
def test_rows_are_checked_if_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    def refuse(_model: object, *, tuning: Tuning, **_others: object) -> None:
        raise ModelError(f"row_check is {tuning.row_check}")

    monkeypatch.setattr(compiler, "compile", refuse)
    assert run(*SMALL, "--traffic", "uniform", *options) == 2
    assert f"row_check is {bool(options)}" in capsys.readouterr().err


def test_the_papers_reader_is_a_setting_of_the_front_end_only() -> None:
    usual, narrow = dram_settings(), dram_settings(profile="microrec")
    for kind, parameters in narrow.items():
        same = parameters.replace(
            outstanding=usual[kind].outstanding, narrow_mhz=0.0, pipeline_ns=usual[kind].pipeline_ns
        )
        assert same == usual[kind]
        assert (parameters.outstanding, parameters.narrow_bits) == (1, 32)


@pytest.mark.parametrize("precision", list(Precision))
def test_a_channels_trace_is_what_the_gateware_asks_of_it(precision: Precision) -> None:
    config = lookup_config(precision)
    ids = make_ids(config, items=20, traffic="uniform", seed=1)
    for source in config.channels:
        plan = source_plan(config, source)
        expected = [
            read for item in ids.tolist() for read in reads(plan, config, Packet(tag=0, indices=item, dense=()))
        ]
        trace = channel_trace(config, source, ids)
        assert trace.addresses.tolist() == [address for address, _ in expected]
        assert trace.bytes.tolist() == [32 * beats for _, beats in expected]
    loads = channel_loads(config, ids, dram_settings())
    assert [load.source for load in loads] == list(config.channels)
    assert all(load.bound_ns >= load.bytes / 32 * 1000 / config.memory_mhz - 1e-9 for load in loads)


def test_zipf_takes_an_exponent() -> None:
    config = lookup_config(Precision.FIXED16)
    shares = []
    for traffic in ("zipf:0.5", "zipf:1", "zipf:2"):
        ids = make_ids(config, items=2000, traffic=traffic, seed=2)[:, 0]
        shares.append(np.bincount(ids).max() / len(ids))
    assert shares == sorted(shares)


WRONG = [
    (("--model", "dlrm"), "model must be microrec-small"),
    (("--items", "0"), "items must be at least 1, not 0"),
    (("--lookups", "0"), "lookups must be at least 1, not 0"),
    (("--model", "rmc2-8", "--dim", "65"), "rmc2's dim must be 4 to 64, not 65"),
    (("--precision", "bfloat16"), "precision"),
    (("--refresh", "never"), "refresh"),
    (("--traffic", "zipf:steep", "--model", "microrec-small"), "like zipf:1.2, not 'steep'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[case[1] for case in WRONG])
def test_a_wrong_argument_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["bench", "lookup", *arguments])
    error = capsys.readouterr().err
    assert raised.value.code == 2
    assert message in error
    assert error.count("\n") == 1
