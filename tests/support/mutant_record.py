"""What is known of the mutants of each component: kept with the sources in tests/data/mutants.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.coverage_merge import source_hash
from tests.support.environment import REPOSITORY

KEPT = REPOSITORY / "tests" / "data" / "mutants.json"
WANTED = 0.95
"""Share of the mutants that are no equivalent ones, to be killed by the benches."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The mutants of one component.

    Members
    -------
    source : hash of its source file when they were drawn
    seed : of the draw, and of the benches' random numbers
    asked, drawn : mutants that were asked for, and all that Yosys found
    equivalent : of those, proven to be no other hardware within the bound `proof`
    survivors : mutations that no bench noticed and no proof removed
    benches : what judged, with how many mutants each was the first to notice
    refused : benches that were left out, because they do not call the original good, and why
    proof : bounds of the proofs
    """

    source: str
    seed: int
    asked: int
    drawn: int
    equivalent: int
    survivors: Sequence[str]
    benches: Mapping[str, int]
    proof: str
    refused: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def killed(self) -> int:
        """Mutants that a bench noticed."""
        return self.drawn - self.equivalent - len(self.survivors)

    @property
    def share(self) -> float:
        """Killed ones of those that are not equivalent."""
        different = self.drawn - self.equivalent
        return self.killed / different if different else 1.0

    def text(self) -> str:
        """The record in a few words."""
        percent = int(1000 * self.share) / 10
        extra = f", {self.equivalent} equivalent" if self.equivalent else ""
        return f"{self.killed} of {self.drawn} killed{extra}, {len(self.survivors)} alive ({percent:.1f} %)"


def read_kept(path: Path = KEPT) -> dict[str, Record]:
    """The records that were kept with the sources."""
    return {name: Record(**entry) for name, entry in json.loads(path.read_text()).items()} if path.is_file() else {}


def keep(name: str, record: Record, path: Path = KEPT) -> None:
    """Put a record with the sources, in place of the component's earlier one."""
    kept = read_kept(path) | {name: record}
    text = json.dumps({one: asdict(kept[one]) for one in sorted(kept)}, indent=1)
    path.with_suffix(".new").write_text(text + "\n")
    path.with_suffix(".new").replace(path)


def fresh(kept: Mapping[str, Record]) -> dict[str, Record]:
    """Records of sources that have not changed since."""
    return {name: one for name, one in kept.items() if one.source == source_hash(name)}


def good() -> list[str]:
    """Components of whose mutants, drawn of the file as it is, the benches kill what is `WANTED`."""
    return [name for name, one in fresh(read_kept()).items() if one.share >= WANTED]


def summary() -> str:
    """The ledger's line."""
    kept = read_kept()
    if not kept:
        return "none drawn yet"
    now = fresh(kept)
    killed, alive = sum(one.killed for one in now.values()), sum(len(one.survivors) for one in now.values())
    return (
        f"drawn and fresh: {sum(one.drawn for one in now.values())} of {len(now)} components; {killed} killed, {alive}"
        f" alive; {WANTED:.0%} killed: {len(good())}"
    )
