"""Timelines: slices of a track in order, times to the picosecond, files whole or not at all."""

import json
from pathlib import Path

import pytest

from microduet.errors import InputError
from microduet.perfetto import Timeline, check_writable


def test_slices_come_as_begins_and_ends_in_order() -> None:
    timeline = Timeline()
    track = timeline.track(timeline.process("place"), "track")
    track.slice("second", 1_500_001, 1_500_002, count=3)
    track.slice("inner", 0, 400)
    track.slice("outer", 0, 1_500_001)
    track.slice("nothing", 1_500_001, 1_500_001)
    events = [event for event in json.loads(timeline.json())["traceEvents"] if event["ph"] in "BE"]
    shown = [(event["ph"], event.get("name"), event["ts"]) for event in events]
    assert shown == [
        ("B", "outer", 0),
        ("B", "inner", 0),
        ("E", None, 0.0004),
        ("E", None, 1.500001),
        ("B", "second", 1.500001),
        ("B", "nothing", 1.500001),
        ("E", None, 1.500001),
        ("E", None, 1.500002),
    ]
    assert events[4]["args"] == {"count": 3, "start_ps": 1_500_001, "duration_ps": 1}


def test_slices_that_overlap_are_refused() -> None:
    timeline = Timeline()
    track = timeline.track(timeline.process("place"), "track")
    track.slice("first", 0, 10)
    track.slice("second", 9, 11)
    with pytest.raises(ValueError, match="track: second overlaps what is before it"):
        timeline.json()


def test_a_slice_that_ends_before_it_starts_is_refused() -> None:
    track = Timeline().track(1, "track")
    with pytest.raises(ValueError, match="track: late must not end before it starts, not at 4 behind 5"):
        track.slice("late", 5, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [("none/t.json", "none is not a folder that may be written to"), (".", "cannot be written: it is a folder")],
)
def test_what_cannot_be_written_is_said_before(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_writable(tmp_path / name)
