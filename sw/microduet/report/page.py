"""The report as one HTML file, as Markdown and as JSON, all of the same findings."""

import dataclasses
import typing
from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from microduet.report.charts import chart, picture
from microduet.report.findings import MEANINGS, Cell, Command, Finding, Item

PAPERS = {
    "microrec": "MicroRec (MLSys 2021)",
    "duet": "Duet (DAC 2024)",
}
"""By what an item's name begins with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """An item with what was found.

    Members
    -------
    place : in the paper
    measured : when, UTC, the oldest of its results; empty if there is none
    stale : whether a result is older than the sources
    """

    item: Item
    place: str
    finding: Finding
    measured: str
    stale: bool

    @property
    def paper(self) -> str:
        """Of the item."""
        return PAPERS[self.item.name.partition("-")[0]]

    @property
    def label(self) -> str:
        """Like "Table 2"."""
        return " ".join(self.item.name.split("-")[1:]).capitalize()


def html(entries: Sequence[Entry], *, versions: dict[str, str]) -> str:
    """One file that needs no other."""
    return _environment().get_template("page.html.j2").render(_context(entries, versions), chart=_chart)


def markdown(entries: Sequence[Entry], *, versions: dict[str, str]) -> str:
    """The same for a reader of text, with the plots as `pictures` beside it."""
    return _environment().get_template("page.md.j2").render(_context(entries, versions))


def data(entries: Sequence[Entry], *, versions: dict[str, str]) -> dict[str, typing.Any]:
    """The same as a JSON object."""
    import msgspec

    return {
        "items": [
            {
                "name": entry.item.name,
                "title": entry.item.title,
                "place": entry.place,
                "commands": [shown(command) for command in entry.item.commands],
                "measured": entry.measured,
                "stale": entry.stale,
                **msgspec.to_builtins(entry.finding),
            }
            for entry in entries
        ],
        "versions": versions,
    }


def pictures(entries: Sequence[Entry]) -> dict[str, str]:
    """Files of the plots by their names."""
    return {_picture(entry, k): picture(plot) for entry in entries for k, plot in enumerate(entry.finding.plots)}


def _picture(entry: Entry, number: int) -> str:
    return f"{entry.item.name}{f'-{number + 1}' if number else ''}.svg"


def shown(command: Command) -> str:
    """As one types it."""
    return " ".join(("microduet", *command, "--json"))


def _context(entries: Sequence[Entry], versions: dict[str, str]) -> dict[str, typing.Any]:
    return {
        "entries": entries,
        "papers": list(dict.fromkeys(entry.paper for entry in entries)),
        "meanings": MEANINGS,
        "versions": versions,
        "shown": shown,
        "cell": _cell,
        "picture": _picture,
    }


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("microduet.report"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _chart(plot: typing.Any, name: str) -> Markup:
    """Made of elements whose text is escaped."""
    return Markup(chart(plot, name=name))


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.6g}"
