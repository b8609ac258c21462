"""Writes docs/verification.md: what is known of every module of the gateware. ``python -m tests.support.ledger``."""

import functools
import tomllib
from collections.abc import Sequence
from typing import Any

from tests.support import (
    cover_plan,
    coverage_merge,
    ledger_sources,
    mutant_record,
    proof_record,
    python_mutant_record,
)
from tests.support.coverage_merge import KINDS, source_hash
from tests.support.environment import REPOSITORY
from tests.support.ledger_sources import SECTIONS, Component

PAGE = REPOSITORY / "docs" / "verification.md"
DATA = REPOSITORY / "tests" / "data"
INTRODUCTION = DATA / "verification_introduction.md"
STALE = " (stale)"


@functools.cache
def reasons() -> dict[str, dict[str, Any]]:
    """What does not apply to which component, and why."""
    return tomllib.loads((DATA / "ledger.toml").read_text())


def owned_by(component: Component, seen: tuple[str, ...] = ()) -> list[str]:
    """What runs a component: its bench files, else the components inside of which one runs it, else other tests."""
    files = ledger_sources.bench_files(component)
    if files:
        return [file.removeprefix("tests/") for file in files]
    elsewhere = reasons().get(component.name, {}).get("elsewhere", [])
    if elsewhere:
        return [file.removeprefix("tests/") for file in elsewhere]
    by_name = {one.name: one for one in ledger_sources.components()}
    holders = [name for name in ledger_sources.holders(component) if name not in seen]
    inside = [name for name in holders if owned_by(by_name[name], (*seen, component.name))]
    return [f"inside {name}" for name in inside]


def module_owners(module: str, seen: tuple[str, ...] = ()) -> list[str]:
    """Test files of a module without hardware of its own; else the modules whose tests run it."""
    files = ledger_sources.module_tests(module)
    if files:
        return [file.removeprefix("tests/") for file in files]
    users = [user for user in ledger_sources.users(module) if user not in seen]
    return [f"by {user}" for user in users if not user.startswith("microduet_hw.") or _run(user, (*seen, module))]


def _run(module: str, seen: tuple[str, ...]) -> bool:
    has = any(one.module == module for one in ledger_sources.components())
    return has or bool(module_owners(module, seen))


def _stale(name: str, source: str) -> str:
    return "" if source == source_hash(name) else STALE


def coverage_text(name: str) -> list[str]:
    """What the page says of a component's line, branch and toggle coverage."""
    one = coverage_merge.read_kept().get(name)
    if one is None:
        return ["not measured", "", ""]
    shares = [one.percent(kind) for kind in KINDS]
    texts = ["none" if share is None else f"{int(share * 10) / 10:.1f} %" for share in shares]
    return [texts[0] + _stale(name, one.source), *texts[1:]]


def _proofs(name: str) -> str:
    one = proof_record.read_kept().get(name)
    if one is None:
        return "none"
    counted: dict[str, int] = {}
    for mode, depth in one["proofs"].values():
        said = proof_record.WORDS[mode].format(depth)
        counted[said] = counted.get(said, 0) + 1
    return ", ".join(f"{count} x {said}" for said, count in sorted(counted.items())) + _stale(name, one["source"])


def _waivers(name: str) -> str:
    one = coverage_merge.read_kept().get(name)
    return str(sum(one.waived.values())) if one else ""


def mutants_text(name: str) -> str:
    """What the page says of a component's mutants."""
    one = mutant_record.read_kept().get(name)
    return one.text() + _stale(name, one.source) if one else "not drawn"


def survivors() -> list[list[str]]:
    """A row per mutation that no bench noticed and no proof removed."""
    return [[name, f"`{one}`"] for name, record in mutant_record.read_kept().items() for one in record.survivors]


def _contract(component: Component) -> str:
    missing = [part for part in SECTIONS if part not in component.contract]
    return "whole" if not missing else "without " + ", ".join(missing)


