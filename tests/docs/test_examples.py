"""Python on pages: all of it is held against the interface, and all of it runs; on full-size models nightly.

A page's blocks share their names, as if its reader ran them one after the other in an empty folder. What a page takes
for granted, ids or a file, is made before each block.
"""

import json
import subprocess
import sys
import textwrap
import typing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from microduet import boards
from microduet.data.generated import GeneratedLog
from microduet.data.write import criteo_shape, write_criteo
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide
from microduet.sweep import config as sweeps
from tests.docs.pages import PAGES, Piece, blocks, name
from tests.docs.test_tutorial import TUTORIAL, file_name, run_python
from tests.support.environment import REPOSITORY, require_tool
from tests.sw.command_line import run

GIVEN = (
    "candidates",
    "context",
    "dense",
    "entries",
    "entry",
    "history",
    "history_ids",
    "ids",
    "liked",
    "profile",
    "shape",
)
"""All names that pages take for granted."""

Names = dict[str, typing.Any]
Makers = list[Callable[[np.random.Generator], Names]]


def nothing(rng: np.random.Generator) -> Names:
    return {}


def log_of_a_shop(rng: np.random.Generator) -> Names:
    write_criteo(GeneratedLog(criteo_shape(50), rows=300, validation=1, test=1), Path("train.txt"))
    tables, features = (TableShape(rows=50, dim=4),), (Lookups(table=0, lookups=2), Lookups(table=0))
    return {"shape": DlrmShape(name="shop", tables=tables, features=features, top=(1,), user=UserSide(features=(0,)))}


def users_of_rm1(rng: np.random.Generator) -> Names:
    import torch

    ids = torch.from_numpy(rng.integers(0, 10_000, (3, 640)))
    return {"history_ids": ids[:, :480], "candidates": ids[:, 480:], "dense": torch.zeros(3, 128)}


def checkpoint(rng: np.random.Generator) -> Names:
    few = ["--rows", 2000, "--test-rows", 1000, "--table-rows", 1000, "--seeds", 1]
    assert run("train", "rm5", "--data", "generated:4000", *few, "--out", ".") == 0
    return {}


def items_of_microrec(rng: np.random.Generator) -> Names:
    return {"ids": rng.integers(0, 100, (64, 47))}


def user_of_rm3(rng: np.random.Generator) -> Names:
    entries = rng.normal(0, 0.1, (21, 224))
    vectors = {"profile": rng.normal(size=2240), "context": rng.normal(size=320)}
    return {"history": list(entries[:20]), "entry": entries[20], **vectors}


def query_of_rm1(rng: np.random.Generator) -> Names:
    vectors = {"profile": rng.normal(size=112), "context": rng.normal(size=16)}
    return {"candidates": rng.integers(0, 4_000_000, (50, 160)), **vectors}


def query_of_rm5(rng: np.random.Generator) -> Names:
    rows = rng.integers(0, 1_000_000, (50, 3))
    return {"liked": list(rng.normal(0, 0.1, (200, 36))), "candidates": rows[:, 1:], "entries": rows}


PLAIN: dict[str, Makers] = {
    "docs/compiler.md": [nothing],
    "docs/data.md": [log_of_a_shop],
    "docs/duet-models.md": [users_of_rm1],
    "docs/training.md": [checkpoint],
}
"""By page: what makes the names that each of its blocks takes for granted."""

FULL_SIZE: dict[str, Makers] = {
    "README.md": [items_of_microrec, user_of_rm3, query_of_rm1],
    "docs/query.md": [query_of_rm5],
}


def examples(page: Path) -> list[Piece]:
    return [piece for piece in blocks(page) if piece.language == "python"]


def run_page(page: str, makers: Makers) -> None:
    rng, names = np.random.default_rng(5), Names(__name__="example")
    for make, piece in zip(makers, examples(REPOSITORY / page), strict=True):
        made = make(rng)
        assert {*made} <= {*GIVEN}
        names |= made
        run_python(piece, names)


def test_every_page_with_examples_is_run() -> None:
    assert {name(page) for page in PAGES if examples(page)} == {*PLAIN, *FULL_SIZE, name(TUTORIAL)}


@pytest.mark.parametrize("page", PLAIN)
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, PLAIN[page])


@pytest.mark.nightly
@pytest.mark.parametrize("page", FULL_SIZE)
def test_examples_of_full_size_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool("verilator")
    monkeypatch.chdir(tmp_path)
    run_page(page, FULL_SIZE[page])


@pytest.mark.parametrize("page", [page for page in PAGES if page != TUTORIAL], ids=name)
def test_files_on_pages_are_read(page: Path, tmp_path: Path) -> None:
    """Boards but for sweeps, which say so."""
    for piece in blocks(page):
        if piece.language == "toml":
            path = tmp_path / "file.toml"
            path.write_text(piece.text)
            assert sweeps.read(path).points if "[sweep]" in piece.text else boards.read(path).channels, piece


def as_module(page: Path) -> str:
    """A page's examples as a function of the names that they take for granted."""
    body = "\n".join(piece.text for piece in examples(page) if not file_name(piece))
    given = ", ".join(f"{key}: Any" for key in GIVEN)
    return f"from typing import Any\n\n\ndef page({given}) -> None:\n{textwrap.indent(body, '    ')}"


def checked(folder: Path, modules: dict[str, str]) -> list[str]:
    """What pyright says of names, attributes and arguments in `modules`."""
    rules = ("AttributeAccessIssue", "CallIssue", "ArgumentType", "UndefinedVariable", "MissingImports")
    settings = {
        "include": ["."],
        "extraPaths": [str(REPOSITORY / tree) for tree in ("hw", "sim", "sw")],
        "venvPath": str(REPOSITORY),
        "venv": ".venv",
        "typeCheckingMode": "off",
    }
    settings |= {f"report{rule}": "error" for rule in rules}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    for key, text in modules.items():
        (folder / key).write_text(text)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(answer.stdout)["generalDiagnostics"]
    return [f"{Path(one['file']).name}: {one['message']}" for one in found]


def test_names_and_arguments_of_all_examples_exist(tmp_path: Path) -> None:
    modules = {f"{page.stem.replace('-', '_')}.py": as_module(page) for page in PAGES if examples(page)}
    modules |= {file: piece.text for piece in blocks(TUTORIAL) if (file := file_name(piece)) and file.endswith(".py")}
    assert len(modules) >= 8
    wrong = "import microduet as md\n\nmd.compile(model='rm1', bord='u280')\nmd.Link().nothing\n"
    found = checked(tmp_path, modules | {"wrong.py": wrong})
    assert [one for one in found if not one.startswith("wrong.py")] == []
    assert len(found) == 2
