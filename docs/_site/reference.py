"""Directives and docstrings of the reference: whole folders of modules, and sections as this project writes them."""

import builtins
import importlib
import pkgutil
import re
import typing
from collections.abc import Iterable, Iterator, Sequence

from amaranth.hdl import Elaboratable
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import NumpyDocstring
from sphinx.util import inspect
from sphinx.util.docutils import SphinxDirective

SECTIONS: typing.Any = Config(
    napoleon_custom_sections=[("Members", "params_style")], napoleon_use_rtype=False, napoleon_attr_annotations=False
)

ENTRY = re.compile(r"(?P<name>[^\s:][^:]*) : (?P<text>.+)")
"""Of a section: ``name : what it is``, further lines indented."""

PROMISE = re.compile(r"(Latency|Throughput|Back-pressure|Reset): ")
"""What begins a sentence of a component's contract."""

PLURAL = re.compile(r"(?<!`)(`[^`]+`)(?=\w)")
"""A name with letters right behind it, which are no part of it."""

CLASS = re.compile(r"(?<!`)`(?=[A-Z]\w*[a-z][\w.]*`)")
"""In front of a class or its member; a dot behind it has Sphinx look for the name in every module."""


class Modules(SphinxDirective):
    """All public things of the modules of one folder, a section per module; folders below it are left out."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        package = importlib.import_module(self.arguments[0])
        names = sorted(found.name for found in pkgutil.iter_modules(package.__path__) if not found.ispkg)
        return self.parse_text_to_nodes("\n".join(self._sections(names)), allow_section_headings=True)

    def _sections(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            yield from (f"``{name}``", "-" * 80, "", f".. automodule:: {self.arguments[0]}.{name}", "   :members:", "")


def rewrite(app: Sphinx, what: typing.Any, name: str, thing: object, *more: typing.Any) -> None:
    """Turn a docstring into what Sphinx reads; its lines, the last argument, are changed in place."""
    options, lines = more
    lines[:] = contract(CLASS.sub("`.", PLURAL.sub(r"\1\\ ", line)) for line in entries(lines))
    if what not in ("attribute", "data", "property"):  # these have no sections, and their first colon no meaning
        lines[:] = NumpyDocstring(lines, SECTIONS, app, what, name, thing, options).lines()


def entries(lines: Sequence[str]) -> Iterator[str]:
    """``name : text`` of a section as a name and, indented below it, a text."""
    inside = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        inside = inside or (bool(following) and set(following) == {"-"})
        found = ENTRY.fullmatch(line) if inside else None
        yield from (found["name"], f"    {found['text']}") if found else (line,)


def contract(lines: Iterable[str]) -> Iterator[str]:
    """Sentences that begin with a word of the contract as fields of a list."""
    inside = False
    for line in lines:
        begins = PROMISE.match(line)
        if begins and not inside:
            yield ""
        inside = bool(begins) or (inside and bool(line))
        yield f":{line}" if begins else f"    {line}" if inside else line


def arguments(app: Sphinx, what: str, name: str, thing: object, *more: typing.Any) -> tuple[str, None] | None:
    """A component's own parameters, in place of those that Amaranth's classes are made with."""
    if what != "class" or not issubclass(typing.cast(type, thing), Elaboratable):
        return None
    own = inspect.signature(thing.__init__, bound_method=True)
    return inspect.stringify_signature(own, show_return_annotation=False, unqualified_typehints=True), None


def tidy(app: Sphinx, tree: nodes.document) -> None:
    """Leave Python's own types without links, which would lead to members of their names; put dashes for hyphens."""
    for link in [*tree.findall(pending_xref)]:
        if hasattr(builtins, link.get("reftarget", "")):
            link.replace_self(link.children)
    for text in [*tree.findall(nodes.Text)]:
        if text == " -- ":  # between the name of a parameter and what it is
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("modules", Modules)
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("autodoc-process-signature", arguments)
    app.connect("doctree-read", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
