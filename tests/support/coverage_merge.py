"""Joins what benches reached into one figure per component: ``python -m tests.support.coverage_merge [--keep]``."""

import argparse
import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.coverage import FOLDER
from tests.support.environment import REPOSITORY
from tests.support.waivers import Waiver, read_waivers, waived

KEPT = REPOSITORY / "tests" / "data" / "coverage.json"
KINDS = ("line", "branch", "toggle")


@dataclass(frozen=True, kw_only=True)
class Covered:
    """What all benches together reached of one component.

    Members
    -------
    source : hash of its source file when that was measured
    reached, total, waived : points of each kind
    missed : points that were neither reached nor waived; neighbouring bits in one entry
    own_benches : tests whose simulation has it on top
    other_benches : tests whose simulation has it further down
    """

    source: str
    reached: Mapping[str, int]
    total: Mapping[str, int]
    waived: Mapping[str, int]
    missed: Sequence[str]
    own_benches: Sequence[str]
    other_benches: Sequence[str]

    def percent(self, kind: str) -> float | None:
        """Reached points of those that are not waived; None if there are none of this kind."""
        of = self.total[kind] - self.waived[kind]
        return 100 * self.reached[kind] / of if of else None


def source_hash(component: str) -> str:
    """Hash of the file that a component stands in."""
    module = importlib.import_module(f"microduet_hw.{component.rsplit('.', 1)[0]}")
    return hashlib.sha256(Path(inspect.getfile(module)).read_bytes()).hexdigest()[:12]


def ranges(keys: Iterable[str]) -> list[str]:
    """Keys with the bits of one signal that follow each other in one entry."""
    bits: dict[tuple[str, str], list[int]] = {}
    lines: list[str] = []
    for key in keys:
        if found := re.fullmatch(r"(toggle: .*)\[(\d+)\] (\w+)", key):
            bits.setdefault((found[1], found[3]), []).append(int(found[2]))
        else:
            lines.append(key)
    for (name, edge), numbers in bits.items():
        start = previous = min(numbers)
        for number in [*sorted(numbers)[1:], None]:
            if number != previous + 1:
                lines.append(f"{name}[{previous}:{start}] {edge}" if previous != start else f"{name}[{start}] {edge}")
                start = number if number is not None else start
            previous = number if number is not None else previous
    return sorted(lines)


def merge(benches: Iterable[Mapping[str, Any]], *, waivers: Sequence[Waiver]) -> dict[str, Covered]:
    """Figures of every component that the benches' files speak of."""
    points: dict[str, dict[str, int]] = {}
    own: dict[str, set[str]] = {}
    other: dict[str, set[str]] = {}
    for bench in benches:
        test = re.sub(r"\[.*", "", bench["test"])
        for component, found in bench["classes"].items():
            counted = points.setdefault(component, {})
            for key, count in found["points"].items():
                counted[key] = counted.get(key, 0) + count
            (other if found["depth"] else own).setdefault(component, set()).add(test)
    return {
        component: _covered(component, counted, waivers, own=own.get(component, ()), other=other.get(component, ()))
        for component, counted in sorted(points.items())
    }


def _covered(
    component: str, points: Mapping[str, int], waivers: Sequence[Waiver], *, own: Iterable[str], other: Iterable[str]
) -> Covered:
    missed = {key for key, count in points.items() if not count}
    spared = waived(waivers, component, missed)

    def of_kind(keys: Iterable[str]) -> dict[str, int]:
        listed = list(keys)
        return {kind: sum(key.startswith(f"{kind}:") for key in listed) for kind in KINDS}

    return Covered(
        source=source_hash(component),
        reached=of_kind(points.keys() - missed),
        total=of_kind(points),
        waived=of_kind(spared),
        missed=ranges(missed - spared),
        own_benches=sorted(own),
        other_benches=sorted(set(other) - set(own)),
    )


def read_kept(path: Path = KEPT) -> dict[str, Covered]:
    """The figures that were kept with the sources."""
    return {name: Covered(**entry) for name, entry in json.loads(path.read_text()).items()} if path.is_file() else {}


def table(covered: Mapping[str, Covered]) -> str:
    """A line per component, and below it what was missed."""
    lines = [f"{'component':40} {'line':>7} {'branch':>7} {'toggle':>7} waived"]
    for name, one in covered.items():
        shares = [one.percent(kind) for kind in KINDS]
        figures = " ".join("      -" if share is None else f"{share:7.1f}" for share in shares)
        lines.append(f"{name:40} {figures} {sum(one.waived.values()):6}")
        lines += [f"    {point}" for point in one.missed]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; with --keep put them with the sources, where the ledger reads them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY / "build" / FOLDER)
    parser.add_argument("--keep", action="store_true", help="write tests/data/coverage.json too")
    options = parser.parse_args(arguments)
    benches = [json.loads(path.read_text()) for path in sorted(options.folder.glob("*.json"))]
    if not benches:
        parser.error(f"{options.folder}: no bench left its coverage there; run make coverage")
    covered = merge(benches, waivers=read_waivers())
    print(table(covered))
    if options.keep:
        kept = read_kept() | covered
        text = json.dumps({name: asdict(kept[name]) for name in sorted(kept)}, indent=1)
        KEPT.with_suffix(".new").write_text(text + "\n")
        KEPT.with_suffix(".new").replace(KEPT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
