"""The cover plan: situations that the suite must meet, and whether it met them. ``python -m tests.support.cover_plan``.

`tests/data/cover_plan.toml` lists them; a bench that sees one says so by `hit`. With MICRODUET_COVER_PLAN=1, or
MICRODUET_COVERAGE=1, every process leaves a line per situation in ``build/bins``, which ``--keep`` puts beside the
sources for the ledger.
"""

import argparse
import functools
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.coverage import covering
from tests.support.environment import REPOSITORY, output_folder

PLAN = REPOSITORY / "tests" / "data" / "cover_plan.toml"
KEPT = REPOSITORY / "tests" / "data" / "cover_plan.json"
FOLDER = "bins"
STREAMS = ("starved", "stalled", "back to back")
"""What the ends of a stream see by themselves: the sink waits, the source waits, two transfers without a gap."""


@functools.cache
def bins() -> Mapping[str, str]:
    """The situations of the plan, each with the file below ``tests`` that sees it."""
    plan = tomllib.loads(PLAN.read_text())
    found = {name: file for file, names in plan["bins"].items() for name in names}
    for bench, ends in plan["streams"].items():
        found |= {f"{bench}: {end} {state}": "support/streams.py" for end in ends for state in STREAMS}
    return found


_said: set[str] = set()


def hit(name: str, seen: object = True) -> None:
    """Say that situation `name` of the plan is there, if `seen`.

    Raises
    ------
    KeyError
        if the plan has no such situation
    """
    bins()[name]
    if seen:
        _say(name)


def hit_stream(end: str, state: str) -> None:
    """Say what an end of a stream sees, if the plan asks for it of this bench."""
    name = f"{os.environ.get('COCOTB_TEST_MODULES', '').removeprefix('tests.hw.')}: {end} {state}"
    if name not in _said and name in bins():
        _say(name)


def _say(name: str) -> None:
    if name not in _said:
        _said.add(name)
        if covering() or os.environ.get("MICRODUET_COVER_PLAN"):
            with (output_folder(FOLDER) / f"{os.getpid()}.txt").open("a") as file:
                file.write(f"{name}\n")


def met(folder: Path) -> dict[str, bool]:
    """Which situations of the plan the processes' files tell of."""
    told = {line for path in folder.glob("*.txt") for line in path.read_text().splitlines()}
    return {name: name in told for name in bins()}


def read_kept() -> dict[str, bool]:
    """What was kept beside the sources; only of situations that the plan still has."""
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    return {name: kept[name] for name in bins() if name in kept}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was met and what was not; with --keep write it beside the sources."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY / "build" / FOLDER)
    parser.add_argument("--keep", action="store_true", help=f"write {KEPT.relative_to(REPOSITORY)} too")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"{options.folder}: no test left there what it has met; run make cover-plan")
    found = met(options.folder)
    print(f"{sum(found.values())} of {len(found)} situations met")
    for name in sorted(name for name, there in found.items() if not there):
        print(f"    not met: {name} ({bins()[name]})")
    if options.keep:
        KEPT.with_suffix(".new").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        KEPT.with_suffix(".new").replace(KEPT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
