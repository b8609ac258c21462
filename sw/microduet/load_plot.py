"""The picture of latency over load."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from microduet.load_command import Measured
from microduet.plots import STYLE, svg
from microduet_sim.dram.load import OUTSTANDING, LoadPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = "viridis"
"""Sizes are in an order, and so are these colours, for colour-blind eyes too; its palest end is left out."""
TICKS = [digit * 10**power for power in range(6) for digit in (1, 2, 5)]
PANELS = (("median", "p50_ns"), ("99th percentile", "p99_ns"))


def load_svg(measured: Sequence[Measured]) -> str:
    """A row of two panels per parameter set: p50 and p99 in ns over GB/s, a line per size."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.3 * len(measured) + 0.3), layout="constrained")
        rows = figure.subplots(len(measured), len(PANELS), squeeze=False, sharey="row")
        for axes, each in zip(rows, measured, strict=True):
            for panel, (title, name) in zip(axes, PANELS, strict=True):
                _panel(panel, each, name)
                panel.set_title(f"{each.config}, {title}")
            axes[0].set_ylabel("latency at the controller, ns")
        figure.supxlabel(
            f"load, GB/s; each line from left to right: {', '.join(map(str, OUTSTANDING))} random reads in flight",
            fontsize=STYLE["font.size"],
        )
        return svg(figure)


def _panel(axes: "Axes", measured: Measured, name: str) -> None:
    peak = measured.parameters.peak_gigabytes_per_s
    lines: dict[int, list[LoadPoint]] = {}
    for point in measured.points:
        lines.setdefault(point.bytes, []).append(point)
    ends = [line[-1].gigabytes_per_s for line in lines.values()]
    for number, (size, line) in enumerate(sorted(lines.items())):
        colour = matplotlib.colormaps[COLOURS](0.75 * number / max(1, len(lines) - 1))
        loads = [point.gigabytes_per_s for point in line]
        latencies: list[float] = [getattr(point, name) for point in line]
        axes.plot(loads, latencies, marker="o", color=colour)
        crowded = any(loads[-1] < end < loads[-1] + 0.08 * peak for end in ends)
        axes.annotate(
            f"{size} B",
            (loads[-1], latencies[-1]),
            xytext=(-6 if crowded else 6, 0),
            textcoords="offset points",
            horizontalalignment="right" if crowded else "left",
            verticalalignment="center",
            color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    _scales(axes, measured)


def _scales(axes: "Axes", measured: Measured) -> None:
    peak = measured.parameters.peak_gigabytes_per_s
    axes.axvline(peak, color="#888888", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        f"data bus\n{peak:.1f} GB/s",
        (peak, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 6),
        textcoords="offset points",
        horizontalalignment="right",
        color="#666666",
    )
    axes.set_xlim(0, 1.14 * peak)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yscale("log")
    axes.set_yticks(TICKS)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    values = [value for point in measured.points for value in (point.p50_ns, point.p99_ns)]
    axes.set_ylim(0.7 * min(values), 1.4 * max(values))
    axes.grid(True)
    axes.tick_params(color="#888888")
