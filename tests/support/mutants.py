"""Which small faults in a component its benches would miss: ``python -m tests.support.mutants NAME [--keep]``.

Yosys draws single mutations of the component's netlist (a bit tied, inverted or mixed with another), all of them go
into one model, and every bench of that very design runs once with each. A mutant is killed if any bench fails, stops or
does not end. Those that live are held against the original by proof; what is not proven equal counts as alive.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tests.support import ledger_sources
from tests.support.bench_build import runner_of
from tests.support.coverage_merge import source_hash
from tests.support.environment import REPOSITORY
from tests.support.mutant_calls import Call, folder_of, one_design, read_calls
from tests.support.mutant_judge import judge
from tests.support.mutant_model import Model, MutantError, build_model, make
from tests.support.mutant_proofs import BOUNDS, equivalent
from tests.support.mutant_record import WANTED, Record, keep, read_kept

CONTROLS = 5
"""Killed mutants that are given to the prover too, which has to refuse them."""
CHOICES = REPOSITORY / "tests" / "data" / "mutants.toml"


def component_called(name: str) -> ledger_sources.Component:
    """The component of a name or of the end of one, such as ``queue`` or ``lookup.queue.Queue``.

    Raises
    ------
    MutantError
        if there is none, or more than one
    """
    parts = name.lower()
    found = [one for one in ledger_sources.components() if one.name == name]
    found = found or [one for one in ledger_sources.components() if parts in one.name.lower().split(".")]
    if len(found) != 1:
        said = ", ".join(one.name for one in found) or "no component; docs/verification.md names all"
        raise MutantError(f"{name}: {said}")
    return found[0]


def bench_files(component: ledger_sources.Component) -> list[str]:
    """The bench file of its module, else those that build it, else those of the components that hold it."""
    files = ledger_sources.bench_files(component)
    own = f"/test_{component.module.rsplit('.', 1)[1]}.py"
    files = [file for file in files if file.endswith(own)] or files
    by_name = {one.name: one for one in ledger_sources.components()}
    for holder in ledger_sources.holders(component) if not files else []:
        files += ledger_sources.bench_files(by_name[holder])
    return sorted(set(files))


def collect(name: str, files: Sequence[str]) -> list[Call]:
    """The benches of a component, as CI calls them, without running them."""
    shutil.rmtree(folder_of(name) / "calls", ignore_errors=True)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *files]
    # Tests that look at what a bench leaves behind fail here, which is no matter.
    subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"MICRODUET_MUTANTS": name, "MICRODUET_COVERAGE": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return read_calls(name)


def chosen_calls(name: str, calls: Sequence[Call]) -> list[Call]:
    """Benches of the design that tests/data/mutants.toml chooses by one of its tests, else of `one_design`."""
    wanted = tomllib.loads(CHOICES.read_text()).get(name, {}).get("test")
    if wanted is None:
        return one_design(calls)
    found = [call for call in calls if wanted in call.test]
    if not found:
        raise MutantError(f"{name}: no bench is called {wanted}, which {CHOICES.name} asks for")
    return [call for call in calls if call.netlist == found[0].netlist]


def examine(
    name: str, calls: Sequence[Call], *, count: int, seed: int, source: str, before: Record | None = None
) -> Record:
    """Draw mutants of the calls' design and judge them; `source` is the hash of the component's file.

    With a record of `before`, of the same draw, only those that lived then are judged.

    Raises
    ------
    MutantError
        if there is nothing to mutate, no bench calls the original good, or `before` is of another draw
    """
    if not calls:
        raise MutantError(f"{name}: no bench of CI builds it")
    folder = folder_of(name)
    opened = sorted({name for call in calls for name in call.opened})
    model = make(replace(calls[0], opened=opened), folder / "model", count=count, seed=seed)
    numbers = list(range(1, len(model.mutations) + 1))
    if before is not None:
        numbers = [number for number in numbers if _text(model, number) in before.survivors]
        if (before.drawn, before.source) != (len(model.mutations), source) or len(numbers) != len(before.survivors):
            raise MutantError(f"{name}: the kept record is of another draw; draw anew")
    first, refused, alive = _judged(model, calls, numbers, seed=seed)
    if len(refused) == len(calls):
        raise MutantError(f"{name}: no bench calls the original good: {next(iter(refused.values()))}")
    same = proven_equal(model, alive, killed=[number for number in numbers if number not in alive])
    noticed = Counter(before.benches if before else {})
    noticed.update(first)
    return Record(
        source=source,
        seed=seed,
        asked=count,
        drawn=len(model.mutations),
        equivalent=len(same) + (before.equivalent if before else 0),
        survivors=[_text(model, number) for number in alive if number not in same],
        benches=dict(noticed),
        refused=refused,
        proof=BOUNDS,
    )


def _text(model: Model, number: int) -> str:
    """A mutation as the record names it."""
    return model.mutations[number - 1].removeprefix("mutate ")


def proven_equal(model: Model, alive: Sequence[int], *, killed: Sequence[int]) -> set[int]:
    """Those of the living mutants that are no other hardware, beside some that were killed just before.

    Raises
    ------
    MutantError
        if one that a bench killed is proven to be the original too: a proof that proves everything says nothing
    """
    if not alive:
        return set()
    controls = list(killed[:CONTROLS])
    same = equivalent(model, [*alive, *controls])
    if wrong := sorted(same & set(controls)):
        raise MutantError(f"a killed mutant was proven to be the original: {model.mutations[wrong[0] - 1]}")
    return same


def _judged(
    model: Model, calls: Sequence[Call], numbers: Sequence[int], *, seed: int
) -> tuple[dict[str, int], dict[str, str], list[int]]:
    """Mutants that each bench was the first to notice, benches that were left out, and the mutants that live."""
    runner = runner_of("verilator")
    build = build_model(runner, model)
    first: dict[str, int] = {}
    refused: dict[str, str] = {}
    alive = list(numbers)
    for number, call in enumerate(calls):
        verdict = judge(runner, build, call, numbers=alive, folder=model.folder.parent / f"bench{number}", seed=seed)
        if verdict.refused:
            refused[call.test] = verdict.refused.splitlines()[0]
            continue
        first[call.test] = first.get(call.test, 0) + len(verdict.killed)
        alive = [one for one in alive if one not in verdict.killed]
    return first, refused, alive


def _examined(name: str, *, count: int, seed: int, kept: bool, survivors: bool) -> int:
    """Print what lives of one component; 1 if too much does."""
    before = read_kept().get(name) if survivors else None
    if survivors and (before is None or (before.asked, before.seed) != (count, seed)):
        raise MutantError(
            f"{name}: no record of {count} mutants with seed {seed} is kept whose survivors could be judged"
        )
    calls = chosen_calls(name, collect(name, bench_files(component_called(name))))
    record = examine(name, calls, count=count, seed=seed, source=source_hash(name), before=before)
    print(f"{name}: {record.text()}", *[f"    {one}" for one in record.survivors], sep="\n", flush=True)
    for test, why in record.refused.items():
        print(f"    left out: {test}: {why}")
    if kept:
        keep(name, record)
    return int(record.share < WANTED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what lives; status 1 if too much does, 2 if mutants can't be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a component, or its module: lookup.queue.Queue, queue"
    )
    parser.add_argument("--again", action="store_true", help="all components whose figures were kept")
    parser.add_argument("--survivors", action="store_true", help="judge only those that lived, once tests were added")
    parser.add_argument("--count", type=int, default=200, help="mutants to draw (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw and the benches (1)")
    parser.add_argument("--keep", action="store_true", help="write tests/data/mutants.json too")
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error(f"--count must be at least 1, not {options.count}")
    names = [*options.names, *(read_kept() if options.again else ())]
    if not names:
        parser.error("name a component, or say --again")
    asked = {"count": options.count, "seed": options.seed, "kept": options.keep, "survivors": options.survivors}
    status = 0
    for name in names:
        try:
            status = max(status, _examined(component_called(name).name, **asked))
        except MutantError as error:
            print(f"mutants: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    raise SystemExit(main())
