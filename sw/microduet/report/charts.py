"""Plots as inline SVG: drawn by hand, so that text is text and colours follow the page, light or dark."""

import math
from collections.abc import Sequence
from importlib.resources import files
from xml.etree import ElementTree

from microduet.report.findings import Plot

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 44
"""Margins: the axis' numbers, nothing, the legend, what x is."""
BARS = 0.8
"""Of the distance between two places that a group of bars takes."""


def chart(plot: Plot, *, name: str) -> str:
    """The plot as an SVG element; `name` tells its title from those of other plots on the page."""
    svg = ElementTree.Element(
        "svg",
        {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-labelledby": f"{name}-title", "class": "plot"},
    )
    ElementTree.SubElement(svg, "title", {"id": f"{name}-title"}).text = f"{plot.title}, {plot.unit}"
    scale = _Scale(plot)
    for value in scale.ticks:
        y = scale.y(value)
        ElementTree.SubElement(svg, "line", _numbers(x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y) | {"class": "grid"})
        _text(svg, _short(value), LEFT - 6, y + 4, anchor="end")
    step = (WIDTH - LEFT - RIGHT) / len(plot.x)
    for place, label in enumerate(plot.x):
        _text(svg, label, LEFT + (place + 0.5) * step, HEIGHT - BOTTOM + 18)
    _text(svg, plot.unit, LEFT - 6, TOP - 18, anchor="end")
    _legend(svg, list(plot.series))
    for number, values in enumerate(plot.series.values()):
        draw = _bars if plot.kind == "bars" else _lines
        draw(svg, values, scale=scale, step=step, number=number, of=len(plot.series))
    return ElementTree.tostring(svg, encoding="unicode")


def picture(plot: Plot) -> str:
    """The plot as an SVG file of its own, on the page's paper, light or dark."""
    svg = ElementTree.fromstring(chart(plot, name="plot"))
    svg.set("xmlns", "http://www.w3.org/2000/svg")
    paper = ElementTree.Element("rect", {"width": "100%", "height": "100%", "style": "fill: var(--paper)"})
    style = ElementTree.Element("style")
    style.text = files("microduet.report").joinpath("templates/plot.css").read_text()
    svg[0:0] = [style, paper]
    return ElementTree.tostring(svg, encoding="unicode")


class _Scale:
    """From values to places on the vertical axis, and where its lines are."""

    def __init__(self, plot: Plot) -> None:
        values = [value for series in plot.series.values() for value in series if value is not None]
        self._log = plot.log and min(values, default=0) > 0
        most, least = max(values, default=1) or 1, min(values, default=1)
        if self._log:
            first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
            self.ticks = [10.0**power for power in range(first, max(last, first + 1) + 1)]
        else:
            unit = 10.0 ** math.floor(math.log10(most))
            unit *= next(share for share in (0.2, 0.5, 1, 2) if most / (unit * share) <= 6)
            self.ticks = [unit * number for number in range(math.ceil(most / unit) + 1)]

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        share = math.log(value / low) / math.log(high / low) if self._log else (value - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _bars(
    svg: ElementTree.Element, values: Sequence[float | None], *, scale: _Scale, step: float, number: int, of: int
) -> None:
    width, bottom = step * BARS / of, HEIGHT - BOTTOM
    for place, value in enumerate(values):
        if value is None:
            continue
        x, y = LEFT + place * step + step * (1 - BARS) / 2 + number * width, scale.y(value)
        bar = ElementTree.SubElement(
            svg, "rect", _numbers(x=x, y=y, width=width * 0.94, height=bottom - y) | {"class": f"s{number}"}
        )
        ElementTree.SubElement(bar, "title").text = _short(value)
        if of * len(values) <= 16:
            _text(svg, _short(value), x + width / 2, max(y - 3, TOP), kind="value")


def _lines(
    svg: ElementTree.Element, values: Sequence[float | None], *, scale: _Scale, step: float, number: int, of: int
) -> None:
    points = [(LEFT + (place + 0.5) * step, scale.y(v), v) for place, v in enumerate(values) if v is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    ElementTree.SubElement(svg, "polyline", {"points": path, "class": f"l{number}"})
    for x, y, value in points:
        dot = ElementTree.SubElement(svg, "circle", _numbers(cx=x, cy=y, r=3) | {"class": f"s{number}"})
        ElementTree.SubElement(dot, "title").text = _short(value)


def _legend(svg: ElementTree.Element, names: Sequence[str]) -> None:
    width = (WIDTH - LEFT - RIGHT) / max(3, min(3, len(names)))
    for number, name in enumerate(names):
        x, y = LEFT + number % 3 * width, 4 + number // 3 * 13
        ElementTree.SubElement(svg, "rect", _numbers(x=x, y=y, width=9, height=9) | {"class": f"s{number}"})
        _text(svg, name, x + 13, y + 9, anchor="start")


def _text(
    svg: ElementTree.Element, text: str, x: float, y: float, *, anchor: str = "middle", kind: str = "label"
) -> None:
    place = _numbers(x=x, y=y) | {"text-anchor": anchor, "class": kind}
    ElementTree.SubElement(svg, "text", place).text = text


def _numbers(**values: float) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in values.items()}


def _short(value: float) -> str:
    if value == 0 or 0.01 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{value:.0e}"
