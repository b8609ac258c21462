"""What benches reached of each component: lines, branches and bits, by names that survive a change of parameters.

With MICRODUET_COVERAGE=1 every bench leaves one JSON file in ``build/coverage``; `coverage_merge` joins them.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from amaranth.hdl._ir import Fragment
from amaranth.lib import wiring

from tests.support.coverage_points import Point, points
from tests.support.environment import output_folder

FOLDER = "coverage"
TOP = "top"


def covering() -> bool:
    """Whether benches are to count what they reach. (cocotb takes COVERAGE to mean its own process's Python.)"""
    return os.environ.get("MICRODUET_COVERAGE", "") not in ("", "0")


def class_name(kind: type) -> str:
    """What a component is called in the ledger: its module and class without the package."""
    return f"{kind.__module__.removeprefix('microduet_hw.')}.{kind.__qualname__}"


def owners(component: wiring.Component) -> dict[str, tuple[str, int]]:
    """For each Verilog module of `component`: the gateware class that it belongs to, and how many such are above it.

    A module that is no component of its own (a memory, a part of Amaranth's library) belongs to the one that holds it;
    what a test wraps round a component belongs to nobody and is left out.
    """
    design = Fragment.get(component, None).prepare(hierarchy=(TOP,))
    found: dict[tuple[str, ...], tuple[str, int]] = {}
    for fragment, info in sorted(design.fragments.items(), key=lambda item: len(item[1].name)):
        above = found.get(info.name[:-1])
        kinds = [type(one) for one in fragment.origins or () if type(one).__module__.startswith("microduet_hw.")]
        kinds = [kind for kind in kinds if issubclass(kind, wiring.Component)]
        if kinds:
            found[info.name] = class_name(kinds[-1]), above[1] + 1 if above else 0
        elif above:
            found[info.name] = above
    return {".".join(name): owner for name, owner in found.items()}


def summary(component: wiring.Component, *, verilog: str, counts: str) -> dict[str, dict[str, Any]]:
    """Per class: `depth` below the bench's top, and `points` with how often each was reached."""
    belongs = owners(component)
    reached: dict[str, dict[str, Any]] = {}
    for name, (owner, depth) in belongs.items():
        if re.search(rf"^module \\?{re.escape(name)} ?\(", verilog, re.MULTILINE):
            entry = reached.setdefault(owner, {"depth": depth, "points": {}})
            entry["depth"] = min(depth, entry["depth"])
    for point in points(verilog=verilog, counts=counts):
        _add(reached, belongs, point)
    return reached


def _add(reached: dict[str, dict[str, Any]], belongs: dict[str, tuple[str, int]], point: Point) -> None:
    if point.module in belongs:
        counted = reached[belongs[point.module][0]]["points"]
        counted[point.key] = counted.get(point.key, 0) + point.count


def record(component: wiring.Component, *, build: Path, counts: Path) -> None:
    """Keep what a bench has reached. A simulation that ended early leaves no counts, and nothing is kept of it."""
    if not counts.is_file():
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
    found = summary(component, verilog=(build / f"{TOP}.v").read_text(), counts=counts.read_text(errors="replace"))
    name = re.sub(r"[^a-zA-Z0-9_.=-]+", "-", f"{test}-{build.name}")
    path = output_folder(FOLDER) / f"{name[-200:]}.json"
    path.with_suffix(".new").write_text(json.dumps({"test": test, "classes": found}))
    path.with_suffix(".new").replace(path)
