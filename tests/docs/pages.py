"""The pages that people read, and what stands in them."""

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.environment import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Code on a page.

    Members
    -------
    line : number of its first line, from 1
    language : of a fenced block; "" of one without, of an indented one and of code within a line
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    """What a page is called: its path in the repository."""
    return str(page.relative_to(REPOSITORY))


def blocks(page: Path) -> list[Piece]:
    """Fenced and indented blocks."""
    found = [token for token in _tokens(page) if token.type in ("fence", "code_block")]
    return [
        Piece(page=page, line=token.map[0] + 1 + (token.type == "fence"), language=token.info, text=token.content)
        for token in found
        if token.map
    ]


def spans(page: Path) -> list[Piece]:
    """Code within lines; their number is that of the paragraph's or the table's row's first line."""
    pieces: list[Piece] = []
    for token in _tokens(page):
        for part in token.children or ():
            if part.type == "code_inline" and token.map:
                pieces.append(Piece(page=page, line=token.map[0] + 1, language="", text=part.content))
    return pieces


def pictures(page: Path) -> list[tuple[str, str]]:
    """Address and alternative text of every picture."""
    parts = [part for token in _tokens(page) for part in token.children or () if part.type == "image"]
    return [(str(part.attrs["src"]), part.content) for part in parts]


def commands(page: Path) -> Iterator[tuple[Piece, list[str]]]:
    """Every `microduet` command in blocks and within lines, as arguments without the program's name."""
    for piece in [*blocks(page), *spans(page)]:
        if piece.language in ("", "sh"):
            for line in piece.text.splitlines():
                for command in line.split("&&"):
                    words = _words(command)
                    if words[:1] == ["microduet"]:
                        yield piece, words[1:]


def _words(command: str) -> list[str]:
    """Words of a command, without a comment or where its output goes."""
    if not command.strip().startswith("microduet "):
        return []
    words = shlex.split(command, comments=True)
    return words[: words.index(">")] if ">" in words else words


def _tokens(page: Path) -> list:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())
