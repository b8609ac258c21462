"""An exported kernel with users in its testbench, in a simulator that shares nothing with the benches' own."""

import json
import subprocess

import numpy as np
import pytest

from microduet_hw import reference
from microduet_hw import testbench as made
from microduet_hw.export import export
from microduet_hw.image import load_beats
from microduet_hw.lookup.reference import Packet, packet_beats
from microduet_hw.result import BEAT
from microduet_hw.status import QUERY
from microduet_hw.testbench import channel_reads
from microduet_hw.user_code import shorter
from microduet_hw.user_packets import USER
from microduet_hw.user_reference import Ranked, answer, user_part
from tests.hw.test_user_engine import ENGINES, ROWS
from tests.support.environment import require_tool
from tests.support.lookups import random_tables
from tests.support.models import random_model, small_config
from tests.support.users import random_payload, random_users, user_packet

CONFIG = ENGINES["output layer"]
ITEMS = 5


def answer_beats(ranked, *, slot):
    due = answer(ranked, top_k=CONFIG.user.top_k)
    return [
        {"tag": i.tag, "logit": i.logit, "score": i.score, "slot": slot, "rank": rank, "count": len(due.items)}
        for rank, i in enumerate(due.items)
    ]


def case():
    """A query in each slot, one after the other: what the testbench is given."""
    rng = np.random.default_rng(5)
    tables, model, users = random_tables(CONFIG, rng), random_model(CONFIG, rng), random_users(CONFIG, rng)
    beats, packets, results, rows = [], [], [], []
    for slot in range(CONFIG.user.slots):
        payload = random_payload(CONFIG, rng)
        # The first one is coded.
        sparse = np.where(rng.random(len(payload)) < 0.5, 0, payload) if slot == 0 else payload
        payload, coded = sparse, shorter(sparse)
        packets.append(user_packet(users, payload, number=slot + 9, slot=slot, coded=coded))
        own = rng.integers(0, ROWS, ITEMS)
        rows += own.tolist()
        parts = np.tile(user_part(CONFIG, users, payload), (ITEMS, 1))
        found = zip(own, *reference.scores(CONFIG, model, tables[0][own], parts), strict=True)
        ranked = [Ranked(tag=k, logit=int(logit), score=int(score)) for k, (_, logit, score) in enumerate(found)]
        results += answer_beats(ranked, slot=slot)
        for k, row in enumerate(own.tolist()):
            query = {"number": slot + 9, "slot": slot, "last": int(k == ITEMS - 1)}
            words = packet_beats(CONFIG, Packet(tag=k, indices=[row], query=query))
            beats.append(np.frombuffer(b"".join(word.to_bytes(64, "little") for word in words), np.uint32))

    def rows_of(feature, first, count):
        return tables[feature][first : first + count]

    return {
        "load": load_beats(CONFIG, model, rows_of, users),
        "packets": np.stack(beats),
        "reads": channel_reads(CONFIG, np.array(rows)[:, None], rows_of),
        "results": results,
        "users": packets,
    }


def simulate(folder, files):
    require_tool("iverilog")
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = sorted(name for name in files if name.endswith(".v"))
    build = ["iverilog", "-g2005", "-s", "testbench", "-o", "bench", *sources]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    return subprocess.run(["vvp", "bench"], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_testbench_passes_and_fails_for_another_user(tmp_path):
    kernel, given = export(CONFIG), case()
    said = simulate(tmp_path, kernel | made.testbench(CONFIG, **given))
    assert f"PASSED: {len(given['results'])} results" in said
    given["results"][1]["logit"] ^= 1
    assert "FAILED: 1 faults" in simulate(tmp_path, kernel | made.testbench(CONFIG, **given))


def test_the_map_tells_of_users():
    described = json.loads(export(CONFIG)["map.json"])
    assert described["interfaces"]["axi4_stream"]["s_axis_users"] == "sync"
    users = described["parameters"]["users"]
    assert (users["layer"], users["slots"], users["bytes"]) == (1, 3, 70)
    for name, layout in (("query_word", QUERY), ("user_header", USER), ("result_beat", BEAT)):
        assert list(users[name]) == [field for field, _ in layout]
    assert users["user_kinds"] == {"VECTOR": 0, "ABANDON": 1, "CODED": 2}
    assert described["latencies"]["user_last_beat_to_ready"] == 15
    assert described["latencies"]["user_code_to_vector"] == 6


def test_the_map_of_an_engine_that_takes_sums_knows_no_code():
    described = json.loads(export(ENGINES["sums of the second array"])["map.json"])
    assert described["parameters"]["users"]["user_kinds"] == {"VECTOR": 0, "ABANDON": 1}
    assert "user_code_to_vector" not in described["latencies"]


def test_an_engine_without_users_takes_none():
    given = case() | {"load": np.zeros((1, 16), np.uint32), "reads": {}}
    with pytest.raises(ValueError, match="an engine without users takes no user packets, not 3"):
        made.testbench(small_config(), **given)
