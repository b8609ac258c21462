"""Modules with all their mutants in them, one of which can be chosen while they run; no module for pytest.

mutmut writes them: beside every function stand its copies with one change each, and a decorator chooses between them.
`install` puts them in the place of the sources before anything imports those.
"""

import difflib
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from mutmut.mutation.file_mutation import mutate_file_contents

from tests.support.environment import REPOSITORY, output_folder

ORIGINAL = "_mutmut_orig"
THEIRS, OURS = "mutmut.mutation.trampoline import wrap_in_trampoline", f"{__name__} import switch"
MutantDict = dict[str, Callable[..., Any]]
"""Named in what mutmut writes."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one function.

    Members
    -------
    path : of the source file in the repository
    function : module and mangled name
    name : of the copy that has the change
    said : the change in words: function, line, what it was, what it is
    """

    path: str
    function: str
    name: str
    said: str

    @property
    def key(self) -> str:
        """What chooses it."""
        return f"{self.function.rpartition('.')[0]}.{self.name}"

    def place(self, seed: int) -> str:
        """Where it comes in a draw: a change elsewhere in the sources moves no other mutant."""
        return hashlib.sha256(f"{seed} {self.path} {self.said}".encode()).hexdigest()


@dataclass(kw_only=True)
class _State:
    key: str = ""
    entered: set[str] = field(default_factory=set[str])


_state = _State()


def choose(key: str) -> None:
    """Run the mutant of this key from now on."""
    _state.key = key


def entered() -> set[str]:
    """The functions that were entered, by module and mangled name."""
    return _state.entered


def switch(mutants: MutantDict, is_classmethod: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function that has `mutants`: called in mutmut's text, by mutmut's own names."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            module, original = function.__module__, mutants[ORIGINAL]
            _state.entered.add(f"{module}.{original.__name__.partition('__mutmut_')[0]}")
            wanted, _, name = _state.key.rpartition(".")
            chosen = mutants.get(name, original) if wanted == module else original
            if is_classmethod:
                return getattr(args[0], chosen.__name__)(*args[1:], **kwargs)
            return chosen(*args, **kwargs)

        return call

    return decorate


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname in self.texts else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self.texts[fullname])
        return spec


def module_of(path: Path) -> str:
    """Full name of the module of a source file in ``sw/``."""
    return ".".join(path.relative_to(REPOSITORY / "sw").with_suffix("").parts).removesuffix(".__init__")


@dataclass(frozen=True, kw_only=True)
class _Mutated:
    """A source file with its mutants in it, their names, and the first and last line of every function added."""

    code: str
    names: list[str]
    spans: dict[str, tuple[int, int]]


def _mutated(path: Path) -> _Mutated:
    """What mutmut makes of a source file, which takes a minute for some; kept until the file or mutmut changes."""
    text = path.read_text()
    name = hashlib.sha256(f"{metadata.version('mutmut')} {path} {text}".encode()).hexdigest()[:24]
    kept = output_folder("python-mutants") / f"{path.stem}-{name}.json"
    if kept.is_file():
        return _Mutated(**json.loads(kept.read_text()))
    file = mutate_file_contents(str(path), text)
    spans = {function: (span.start, span.end) for function, span in file.line_span_by_function_name.items()}
    made = _Mutated(code=file.code, names=list(file.mutant_names), spans=spans)
    kept.with_suffix(".new").write_text(json.dumps(asdict(made)))
    kept.with_suffix(".new").replace(kept)
    return made


def _changed(file: _Mutated, name: str) -> str:
    lines = file.code.splitlines()

    def source(function: str) -> list[str]:
        first, last = file.spans[function]
        return [line.strip().replace(function, "") for line in lines[first - 1 : last]]

    before, after = source(f"{name.partition('__mutmut_')[0]}_{ORIGINAL}"), source(name)
    marked = list(difflib.ndiff(before, after))
    parts = [" ".join(line[2:] for line in marked if line.startswith(sign)) for sign in "-+"]
    return " => ".join(parts)


def install(paths: Sequence[Path]) -> list[Mutant]:
    """Have modules imported with all their mutants, and tell which there are.

    Raises
    ------
    RuntimeError
        If one of them has been imported already.
    """
    texts: dict[str, str] = {}
    found: list[Mutant] = []
    for path in paths:
        module = module_of(path)
        if module in sys.modules:
            raise RuntimeError(f"{module} has been imported before its mutants could be put in")
        file = _mutated(path)
        texts[module] = file.code.replace(THEIRS, OURS)
        for name in file.names:
            function = name.partition("__mutmut_")[0]
            plain = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
            said = f"{plain}: {_changed(file, name)}"
            found.append(
                Mutant(path=str(path.relative_to(REPOSITORY)), function=f"{module}.{function}", name=name, said=said)
            )
    sys.meta_path.insert(0, _Finder(texts))
    return found