def _listed(items: Sequence[str], most: int = 3) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more if items else "**nothing**"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def component_rows() -> list[list[str]]:
    """A row per component."""
    return [
        [
            one.name,
            _contract(one),
            _listed(owned_by(one)),
            *coverage_text(one.name),
            _proofs(one.name),
            _waivers(one.name),
            mutants_text(one.name),
            reasons().get(one.name, {}).get("reason", ""),
        ]
        for one in ledger_sources.components()
    ]


def plain_modules() -> list[str]:
    """Modules of the gateware without hardware of their own."""
    hardware = {one.module for one in ledger_sources.components()}
    return [module for module in ledger_sources.modules() if module not in hardware]


def unowned() -> list[str]:
    """Components that nothing simulates, and modules that no test runs."""
    left = [one.name for one in ledger_sources.components() if not owned_by(one)]
    return left + [module for module in plain_modules() if not module_owners(module)]


def summary() -> str:
    """The page's figures in a few lines."""
    covered, count = coverage_merge.read_kept(), len(ledger_sources.components())
    fresh = {name: one for name, one in covered.items() if not _stale(name, one.source)}

    def reach(kind: str, wanted: float) -> int:
        return sum((share := one.percent(kind)) is None or share >= wanted for one in fresh.values())

    leaves = ledger_sources.leaves()
    good = mutant_record.good()
    proofs, met = proof_record.read_kept().values(), cover_plan.read_kept()
    lines = [
        f"* {count} components, {len(plain_modules())} modules without hardware of their own, {len(unowned())} unowned",
        f"* coverage measured and fresh: {len(fresh)} of {count} components; line 100 %: {reach('line', 100)}, branch"
        f" 100 %: {reach('branch', 100)}, toggle 95 %: {reach('toggle', 95)}",
        f"* proofs: {sum(len(one['proofs']) for one in proofs)} of {len(proofs)} components",
        f"* cover plan: {sum(met.values())} of {len(cover_plan.bins())} situations met",
        f"* mutants: {mutant_record.summary()}, of the {len(leaves)} that hold no other component:"
        f" {sum(name in good for name in leaves)}",
        f"* Python mutants: {python_mutant_record.summary()}",
    ]
    return "\n".join(lines)


def _alive() -> list[str]:
    rows = survivors()
    return ["## Mutants that live", _table(["component", "mutation, as Yosys names it"], rows)] if rows else []


def python_rows() -> list[list[str]]:
    """A row per file of the software whose mutants have been drawn."""
    return [
        [
            f"`{path.removeprefix('sw/')}`",
            one.group,
            f"{one.drawn} of {one.found}",
            str(one.noticed),
            python_mutant_record.percent(one.noticed, one.drawn),
            "stale" if one.source != python_mutant_record.source_hash(path) else "",
        ]
        for path, one in python_mutant_record.read_kept().items()
    ]


def _python_mutants() -> list[str]:
    rows = python_rows()
    head = ["file", "group", "drawn", "killed", "share", "stale"]
    return ["## Python mutants", _table(head, rows)] if rows else []


def page() -> str:
    """Text of the page."""
    head = ["component", "contract", "run by", "line", "branch", "toggle", "proven for", "waived", "mutants"]
    plain = [[f"`{one.removeprefix('microduet_hw.')}`", _listed(module_owners(one))] for one in plain_modules()]
    parts = [
        INTRODUCTION.read_text().strip(),
        "## Figures",
        summary(),
        "## Components",
        _table([*head, "what does not apply, and why"], component_rows()),
        *_alive(),
        *_python_mutants(),
        "## Modules without hardware of their own",
        "Configurations, layouts, references and exports: no contract, coverage, proofs or mutants of hardware apply.",
        _table(["module", "run by"], plain),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the page, if it has changed."""
    text = page()
    if not PAGE.is_file() or PAGE.read_text() != text:
        PAGE.with_suffix(".new").write_text(text)
        PAGE.with_suffix(".new").replace(PAGE)
    print(f"{PAGE}: {len(unowned())} unowned")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
