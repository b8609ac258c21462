"""Tests that cannot fail: found by looking for what makes a test fail."""

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKERS = {
    "run_bench",  # fails with a scenario's or the hardware's assertion
    "raises",  # pytest.raises
    "warns",  # pytest.warns
    "fail",  # pytest.fail
    "receive",  # StreamSink.receive: times out if what was asked for does not come
}
"""Calls that make a test fail, whatever module they are of. Functions of the same file and of tests/ that assert count
by themselves."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What one function does: whether it is a test, asserts by itself, and the names that it calls or gives on."""

    name: str
    is_test: bool
    asserts: bool
    called: frozenset[str]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and inner ones too."""
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def called(node: ast.AST) -> set[str]:
    """Last names of everything that is called or given on inside a function."""
    names = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    names |= {"fail" for name in names if name.startswith("assert_")}  # numpy's and torch's
    return names | {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def asserts(node: ast.AST) -> bool:
    """Whether a function has an assertion or raises one itself."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            return True
        if isinstance(part, ast.Raise) and part.exc is not None and "AssertionError" in ast.unparse(part.exc):
            return True
    return False


@functools.cache
def facts(path: Path) -> tuple[Fact, ...]:
    """What every function of a file does."""
    nodes = functions(ast.parse(path.read_text()))
    return tuple(
        Fact(name=node.name, is_test=is_test(node), asserts=asserts(node), called=frozenset(called(node)))
        for node in nodes
    )


def checking(files: Iterable[Path]) -> set[str]:
    """Names of functions that can fail a test: those that assert, and those that call one of them."""
    found, names = [fact for path in files for fact in facts(path)], set(CHECKERS)
    names |= {fact.name for fact in found if fact.asserts}
    while True:
        more = {fact.name for fact in found if fact.name not in names and fact.called & names}
        if not more:
            return names
        names |= more


def is_test(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether pytest or cocotb runs a function as a test."""
    decorated = [ast.unparse(decorator) for decorator in node.decorator_list]
    if any("fixture" in text for text in decorated):
        return False
    return node.name.startswith("test_") or any(text.startswith("cocotb.test") for text in decorated)


def tests_that_cannot_fail(path: Path, *, support: Iterable[Path]) -> list[str]:
    """Names of a file's tests and scenarios without an assertion or a checker.

    Parameters
    ----------
    path : the test file
    support : files whose functions may do the checking for it, beside its own
    """
    checkers = checking([path, *support])
    return [fact.name for fact in facts(path) if fact.is_test and not fact.asserts and not fact.called & checkers]
