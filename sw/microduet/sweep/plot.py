"""The picture of a sweep: cycles over DSP slices, a panel per model."""

import math
import typing
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from microduet.plots import STYLE, svg
from microduet.sweep.pareto import best, front, groups
from microduet.sweep.results import Row
from microduet_hw.config import Precision

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {Precision.FIXED16: ("o", "#5b8db8"), Precision.FIXED32: ("s", "#7f7f7f"), Precision.INT8: ("^", "#c0504d")}
COLUMNS = 3
LARGEST = 140.0
"""Area of the mark of the most BRAM36, in square points; the others' are as much smaller as they take less."""
SMALLEST = 12.0


def front_svg(rows: Sequence[Row], *, name: str) -> str:
    """Engine cycles over DSP slices of finished `rows`; a mark's form is its precision, its area its BRAM36.

    Filled marks are on the front of cycles, DSP, BRAM36 and lookups; the line is the front of the two axes alone.
    """
    panels = groups(rows)
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    most = max((row.outcome.figures.bram36 for row in rows if row.outcome.figures), default=1) or 1
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(5.2, 3.4 * columns), 0.6 + 2.8 * lines), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).flat
        for panel, (title, members) in zip(axes, panels.items(), strict=False):
            _panel(panel, members, most=most)
            panel.set_title(title)
        for panel in list(axes)[len(panels) :]:
            panel.set_visible(False)
        used = sorted({row.point.precision for row in rows if row.done})
        kinds = [_mark(MARKS[kind][0], MARKS[kind][1], str(kind)) for kind in used]
        front_mark = _mark("o", "#444444", "no point is better in everything")
        line = Line2D([], [], color="#444444", linewidth=0.8, label="front of cycles and DSP")
        figure.legend(handles=[*kinds, front_mark, line], loc="outside upper center", ncols=2, frameon=False)
        measures = {"search": "cycles per item, predicted", "engine": "cycles per item", "query": "cycles per query"}
        measure = rows[0].point.measure if rows else "engine"
        figure.supylabel(measures[measure], fontsize=STYLE["font.size"])
        figure.supxlabel(f"DSP slices; largest mark: {most:,} BRAM36; {name}", fontsize=STYLE["font.size"])
        return svg(figure)


def _mark(form: str, colour: str, label: str) -> Line2D:
    return Line2D([], [], marker=form, color=colour, linestyle="none", markersize=6, label=label)


def _panel(axes: "Axes", rows: Sequence[Row], *, most: int) -> None:
    chosen = {row.point for row in best(rows)}
    for row in rows:
        figures = row.outcome.figures
        assert figures is not None, "groups has finished ones only"
        form, colour = MARKS[row.point.precision]
        area = max(SMALLEST, LARGEST * figures.bram36 / most)
        face = colour if row.point in chosen else "none"
        axes.scatter(figures.dsp, figures.cycles, s=area, marker=form, facecolors=face, edgecolors=colour, alpha=0.8)
    places = [(row.outcome.figures.dsp, row.outcome.figures.cycles) for row in rows if row.outcome.figures]
    stairs = sorted({places[place] for place in front(places)})
    axes.plot(*zip(*stairs, strict=True), color="#444444", linewidth=0.8, drawstyle="steps-post", zorder=0)
    axes.grid()
    axes.set_axisbelow(True)
