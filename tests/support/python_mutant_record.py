"""What is known of the mutants of the software: kept with the sources in tests/data/python_mutants.json."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.environment import REPOSITORY

KEPT = REPOSITORY / "tests" / "data" / "python_mutants.json"
WANTED = 0.85
"""Share of a group's mutants that its tests have to notice."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The mutants of one file.

    Members
    -------
    group : of the files that were drawn from together
    source : hash of the file when they were drawn
    seed : of the draw
    found, drawn : mutants that there are, and those that were judged
    killed, timeouts : of those, the ones that a test noticed, and the ones that did not end
    survivors : the others, in words
    """

    group: str
    source: str
    seed: int
    found: int
    drawn: int
    killed: int
    timeouts: int
    survivors: Sequence[str]

    @property
    def noticed(self) -> int:
        """Killed, or without an end."""
        return self.killed + self.timeouts

    def text(self) -> str:
        """The record in a few words."""
        ends = f", {self.timeouts} of them by time" if self.timeouts else ""
        return f"{self.noticed} of {self.drawn} killed{ends}; {self.found} found"


def source_hash(path: str) -> str:
    """Hash of a file of the repository; of nothing if it is gone."""
    file = REPOSITORY / path
    return hashlib.sha256(file.read_bytes() if file.is_file() else b"").hexdigest()[:12]


def percent(part: int, whole: int) -> str:
    """A share that never rounds up."""
    return f"{int(1000 * part / whole) / 10:.1f} %" if whole else "none"


def read_kept(path: Path = KEPT) -> dict[str, Record]:
    """The records that were kept with the sources, by file."""
    return {name: Record(**entry) for name, entry in json.loads(path.read_text()).items()} if path.is_file() else {}


def keep(made: Mapping[str, Record], path: Path = KEPT) -> None:
    """Put records with the sources, in place of those of the same groups."""
    again = {one.group for one in made.values()}
    kept = {name: one for name, one in read_kept(path).items() if one.group not in again} | dict(made)
    text = json.dumps({name: asdict(kept[name]) for name in sorted(kept)}, indent=1)
    path.with_suffix(".new").write_text(text + "\n")
    path.with_suffix(".new").replace(path)


def summary(path: Path = KEPT) -> str:
    """The ledger's line: what is killed of each group."""
    groups: dict[str, list[Record]] = {}
    for one in read_kept(path).values():
        groups.setdefault(one.group, []).append(one)

    def said(name: str) -> str:
        drawn, found = sum(one.drawn for one in groups[name]), sum(one.found for one in groups[name])
        share = percent(sum(one.noticed for one in groups[name]), drawn)
        return f"{name} {share} of {'all ' if drawn == found else ''}{drawn}" + (
            "" if drawn == found else f" of {found}"
        )

    return "; ".join(said(name) for name in sorted(groups)) or "none drawn yet"
