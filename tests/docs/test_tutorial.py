"""The tutorial, from top to bottom, as its readers run it; what it says is printed is."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, Piece, blocks
from tests.support.environment import require_tool

TUTORIAL = DOCS / "tutorial.md"


def file_name(piece: Piece) -> str | None:
    """Of a block that is a file: what the comment in its first line says."""
    first = piece.text.split("\n", 1)[0]
    return first.removeprefix("# ") if first.startswith("# ") and "." in first and " " not in first[2:] else None


def run_python(piece: Piece, names: dict[str, object]) -> str:
    """What a block prints; `names` are those of the blocks before it, and of this one afterwards."""
    printed = io.StringIO()
    code = compile("\n" * (piece.line - 1) + piece.text, str(piece.page), "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def run_shell(piece: Piece) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", piece.text]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path})
    assert ended.returncode == 0, f"{piece}: {ended.stderr}"
    return ended.stdout


def test_the_tutorial_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("verilator", "iverilog"):
        require_tool(tool)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"__name__": "tutorial"}
    printed = ""
    for piece in blocks(TUTORIAL):
        if file := file_name(piece):
            Path(file).write_text(piece.text)
        elif piece.language == "python":
            printed = run_python(piece, names)
        elif piece.language == "sh":
            printed = run_shell(piece)
        elif piece.language == "text":
            print(f"{piece}\n{printed}")
            assert printed == piece.text, str(piece)
