"""What the benches of queries measure, on a small system."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import microduet as md
from microduet.queries.counts import loaded
from microduet.queries.measure import System, bound_ns, measure, question, wrong
from microduet.queries.plot import systems_svg
from microduet.queries.rows import c_row, fastest
from microduet.queries.users import Server, UsersBenchOptions, measure_users, poisson
from tests.sw.command_line import run
from tests.sw.queries.systems import TOP_K, Small


@pytest.fixture(scope="module")
def opened(system: Small) -> Iterator[System]:
    made = System(system.edge, system.engine, link=md.Link(), seed=3)
    yield made
    made.close()


def test_all_that_was_asked_is_answered_right_and_counted(opened: System) -> None:
    found = measure(opened, n=12, k=TOP_K, queries=2, users=3)
    assert (found.mismatches, found.users, len(found.rankings)) == (0, 3, 2)
    assert found.engine_cycles > 12
    assert 0 < found.lookup_share < 1
    assert found.counts["card.mac_int16"] > 0
    assert found.counts["link.up_bit"] == found.rankings[0].up_bits
    single = found.engine_cycles / opened.engine_bundle.config.engine_mhz
    assert 1e6 / found.per_s < single, "several queries at once take less time each than one alone"
    under_load = loaded(found.counts, found.per_s)
    assert under_load["card.host"] == under_load["card.static"] == 1 / found.per_s < found.counts["card.static"]
    assert {name for name in found.counts if found.counts[name] != under_load[name]} == {"card.host", "card.static"}


def test_one_more_query_leaves_its_timeline(opened: System, tmp_path: Path) -> None:
    found = measure(opened, n=12, k=TOP_K, queries=1, users=2, trace=tmp_path / "query.json")
    assert (found.mismatches, len(found.rankings)) == (0, 1)
    events = json.loads((tmp_path / "query.json").read_text())["traceEvents"]
    assert [event["args"]["candidates"] for event in events if "candidates" in event.get("args", {})] == [12]


def test_the_bound_of_lookups_grows_with_the_candidates(opened: System) -> None:
    candidates = opened.candidates(64)
    assert bound_ns(opened, candidates) > 1.5 * bound_ns(opened, candidates[:32])


def test_a_wrong_answer_is_seen(opened: System) -> None:
    asked = question(opened, 6)
    (reply,) = opened.session.engine.ask([asked])
    assert not wrong(opened, asked, reply, TOP_K)
    assert wrong(opened, asked, dataclasses.replace(reply, logits=reply.logits + 1), TOP_K)
    assert wrong(opened, asked, dataclasses.replace(reply, tags=reply.tags[::-1]), TOP_K)


def test_a_stream_of_queries_in_rtl_is_as_the_queue_has_it(opened: System) -> None:
    # More candidates than slots: behind an idle time the engine is sooner than the queue, by what its slots hold.
    options = UsersBenchOptions(n=64, k=TOP_K, queries=40, rtt_ms=(0.0, 1.0), seed=5)
    found = measure_users(opened, options, lambda *_: None)
    assert found["mismatches"] == 0
    assert found["largest_difference_us"] < found["service_us"]
    near, far = found["rows"]
    assert near["load"] < far["load"] < 1
    assert near["users"] < far["users"] < found["bound_users"]
    assert near["p99_us"] <= 2 * near["alone_p99_us"]


def test_a_queue_answers_in_turn() -> None:
    server = Server(alone_us=5, service_us=2)
    assert server.answers(np.array([0.0, 0.0, 1.0, 20.0])).tolist() == [5, 7, 9, 25]


def test_a_queue_without_load_takes_the_time_of_a_query_alone() -> None:
    server = Server(alone_us=5, service_us=2)
    assert server.p99_us(1e-6, np.random.default_rng(1), queries=1000) == 5
    assert server.p99_us(0.9, np.random.default_rng(1)) > 10


def test_poisson_arrivals_have_their_rate() -> None:
    assert poisson(0.25, 100_000, np.random.default_rng(2))[-1] == pytest.approx(400_000, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("users", "--model", "rm9"), "model must be rm1, rm2, rm3, rm4, rm5, not 'rm9'"),
        (("users", "--rtt-ms", "-1"), "rtt_ms must be at least 0 and per_s above 0"),
        (("users", "--per-s", "0"), "rtt_ms must be at least 0 and per_s above 0"),
        (("users", "--precision", "fixed32"), "precisions must be fixed16 or int8, not 'fixed32'"),
        (("query", "--models", "rm9"), "models must be rm1, rm2, rm3, rm4, rm5, not 'rm9'"),
        (("query", "--precisions", "fixed32"), "precisions must be fixed16 or int8, not 'fixed32'"),
        (("query", "--plot", "a.svg", "--no-cpu"), "--plot shows all three systems at one size of query"),
        (("query", "--plot", "a.svg", "--n", "8", "--n", "9"), "--plot shows all three systems at one size of query"),
        (("query", "--plot", "a.png"), "--plot must be an .svg file in a folder that exists, not 'a.png'"),
        (("query", "--plot", "nowhere/a.svg"), "--plot must be an .svg file in a folder that exists"),
    ],
)
def test_bad_arguments_are_refused_in_a_line(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("bench", *arguments) == 2
    assert message in capsys.readouterr().err


def test_rows_have_the_figures_of_the_simulated_system(opened: System) -> None:
    found = measure(opened, n=8, k=TOP_K, queries=1, users=2)
    row = c_row(opened, "small", 8, found, seed=3)
    assert json.loads(json.dumps(row)) == row
    assert {"c_ms", "c_p99_ms", "c_per_s", "edge_cycles", "link_us", "lookup_bound_share", "c_mj_low"} <= set(row)
    assert row["c_mj_low"] < row["c_mj"] < row["c_mj_high"]
    assert row["c_users"] == math.ceil(row["c_per_s"] * row["c_ms"] / 1000)


def test_of_two_precisions_the_faster_one_counts_and_mismatches_of_both(opened: System) -> None:
    row = c_row(opened, "small", 8, measure(opened, n=8, k=TOP_K, queries=1, users=2), seed=3)
    slow = row | {"c_precision": "int8", "c_ms": 2 * row["c_ms"], "mismatches": 2}
    best = fastest([slow, row])
    assert (best["c_precision"], best["c_ms"], best["mismatches"]) == ("fixed16", row["c_ms"], 2)
    assert [one["c_precision"] for one in best["c_variants"]] == ["int8", "fixed16"]


def test_the_picture_shows_every_model_and_system() -> None:
    rows = [
        {"model": name, "n": 8}
        | {f"{system}_ms": ms for system, ms in zip("abc", (90, 10, 1), strict=True)}
        | {f"{system}_mj{end}": mj for system in "abc" for end, mj in (("", 3), ("_low", 2), ("_high", 5))}
        for name in ("rm1", "rm5")
    ]
    text = systems_svg(rows, cpu="a processor")
    for word in (
        "RM1",
        "RM5",
        "90 x",
        "1 x",
        "(a) whole model",
        "(b) Duet",
        "(c) edge unit",
        "8 candidates",
        "a processor",
    ):
        assert word in text, word
    assert text == systems_svg(rows, cpu="a processor")
