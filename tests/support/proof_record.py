"""Which proofs passed of which component: kept by ``python -m tests.support.proof_record`` after proofs ran.

Proofs of a component that has not changed join those that were kept; with ``--anew``, as ``make proofs`` calls it, only
those that ran are kept.
"""

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from tests.support.coverage import covering, owners
from tests.support.coverage_merge import source_hash
from tests.support.environment import REPOSITORY, output_folder

FOLDER = "proved"
KEPT = REPOSITORY / "tests" / "data" / "proofs.json"
WORDS = {"prove": "all time (induction over {})", "bmc": "first {} cycles"}


def record_proof(component: wiring.Component, *, mode: str, depth: int, passed: bool) -> None:
    """Keep that a proof passed, if benches keep their coverage. One that has to fail says nothing of a component."""
    if not (covering() and passed and mode in WORDS):
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" (")[0]
    entry = {"test": test, "mode": mode, "depth": depth, "components": owners(component)}
    name = re.sub(r"[^a-zA-Z0-9_.=-]+", "-", f"{test}-{mode}")[-200:]
    (output_folder(FOLDER) / f"{name}.json").write_text(json.dumps(entry))


def merge(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Per component that a proof has on top: the hash of its source, and the proofs with their bounds."""
    kept: dict[str, dict[str, Any]] = {}
    for entry in entries:
        for name in sorted({name for name, depth in entry["components"].values() if depth == 0}):
            one = kept.setdefault(name, {"source": source_hash(name), "proofs": {}})
            one["proofs"][entry["test"]] = [entry["mode"], entry["depth"]]
    return {name: kept[name] | {"proofs": dict(sorted(kept[name]["proofs"].items()))} for name in sorted(kept)}


def read_kept(path: Path = KEPT) -> dict[str, dict[str, Any]]:
    """The proofs that were kept with the sources."""
    return json.loads(path.read_text()) if path.is_file() else {}


def joined(old: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Kept proofs and new ones; those of a component whose source has changed since are forgotten."""
    both = dict(old) | dict(new)
    for name in set(old) & set(new):
        if old[name]["source"] == new[name]["source"]:
            both[name] = new[name] | {"proofs": dict(sorted((old[name]["proofs"] | new[name]["proofs"]).items()))}
    return dict(sorted(both.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Put what passed with the sources."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anew", action="store_true", help="forget what was kept before")
    options = parser.parse_args(arguments)
    ran = merge([json.loads(path.read_text()) for path in sorted((REPOSITORY / "build" / FOLDER).glob("*.json"))])
    kept = ran if options.anew else joined(read_kept(), ran)
    KEPT.with_suffix(".new").write_text(json.dumps(kept, indent=1) + "\n")
    KEPT.with_suffix(".new").replace(KEPT)
    print(f"{sum(len(one['proofs']) for one in kept.values())} proofs of {len(kept)} components")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
