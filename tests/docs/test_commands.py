"""What pages name is there: commands and their options, files, names of the interface."""

import re
import typing
from collections.abc import Iterator

import cyclopts
import pytest

import microduet as md
from microduet.cli import app
from tests.docs.pages import DOCS, PAGES, Piece, blocks, commands, name, spans
from tests.support.environment import REPOSITORY

OTHER_PROGRAMS = {"--timing"}
"""Options that pages name without the program that has them."""

FOLDERS = ("docs/", "hw/", "scripts/", "sim/", "sw/", "tests/")


def fault(arguments: list[str], *, whole: bool = True) -> str | None:
    """What is wrong with a command, by the command line's own parser; None if nothing is.

    One that is not whole may lack arguments, or have a word in capitals in the place of one; its options must exist.
    """
    try:
        app.parse_args(arguments, print_error=False, exit_on_error=False)
    except cyclopts.CycloptsError as error:
        message = f"{' '.join(arguments)}: {' '.join(str(error).split())}"
        placeholder = isinstance(error, cyclopts.CoercionError) and any(word.isupper() for word in arguments)
        if whole or not (placeholder or isinstance(error, cyclopts.MissingArgumentError)):
            return message
        _, apps, more = app.parse_commands(arguments)
        known = {key for argument in options(apps[-1]) for key in argument.names}
        return message if {word for word in more if word.startswith("-")} - known else None
    return None


def subcommands(parent: cyclopts.App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, cyclopts.App]]:
    for key, command in parent.resolved_commands().items():
        if not key.startswith("-"):
            yield " ".join((*path, key)), command
            yield from subcommands(command, (*path, key))


def options(command: cyclopts.App) -> list[cyclopts.Argument]:
    return list(command.assemble_argument_collection(parse_docstring=True)) if command.default_command else []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_on_a_page_is_one_that_the_command_line_takes(page) -> None:
    wrong = [
        f"{piece}: {found}"
        for piece, arguments in commands(page)
        if (found := fault(arguments, whole=piece.language == "sh"))
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing"),
        (["run", "--itmes", "3"], "run"),
        (["run", "rm3", "--itmes", "3"], "--itmes"),
        (["run", "rm3", "--items", "few"], "few"),
        (["bench", "edg"], "edg"),
        (["memory", "replay", "--trace", "a.csv", "--outstanding", "1", "--page", "ajar"], "ajar"),
    ],
)
def test_a_command_that_is_not_taken_is_found(arguments: list[str], message: str) -> None:
    assert message in (fault(arguments, whole=False) or "")


def test_a_command_that_is_only_named_needs_no_arguments() -> None:
    assert fault(["run", "--seed", "3"], whole=False) is None
    assert fault(["plan", "MODEL", "--mode", "MODE"], whole=False) is None
    assert "MODEL" in (fault(["run"]) or "")


def test_every_option_on_a_page_is_one_of_some_command() -> None:
    known = {key for _, command in subcommands(app) for argument in options(command) for key in argument.names}
    known |= {*app.help_flags} | OTHER_PROGRAMS
    named = [piece for page in PAGES for piece in spans(page) if piece.text.startswith("--")]
    assert len(named) > 10
    assert not [f"{piece}: {piece.text}" for piece in named if piece.text.split()[0] not in known]


def test_every_option_of_every_command_says_what_it_is() -> None:
    found = [
        f"{path} {argument.name}"
        for path, command in subcommands(app)
        for argument in options(command)
        if argument.show and not argument.parameter.help
    ]
    assert not found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_page_names_is_there(page) -> None:
    wrong = [f"{piece}: {path}" for piece in [*spans(page), *blocks(page)] for path in paths(piece) if not there(path)]
    assert not wrong


def paths(piece: Piece) -> list[str]:
    words = re.findall(r"[\w./*-]+", piece.text)
    return [word.rstrip(".") for word in words if word.startswith(FOLDERS)]


def there(path: str) -> bool:
    return any(REPOSITORY.glob(path.rstrip("/"))) or any(REPOSITORY.glob(f"build/{path}"))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_name_of_the_interface_that_a_page_uses_is_there(page) -> None:
    wrong = [
        f"{piece}: {found}"
        for piece in [*spans(page), *blocks(page)]
        for found in re.findall(r"\bmd((?:\.[a-zA-Z_]\w*)+)", piece.text)
        if not is_name(found)
    ]
    assert not wrong


def is_name(dotted: str) -> bool:
    thing: typing.Any = md
    for part in dotted.strip(".").split("."):
        thing = getattr(thing, part, None)
    return thing is not None


def test_every_make_target_on_a_page_is_in_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    pieces = [piece for page in PAGES for piece in [*spans(page), *blocks(page)]]
    named = [(piece, found) for piece in pieces for found in re.findall(r"^make ([a-z-]+)", piece.text, re.MULTILINE)]
    assert len(named) > 3
    assert not [f"{piece}: make {target}" for piece, target in named if target not in targets]


def test_indented_blocks_are_drawings_and_formulas() -> None:
    """Commands and programs have fences with their language, by which they are found, coloured and run."""
    programs = re.compile(r"^(microduet|import|from|with|cd) ", re.MULTILINE)
    assert not [
        str(piece)
        for page in PAGES
        for piece in blocks(page)
        if DOCS in page.parents and not piece.language and programs.search(piece.text)
    ]
