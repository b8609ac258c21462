"""Verilog taken apart: modules, how often each is in the whole, and pieces small enough to synthesise."""

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from microduet.errors import InputError

NAME = r"(?:\\\S+ |[A-Za-z_]\w*\b)"
MODULE = re.compile(rf"^(?:\(\*[^\n]*\*\)\n)?module (?P<name>{NAME})(?P<rest>.*?^endmodule$)", re.MULTILINE | re.DOTALL)
INSTANCE = re.compile(
    rf"^  (?P<name>{NAME})(?P<parameters> *#\(.*?\n  \))? *(?P<instance>{NAME}) *\($", re.MULTILINE | re.DOTALL
)
PORT = re.compile(r"^  (?:input|output|inout) [^\n]*;$", re.MULTILINE)
HEADER = re.compile(r"^[^;]*;", re.DOTALL)

PIECE_CHARACTERS = 60_000
"""Text, instances counted each, of a module that is synthesised as one piece with all in it."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """What is synthesised at once: a module with all that is in it, or without modules that are pieces themselves.

    Members
    -------
    name : of one of the modules that it stands for
    text : Verilog with names of its own, so that equal modules give equal texts
    top : name of the module in it
    whole : nothing is left out
    """

    name: str
    text: str
    top: str
    whole: bool


class Design:
    """Modules by name.

    Parameters
    ----------
    texts : Verilog as `microduet_hw.generate` writes it

    Raises
    ------
    InputError
        If a module is in the texts twice.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._modules: dict[str, str] = {}
        for text in texts:
            for match in MODULE.finditer(text):
                name = match["name"].strip()
                if name in self._modules:
                    raise InputError(f"module {name} is there twice")
                self._modules[name] = f"module {match['name']}{match['rest']}\n"
        self._children = {name: self._instances(text) for name, text in self._modules.items()}
        self._size = functools.cache(self._flat_size)

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def _instances(self, text: str) -> Counter[str]:
        found = Counter(match["name"].strip() for match in INSTANCE.finditer(text))
        return Counter({name: count for name, count in found.items() if name in self._modules})

    def _flat_size(self, name: str) -> int:
        inner = sum(count * self._size(child) for child, count in self._children[name].items())
        return len(self._modules[name]) + inner

    def _has_parameters(self, name: str) -> bool:
        return re.match(rf"module {NAME} *#\(", self._modules[name]) is not None

    def count(self, top: str, *, limit: int = PIECE_CHARACTERS) -> Counter[Piece]:
        """The pieces of module `top`, and how often each is in it.

        Raises
        ------
        InputError
            If there is no such module.
        """
        if top not in self._modules:
            raise InputError(f"there is no module {top!r}")
        found: Counter[Piece] = Counter()
        known: dict[str, Piece] = {}
        left = Counter({top: 1})
        while left:
            name, times = left.popitem()
            whole = self._size(name) <= limit or not self._children[name]
            piece = self._piece(name, whole=whole)
            found[known.setdefault(piece.text, piece)] += times
            if not whole:
                for child, count in self._children[name].items():
                    if not self._has_parameters(child):
                        left[child] += times * count
        return found

    def _piece(self, name: str, *, whole: bool) -> Piece:
        """A module of parameters stays in what has an instance of it: each has other ones."""
        order = [name]
        for module in order:
            if whole or module == name or self._has_parameters(module):
                order += [child for child in self._children[module] if child not in order]
        aliases = {module: f"module_{k}" for k, module in enumerate(order)}
        text = ""
        for module in order:
            inside = whole or module == name or self._has_parameters(module)
            text += _renamed(self._modules[module], aliases) if inside else _stub(self._modules[module], aliases)
        return Piece(name=name.lstrip("\\"), text=text, top=aliases[name], whole=whole)


def _renamed(text: str, aliases: Mapping[str, str]) -> str:
    def instance(match: re.Match[str]) -> str:
        alias = aliases.get(match["name"].strip())
        return match[0] if alias is None else f"  {alias} {match[0][2 + len(match['name']) :].lstrip()}"

    def header(match: re.Match[str]) -> str:
        return f"module {aliases[match[1].strip()]} "

    return re.sub(rf"^module ({NAME})", header, INSTANCE.sub(instance, text))


def _stub(text: str, aliases: Mapping[str, str]) -> str:
    """A module without what is in it."""
    head = HEADER.match(_renamed(text, aliases))
    assert head is not None, "a module has a header"
    ports = "\n".join(PORT.findall(text))
    return f"(* blackbox *)\n{head[0]}\n{ports}\nendmodule\n"
