"""`microduet report`: measures what is missing or stale, and writes the page."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from microduet.errors import InputError
from microduet.folders import write_file
from microduet.progress import Steps, steps
from microduet.report.catalogue import chosen
from microduet.report.findings import Command, Finding, Item, paper
from microduet.report.page import Entry, data, html, markdown, pictures, shown
from microduet.report.store import Result, Store
from microduet.versions import versions

FOLDER = Path("build/report")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Arguments of `microduet report all` and `microduet report item`.

    Members
    -------
    names : of items; all of them if empty
    cached : show what was measured before, stale or not, and measure nothing
    rebuild : measure again what was measured by other sources
    folder : of results and pages
    """

    names: tuple[str, ...] = ()
    cached: bool = False
    rebuild: bool = True
    folder: Path = FOLDER
    json: bool = False


def main(options: ReportOptions) -> int:
    """Measure, write report.html, report.md, its plots and report.json, print the verdicts; 1 if a command failed."""
    console = Console(stderr=options.json, highlight=False)
    items = chosen(options.names)
    store = Store(options.folder / "results")
    with steps(console) as progress:
        results = gather(items, store, options, progress, console)
    entries = [entry_of(item, results) for item in items]
    own = versions()
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{options.folder}: cannot be made: {error.strerror or error}") from error
    found = data(entries, versions=own)
    write_file(options.folder / "report.json", json.dumps(found, indent=1))
    write_file(options.folder / "report.md", markdown(entries, versions=own))
    for name, svg in pictures(entries).items():
        write_file(options.folder / name, svg)
    write_file(options.folder / "report.html", html(entries, versions=own))
    if options.json:
        print(json.dumps(found))
    else:
        show(entries, options.folder, console)
    return 1 if any(result.failed for result in results.values()) else 0


def gather(
    items: Sequence[Item], store: Store, options: ReportOptions, progress: Steps, console: Console
) -> dict[Command, Result]:
    """Results of the items' commands, kept or measured now; one that fails does not stop the others."""
    commands = list(dict.fromkeys(command for item in items for command in item.commands))
    found: dict[Command, Result] = {}
    for number, command in enumerate(commands):
        progress(f"report: {shown(command)[:90]}", number, len(commands))
        kept = store.find(command)
        good = kept is not None and not kept.failed and not (options.rebuild and kept.stale)
        if kept is not None and (good or options.cached):
            found[command] = kept
        elif not options.cached:
            found[command] = store.measure(command)
            said = found[command].failed or f"{found[command].seconds:.0f} s"
            console.print(f"{shown(command)}: {said}", soft_wrap=True)
    progress("report: done", len(commands), len(commands))
    return found


def entry_of(item: Item, results: dict[Command, Result]) -> Entry:
    """The item's finding, or why there is none yet."""
    own = [results[command] for command in item.commands if command in results]
    numbers = paper()[item.name]
    failed = next((f"{shown(result.command)}: {result.failed}" for result in own if result.failed), "")
    outputs = {result.command: result.output for result in own if result.output is not None}
    if failed or len(outputs) < len(item.commands):
        missing = next((shown(command) for command in item.commands if command not in outputs), "")
        finding = Finding(verdict="unmeasured", why=failed or f"There is no result of {missing} yet.")
    else:
        finding = item.find(numbers, outputs)
    return Entry(
        item=item,
        place=numbers["place"],
        finding=finding,
        measured=min((result.when for result in own), default=""),
        stale=any(result.stale for result in own),
    )


def show(entries: Sequence[Entry], folder: Path, console: Console) -> None:
    """A line per item, and where the pages are."""
    table = Table("item", "about", "verdict", box=None)
    for entry in entries:
        table.add_row(entry.item.name, entry.item.title, entry.finding.verdict + (", stale" if entry.stale else ""))
    console.print(table)
    console.print(f"{folder / 'report.html'}, report.md, report.json", soft_wrap=True)
