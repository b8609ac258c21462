"""A query's timeline: what edge unit, link and engine did when, as the simulation saw it."""

import math
import typing
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from microduet.perfetto import Timeline, Track, check_writable
from microduet.queries.ranking import Ranking, Request
from microduet_hw.config import AXI_BYTES, EngineConfig
from microduet_sim.activity import Activity, Intervals

if typing.TYPE_CHECKING:
    from microduet.queries.session import Session

EDGE_STAGES = {
    "pooled_rows": "history sums",
    "dynamic_steps": "dynamic bottom MLP",
    "static_steps": "static bottom MLP",
    "top_steps": "user top MLP",
}
"""Counters of an edge unit that are a stage of a query, and the stage's name."""

WINDOW_PS = 1_000_000
"""What a channel's bytes per second are taken over."""

PS_PER_US = 1e6


def rank_traced(request: Request, path: Path) -> Ranking:
    """Rank alone on the engine and write the timeline to `path`; raises InputError if that cannot be written."""
    from microduet.queries.session import rank_all

    check_writable(path)
    session = request.session
    with session.edge.simulator.watching() as edge, session.engine.simulator.watching() as engine:
        (ranking,) = rank_all(session.engine, [request])
        timeline = query_timeline(session, ranking, edge(), engine(), n=len(request.candidates))
    timeline.write(path)
    return ranking


def query_timeline(session: "Session", ranking: Ranking, edge: Activity, engine: Activity, *, n: int) -> Timeline:
    """The timeline of one query of `n` candidates, alone on its engine; time 0 is that of its context.

    Parameters
    ----------
    edge, engine : what both units did during the query
    """
    timeline = Timeline()
    _query(timeline, session, ranking, n)
    _edge(timeline, session, edge)
    _link(timeline, session)
    _engine(timeline, session, engine, n)
    return timeline


def _query(timeline: Timeline, session: "Session", ranking: Ranking, n: int) -> None:
    """The parts of `Timing`, to the picosecond."""
    place = timeline.process("query")
    whole, parts = timeline.track(place, "query"), timeline.track(place, "parts")
    name, timing = f"query of {n} candidates", ranking.timing
    values = {"status": ranking.status.name.lower(), "detail": ranking.detail, "candidates": n}
    if timing is None:
        whole.slice(name, 0, 0, **values)
        return
    total, edge, wait = (round(us * PS_PER_US) for us in (timing.total_us, timing.edge_us, timing.wait_us))
    whole.slice(name, 0, total, **values)
    parts.slice("edge unit", 0, edge)
    if math.isfinite(timing.link_us):
        arrived = edge + round(timing.link_us * PS_PER_US)
        parts.slice("link", edge, arrived)
        if wait >= 0:  # the engine may have given the user up before
            parts.slice("engine, from the user's arrival", arrived, total)
    if timing.down_us is not None:
        down = timeline.track(place, "answer to the device")
        down.slice("link, down", total, total + round(timing.down_us * PS_PER_US))


