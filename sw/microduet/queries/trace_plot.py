"""The picture of a query's timeline."""

import json
import typing
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from microduet.errors import InputError
from microduet.plots import STYLE, svg

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes

Bars = npt.NDArray[np.float64]
"""Starts and ends in us, (n, 2), one after the other."""

Tracks = defaultdict[tuple[str, str], Bars]
"""By the first word of the place, and the track; one that is not there has no bars."""

Row = tuple[str, str, Sequence[Bars]]
"""A label, a place, and tracks: one fills the row, several share it."""

COLOURS = {"edge": "#2a788e", "link": "#b8860b", "datacentre": "#414487"}
"""Of what is drawn, by place."""

WINDOWS = 80
"""Of the whole query: in each of them the height of a row is the share of the time in which it was busy."""


def read(path: Path) -> Tracks:
    """The outermost slices of a file that `perfetto.Timeline` wrote."""
    events = json.loads(path.read_text())["traceEvents"]
    heads = {(e["name"], e["pid"], e["tid"]): e["args"].get("name", "") for e in events if e["ph"] == "M"}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for event in events:
        if event["ph"] != "B":
            continue
        place = heads["process_name", event["pid"], 0].partition(" ")[0]
        bars = found.setdefault((place, heads["thread_name", event["pid"], event["tid"]]), [])
        end = event["ts"] + event["args"]["duration_ps"] / 1e6
        if not bars or event["ts"] >= bars[-1][1]:
            bars.append((event["ts"], end))
    return defaultdict(lambda: np.zeros((0, 2)), {name: np.array(bars) for name, bars in found.items()})


def timeline_svg(path: Path) -> str:
    """The whole query over time in us, and two parts of it larger: the edge unit's, and the user vector's arrival.

    Parameters
    ----------
    path : timeline of a query

    Raises
    ------
    InputError
        If it is one that was not answered.
    """
    found = read(path)
    if not len(found["datacentre", "answer"]) or not len(found["datacentre", "user bank"]):
        raise InputError(f"{path}: has no query that was answered: there is nothing to draw")
    arrays = sorted(track for place, track in found if place == "datacentre" and track.startswith("array "))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 6.8), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=[2.6, 1])
        _whole(figure.add_subplot(grid[0, :]), found, arrays)
        _edge(figure.add_subplot(grid[1, 0]), found)
        _arrival(figure.add_subplot(grid[1, 1]), found, arrays)
        return svg(figure)


def _whole(axes: "Axes", found: Tracks, arrays: Sequence[str]) -> None:
    end = float(found["query", "query"][0, 1])
    channels = sorted(name for name in found if name[0] == "datacentre" and name[1].startswith("channel "))
    engine = ("waiting room: no user yet", "user vector in", "user bank", *arrays, "top-k", "answer")
    rows: list[Row] = [
        ("edge unit", "edge", [found["query", "parts"][:1]]),
        ("link, up", "link", [found["link", "up"]]),
        ("candidates in", "datacentre", [found["datacentre", "candidates in"]]),
        (f"{len(channels)} memory channels:\nreads on their way", "datacentre", [found[name] for name in channels]),
        *((name.partition(",")[0], "datacentre", [found["datacentre", name]]) for name in engine),
    ]
    edges = np.linspace(0, end, WINDOWS + 1)
    at = 0.0
    for _, place, tracks in rows:
        for bars in tracks:
            height = 0.15 if len(tracks) > 1 else 1
            if len(tracks) > 1 or len(bars) < WINDOWS:
                _bars(axes, bars, at, height, COLOURS[place])
            else:
                shares = np.append(busy_share(bars, edges), 0)
                low, high = at + 0.88, at + 0.88 - 0.76 * shares
                axes.fill_between(edges, low, high, step="post", color=COLOURS[place], linewidth=0)
            at += height
    _finish(axes, rows, "a query, from its context to the top k")
    axes.set_xlim(-0.005 * end, 1.005 * end)


def _edge(axes: "Axes", found: Tracks) -> None:
    names = ("context", "history sums", "dynamic bottom MLP", "user top MLP", "user vector out")
    rows: list[Row] = [(name, "edge", [found["edge", name]]) for name in names if len(found["edge", name])]
    for at, (_, place, tracks) in enumerate(rows):
        _bars(axes, tracks[0], at, 1, COLOURS[place])
    _finish(axes, rows, "the edge unit's part")
    end = float(found["query", "parts"][0, 1])
    axes.set_xlim(-0.01 * end, 1.01 * end)


def _arrival(axes: "Axes", found: Tracks, arrays: Sequence[str]) -> None:
    """Until some time after the user's part of the layer is known."""
    names = ("user vector in", "user bank", *arrays, "top-k")
    begun, known = float(found["datacentre", "user vector in"][0, 0]), float(found["datacentre", "user bank"][0, 1])
    low, high = begun - (known - begun), known + 4 * (known - begun)
    rows: list[Row] = [(name.partition(",")[0], "datacentre", [found["datacentre", name]]) for name in names]
    for at, (_, place, (bars,)) in enumerate(rows):
        _bars(axes, bars[(bars[:, 1] > low) & (bars[:, 0] < high)], at, 1, COLOURS[place])
    _finish(axes, rows, "the user vector's arrival")
    axes.set_xlim(low, high)


def _bars(axes: "Axes", bars: Bars, at: float, height: float, colour: str) -> None:
    spans = [(start, end - start) for start, end in bars.tolist()]
    # What is too short for a picture is still seen.
    axes.broken_barh(spans, (at + 0.12 * height, 0.76 * height), facecolor=colour, edgecolor=colour, linewidth=0.3)


def _finish(axes: "Axes", rows: Sequence[Row], title: str) -> None:
    heights = [0.15 * len(tracks) if len(tracks) > 1 else 1.0 for _, _, tracks in rows]
    ends = np.cumsum(heights)
    axes.set_yticks(ends - np.array(heights) / 2, [name for name, _, _ in rows])
    axes.set_ylim(float(ends[-1]), 0)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(color="#888888")
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)
    axes.set_xlabel("us")


def busy_share(bars: Bars, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share, 0 to 1, of the time between neighbouring `edges` that the bars take."""
    lengths = np.concatenate([[0.0], np.cumsum(bars[:, 1] - bars[:, 0])])
    number = np.searchsorted(bars[:, 0], edges, side="right")
    beyond = np.where(number > 0, np.maximum(bars[number - 1, 1] - edges, 0), 0)
    return np.diff(lengths[number] - beyond) / np.diff(edges)
