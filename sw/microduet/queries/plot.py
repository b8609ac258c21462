"""The picture of the three systems: latency and energy of a query, model by model."""

import typing
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from microduet.plots import STYLE, svg

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes

Figures = dict[str, typing.Any]

SYSTEMS = (
    ("a", "whole model, this processor"),
    ("b", "Duet's split, this processor"),
    ("c", "edge unit, link, engine"),
)
COLOURS = ("#b0b0b0", "#5b8db8", "#c0504d")
WIDTH = 0.27
"""Of a bar, where models are 1 apart."""


def systems_svg(rows: Sequence[Figures], *, cpu: str) -> str:
    """Two panels of bars, logarithmic: ms and mJ of a query on systems (a), (b), (c), from rows of `bench query`.

    Lines on the bars of energies are the ranges of the constants; factors are those of (a) over (c).
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _bars(left, rows, "ms")
        left.set_ylabel("ms from context to top k")
        _bars(right, rows, "mj")
        right.set_ylabel("mJ per query")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
        sizes = ", ".join(str(n) for n in sorted({row["n"] for row in rows}))
        figure.supxlabel(f"{sizes} candidates; processor: {cpu}; (c) in simulation", fontsize=STYLE["font.size"])
        return svg(figure)


def _bars(axes: "Axes", rows: Sequence[Figures], unit: str) -> None:
    places = np.arange(len(rows))
    for number, ((system, name), colour) in enumerate(zip(SYSTEMS, COLOURS, strict=True)):
        values = np.array([row[f"{system}_{unit}"] for row in rows])
        x = places + (number - 1) * WIDTH
        axes.bar(x, values, WIDTH * 0.92, color=colour, label=f"({system}) {name}")
        if unit == "mj":
            ends = [[abs(row[f"{system}_mj_{end}"] - row[f"{system}_mj"]) for row in rows] for end in ("low", "high")]
            axes.errorbar(x, values, ends, fmt="none", ecolor="#444444", elinewidth=0.8, capsize=1.5)
    for place, row in zip(places, rows, strict=True):
        ratio = row[f"a_{unit}"] / row[f"c_{unit}"]
        top = max(row[f"{system}_{unit}{'_high' if unit == 'mj' else ''}"] for system, _ in SYSTEMS)
        axes.annotate(
            f"{ratio:,.0f} x",
            (float(place), top),
            xytext=(0, 3),
            textcoords="offset points",
            horizontalalignment="center",
        )
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.12)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_xticks(places, [row["model"].upper() for row in rows])
