"""Benches as they are called, written down instead of run, so that one model full of mutants can be run by each.

With MICRODUET_MUTANTS set to a component's name in the ledger, every `run_bench` leaves one JSON file and returns.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from tests.support.coverage import TOP, owners
from tests.support.environment import output_folder


@dataclass(frozen=True, kw_only=True)
class Call:
    """A bench with a component that is, or holds, the one to be mutated.

    Members
    -------
    test : pytest's name of the test
    module, scenarios, parameters, opened : as `run_bench` takes them
    netlist : the whole design as RTLIL
    modules : modules of the netlist that belong to the component; the first is the component itself
    depth : components above it
    """

    test: str
    module: str
    scenarios: Sequence[str]
    parameters: Mapping[str, object]
    opened: Sequence[str] = ()
    netlist: str
    modules: Sequence[str]
    depth: int


def mutated() -> str:
    """Name of the component whose benches are to be written down; nothing if benches are to run."""
    return os.environ.get("MICRODUET_MUTANTS", "")


def folder_of(name: str) -> Path:
    """Where the mutants of a component are made and judged."""
    return output_folder(f"mutants/{name}")


def write_down(
    component: wiring.Component,
    *,
    module: str,
    scenarios: Sequence[str],
    parameters: Mapping[str, object],
    opened: Sequence[str] = (),
) -> None:
    """Keep a call of `run_bench`, if the component to be mutated is in what it simulates."""
    found = [(depth, path) for path, (owner, depth) in owners(component).items() if owner == mutated()]
    if not found:
        return
    depth, first = min(found)
    # One instance is mutated, with what it holds of memories and library parts; a component inside of it is not.
    modules = [path for _, path in sorted(found) if path == first or path.startswith(f"{first}.")]
    call = Call(
        test=os.environ.get("PYTEST_CURRENT_TEST", module).split(" (")[0],
        module=module,
        scenarios=list(scenarios),
        parameters=dict(parameters),
        opened=list(opened),
        netlist=rtlil.convert(component, name=TOP, emit_src=False),
        modules=modules,
        depth=depth,
    )
    text = json.dumps(asdict(call))
    folder = folder_of(mutated()) / "calls"
    folder.mkdir(exist_ok=True)
    (folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json").write_text(text)


def read_calls(name: str) -> list[Call]:
    """The calls that were written down, by their tests' names."""
    paths = (folder_of(name) / "calls").glob("*.json")
    return sorted((Call(**json.loads(path.read_text())) for path in paths), key=lambda one: one.test)


def one_design(calls: Sequence[Call]) -> list[Call]:
    """Of all designs the one to mutate: with the component on top, with most benches, and of those the middle one.

    The smallest design is often a special case, whose mutants only that case could show.
    """
    designs: dict[str, list[Call]] = {}
    for call in calls:
        designs.setdefault(call.netlist, []).append(call)
    ranks = {netlist: (group[0].depth, -len(group)) for netlist, group in designs.items()}
    best = [designs[netlist] for netlist, rank in ranks.items() if rank == min(ranks.values())]
    best.sort(key=lambda group: _bits(group[0].netlist))
    return best[len(best) // 2] if best else []


def _bits(netlist: str) -> int:
    """Bits of all wires and memories' words of a design."""
    return sum(int(width) for width in re.findall(r"^ *(?:wire|memory) .*width (\d+)", netlist, re.MULTILINE))
