"""Timelines as Perfetto opens them: tracks of slices and of numbers, in Chrome's JSON."""

import json
import os
from pathlib import Path

from microduet.errors import InputError
from microduet.folders import write_file

Value = int | float | str

Event = dict[str, object]

PS_PER_US = 1e6


class Track:
    """A line of slices that follow each other or lie within each other; made by `Timeline.track`."""

    def __init__(self, process: int, number: int, name: str) -> None:
        self.name = name
        self._place = {"pid": process, "tid": number}
        self._slices: list[tuple[int, int, str, dict[str, Value]]] = []

    def slice(self, name: str, start_ps: int, end_ps: int, **values: Value) -> None:
        """Add something that lasted; its times are kept in picoseconds beside `values`.

        Raises
        ------
        ValueError
            If it ends before it starts.
        """
        if end_ps < start_ps:
            raise ValueError(f"{self.name}: {name} must not end before it starts, not at {end_ps} behind {start_ps}")
        self._slices.append((start_ps, end_ps, name, values))

    def events(self) -> list[Event]:
        """Begins and ends in the order of time, so that neighbours stay neighbours when a reader rounds times.

        Raises
        ------
        ValueError
            If two slices overlap and neither lies within the other.
        """
        found: list[Event] = []
        open_ends: list[int] = []
        for start, end, name, values in sorted(self._slices, key=lambda one: (one[0], -one[1])):
            while open_ends and open_ends[-1] <= start:
                found.append({"ph": "E", "ts": open_ends.pop() / PS_PER_US, **self._place})
            if open_ends and end > open_ends[-1]:
                raise ValueError(f"{self.name}: {name} overlaps what is before it")
            open_ends.append(end)
            args = {**values, "start_ps": start, "duration_ps": end - start}
            found.append({"name": name, "ph": "B", "ts": start / PS_PER_US, "args": args, **self._place})
        for end in reversed(open_ends):
            found.append({"ph": "E", "ts": end / PS_PER_US, **self._place})
        return found


class Timeline:
    """Processes, which are places, with their tracks; times in picoseconds."""

    def __init__(self) -> None:
        self._heads: list[Event] = []
        self._tracks: list[Track] = []
        self._numbers: list[Event] = []
        self._processes = 0

    def process(self, name: str) -> int:
        """A place; they are shown in the order of these calls."""
        self._processes += 1
        self._head("process_name", self._processes, 0, name=name)
        self._head("process_sort_index", self._processes, 0, sort_index=self._processes)
        return self._processes

    def track(self, process: int, name: str) -> Track:
        """A track of a place; they are shown in the order of these calls."""
        track = Track(process, len(self._tracks) + 1, name)
        self._tracks.append(track)
        self._head("thread_name", process, len(self._tracks), name=name)
        self._head("thread_sort_index", process, len(self._tracks), sort_index=len(self._tracks))
        return track

    def number(self, process: int, name: str, at_ps: int, value: float) -> None:
        """A number of a place, from a time on until the next one of this name."""
        self._numbers.append(
            {"name": name, "ph": "C", "ts": at_ps / PS_PER_US, "pid": process, "args": {"value": value}}
        )

    def json(self) -> str:
        """The text of the file; raises ValueError as `Track.events`."""
        events = [*self._heads, *(event for track in self._tracks for event in track.events()), *self._numbers]
        lines = ",\n".join(json.dumps(event) for event in events)
        return f'{{"displayTimeUnit": "ns", "traceEvents": [\n{lines}\n]}}\n'

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; raises InputError if it cannot be written."""
        write_file(path, self.json())

    def _head(self, kind: str, process: int, track: int, **values: Value) -> None:
        self._heads.append({"name": kind, "ph": "M", "pid": process, "tid": track, "args": values})


def check_writable(path: Path) -> None:
    """Say that a file can't be written before it takes a minute to have something to write.

    Raises
    ------
    InputError
        If its folder does not exist or may not be written to.
    """
    if path.is_dir():
        raise InputError(f"{path}: cannot be written: it is a folder")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot be written: {path.parent} is not a folder that may be written to")
