"""What the sources say of every module of the gateware: components, contracts, and the tests that speak of them."""

import ast
import functools
import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Elaboratable

import microduet_hw
from tests.support.environment import REPOSITORY

SECTIONS = ("Latency", "Throughput", "Back-pressure", "Reset")
"""What the contract of a component says, where it applies."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A class of the gateware that becomes hardware.

    Members
    -------
    name : module and class, without the package
    path : its source file in the repository
    contract : those of `SECTIONS` that its docstring has
    """

    name: str
    path: str
    contract: tuple[str, ...]

    @property
    def module(self) -> str:
        """The module's full name."""
        return f"microduet_hw.{self.name.rsplit('.', 1)[0]}"

    @property
    def kind(self) -> str:
        """The class's own name."""
        return self.name.rsplit(".", 1)[1]


def modules() -> list[str]:
    """Full names of the gateware's modules, packages left out."""
    return [one.name for one in pkgutil.walk_packages(microduet_hw.__path__, "microduet_hw.") if not one.ispkg]


def contract_of(text: str) -> tuple[str, ...]:
    """Those of `SECTIONS` that begin a line of a docstring, alone or several at once: ``Latency, Reset: as `X`.``"""
    heads = [line.strip().partition(":")[0].split(", ") for line in text.splitlines() if ":" in line]
    said = {name for head in heads if set(head) <= set(SECTIONS) for name in head}
    return tuple(part for part in SECTIONS if part in said)


@functools.cache
def components() -> tuple[Component, ...]:
    """Every class of the gateware that becomes hardware, by name."""
    found: list[Component] = []
    for name in modules():
        module = importlib.import_module(name)
        for kind in vars(module).values():
            if inspect.isclass(kind) and issubclass(kind, Elaboratable) and kind.__module__ == name:
                contract = contract_of(kind.__doc__ or "")
                path = Path(inspect.getfile(module)).relative_to(REPOSITORY)
                short = f"{name.removeprefix('microduet_hw.')}.{kind.__qualname__}"
                found.append(Component(name=short, path=str(path), contract=contract))
    return tuple(sorted(found, key=lambda one: one.name))


@functools.cache
def imported(path: Path) -> frozenset[tuple[str, str]]:
    """Module and name of everything that a file imports; no name if it imports the whole module."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add((whole, "") if _file(whole) else (node.module, alias.name))
        elif isinstance(node, ast.Import):
            found.update((alias.name, "") for alias in node.names)
    return frozenset(found)


@functools.cache
def tests() -> tuple[Path, ...]:
    """Every test file."""
    return tuple(sorted((REPOSITORY / "tests").rglob("test_*.py")))


@functools.cache
def _file(module: str) -> Path | None:
    """Where a module of this repository stands."""
    parts = module.split(".")
    folder = {"tests": ".", "microduet_hw": "hw", "microduet_sim": "sim", "microduet": "sw"}.get(parts[0])
    if folder is None:
        return None
    base = (REPOSITORY / folder).joinpath(*parts)
    choices = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in choices if path.is_file()), None)


@functools.cache
def used(path: Path) -> frozenset[tuple[str, str]]:
    """What a test file takes from the gateware, itself or by the support code that it names."""
    direct = imported(path)
    for module, _ in set(direct):
        if module.startswith("tests."):
            support = _file(module)
            if support and support != path:
                direct |= {pair for pair in imported(support) if pair[0].startswith("microduet_hw")}
    return frozenset(pair for pair in direct if pair[0].startswith("microduet_hw"))


def is_bench(path: Path) -> bool:
    """Whether a test file simulates components cycle by cycle."""
    return ("tests.support.bench", "run_bench") in imported(path)


def bench_files(component: Component) -> list[str]:
    """Bench files that take the component by its name; support code that builds it for them counts."""
    pair = (component.module, component.kind)
    return [str(path.relative_to(REPOSITORY)) for path in tests() if is_bench(path) and pair in used(path)]


@functools.cache
def _named(path: Path) -> dict[str, frozenset[str]]:
    """What each class of a file names, or the functions beside it; what only has a constant read does not count."""
    found: dict[str, set[str]] = {}
    for part in ast.parse(path.read_text()).body:
        inside = part.body if isinstance(part, ast.ClassDef) else [part]
        nodes = [node for statement in inside for node in ast.walk(statement)]
        read = {node.value for node in nodes if isinstance(node, ast.Attribute)}
        names = {node.id for node in nodes if isinstance(node, ast.Name) and node not in read}
        found.setdefault(part.name if isinstance(part, ast.ClassDef) else "", set()).update(names)
    return {kind: frozenset(names | found.get("", set())) for kind, names in found.items()}


def holders(component: Component) -> list[str]:
    """Components that make this one: what it is simulated inside of."""
    pair = (component.module, component.kind)
    found: list[str] = []
    for other in components():
        path = REPOSITORY / other.path
        known = pair in imported(path) or other.path == component.path
        if other.name != component.name and known and component.kind in _named(path)[other.kind]:
            found.append(other.name)
    return found


def leaves() -> list[str]:
    """Components that hold no other one."""
    holding = {holder for one in components() for holder in holders(one)}
    return [one.name for one in components() if one.name not in holding]


def module_tests(module: str) -> list[str]:
    """Test files that take anything from a module of the gateware, by themselves or by their support code."""
    return [str(path.relative_to(REPOSITORY)) for path in tests() if any(pair[0] == module for pair in used(path))]


@functools.cache
def users(module: str) -> tuple[str, ...]:
    """Modules of the gateware, the simulation and the software that import a module."""
    files = [path for part in ("hw", "sim", "sw") for path in sorted((REPOSITORY / part).rglob("*.py"))]
    found = [path for path in files if any(pair[0] == module for pair in imported(path))]
    return tuple(".".join(path.relative_to(REPOSITORY).with_suffix("").parts[1:]) for path in found)