def _edge(timeline: Timeline, session: "Session", activity: Activity) -> None:
    place = timeline.process(f"edge unit {session.edge.bundle.config.name}")
    if not len(activity.items):
        return
    items = activity.items
    # A query counts from the edge at which its first beat was taken.
    start = int(items.start_ps[0] + (items.end_ps[0] - items.start_ps[0]) // items.count[0])
    timeline.track(place, "context").slice("context", 0, int(items.end_ps[-1]) - start, beats=int(items.count.sum()))
    for counter, name in EDGE_STAGES.items():
        if counter in activity.counters:
            _cycles(timeline.track(place, name), name, activity.counters[counter], start)
    _channels(timeline, place, activity, start, {source: f"channel {source} (LPDDR4X)" for source in activity.reads})
    _cycles(timeline.track(place, "user vector out"), "user vector", activity.results, start)


def _link(timeline: Timeline, session: "Session") -> None:
    """Each packet on a track of its direction: on the line, on its way, or lost and waited for."""
    place = timeline.process("link")
    for direction in ("up", "down"):
        lanes: list[tuple[Track, int]] = []
        packets = [
            [one for one in delivery.attempts if one.packet == number]
            for way, delivery in session.sent
            if way == direction
            for number in sorted({one.packet for one in delivery.attempts})
        ]
        for attempts in sorted(packets, key=lambda one: one[0].start_ps):
            start, end = attempts[0].start_ps, attempts[-1].ended_ps
            lane = next((k for k, (_, free) in enumerate(lanes) if free <= start), len(lanes))
            name = direction if not lane else f"{direction} ({lane + 1})"
            track = lanes[lane][0] if lane < len(lanes) else timeline.track(place, name)
            lanes[lane : lane + 1] = [(track, end)]
            lost = int(attempts[-1].lost)
            track.slice(f"packet of {attempts[0].bytes} bytes", start, end, attempts=len(attempts), lost=lost)
            for number, one in enumerate(attempts):
                track.slice("on the line", one.start_ps, one.sent_ps, attempt=number + 1)
                if one.ended_ps > one.sent_ps:
                    track.slice("lost, waits" if one.lost else "on its way", one.sent_ps, one.ended_ps)


def _engine(timeline: Timeline, session: "Session", activity: Activity, n: int) -> None:
    device = session.engine
    config, start = device.bundle.config, device.started_ps
    place = timeline.process(f"datacentre engine {config.name}")
    if device.ranked is None or not len(activity.items):
        return
    _cycles(timeline.track(place, "candidates in"), "candidates", activity.items, start)
    begun, complete = int(device.ranked.accepted_ps.min()), int(device.ranked.vector_ps.max())
    timeline.track(place, "lookup").slice(f"lookups of {n} candidates", begun - start, complete - start)
    kinds = {source: config.sources[source].kind.name for source in activity.reads}
    _channels(timeline, place, activity, start, {source: f"channel {source:02} ({kinds[source]})" for source in kinds})
    counters = activity.counters
    for name, (counter, what) in _engine_stages(config).items():
        _cycles(timeline.track(place, name), what, counters[counter], start)
    _users(timeline, place, activity, start)
    _cycles(timeline.track(place, "top-k"), "results", counters["results"], start)
    _cycles(timeline.track(place, "answer"), "answer", activity.results, start)


def _engine_stages(config: EngineConfig) -> Mapping[str, tuple[str, str]]:
    """Tracks of an engine that are a counter: its name, and what a slice is called."""
    arrays = {
        f"array {k}, layer {', '.join(map(str, array.layers))}": (f"array_{k}_busy", "steps")
        for k, array in enumerate(config.arrays)
    }
    waiting = {
        "waiting room: no user yet": ("waiting", "items wait"),
        "waiting room: full": ("waiting_full", "no space"),
    }
    return arrays | waiting


def _users(timeline: Timeline, place: int, activity: Activity, start: int) -> None:
    """User packets, and the bank from a packet's last beat until the slot's user is known."""
    packets, known = activity.users, activity.counters["users"]
    _cycles(timeline.track(place, "user vector in"), "user vector", packets, start)
    bank = timeline.track(place, "user bank")
    for end in known.end_ps.tolist():
        before = packets.end_ps[packets.end_ps <= end]
        if len(before):
            bank.slice("user's part of the layer", int(before.max()) - start, end - start)


def _cycles(track: Track, name: str, intervals: Intervals, start: int) -> None:
    for first, end, count in zip(*(array.tolist() for array in _arrays(intervals)), strict=True):
        track.slice(name, first - start, end - start, cycles=count)


def _channels(timeline: Timeline, place: int, activity: Activity, start: int, names: Mapping[int, str]) -> None:
    """Reads on their way, one slice as long as there is one, and bytes per second window by window."""
    for source, name in names.items():
        reads = activity.reads[source]
        track = timeline.track(place, name)
        for first, end, number, beats in joined(reads):
            track.slice("reads", first - start, end - start, reads=number, bytes=AXI_BYTES * beats)
        if not len(reads):
            continue
        windows = (reads.end_ps - start) // WINDOW_PS
        sums = np.bincount(np.maximum(windows, 0), weights=reads.count * AXI_BYTES)
        for window, size in enumerate([*sums.tolist(), 0]):
            timeline.number(place, f"{name}, GB/s", window * WINDOW_PS, size / (WINDOW_PS / 1000))


def joined(intervals: Intervals) -> list[tuple[int, int, int, int]]:
    """Intervals that overlap or touch as one: (start, end, how many, sum of counts)."""
    if not len(intervals):
        return []
    start, end, count = _arrays(intervals)
    ends = np.maximum.accumulate(end)
    firsts = np.flatnonzero(np.concatenate([[True], start[1:] > ends[:-1]]))
    lasts = np.concatenate([firsts[1:], [len(start)]]) - 1
    sums = np.add.reduceat(count, firsts)
    columns = (start[firsts], ends[lasts], lasts - firsts + 1, sums)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _arrays(intervals: Intervals) -> tuple["np.ndarray[typing.Any, np.dtype[np.int64]]", ...]:
    return intervals.start_ps, intervals.end_ps, intervals.count
