"""The docs site builds without a warning, and what it is to catch is caught."""

import html
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import microduet_hw.edge
import microduet_hw.lookup
import microduet_sim
from tests.docs.pages import DOCS, PAGES, blocks, name, pictures

TOC = yaml.safe_load((DOCS / "_toc.yml").read_text())
LISTS = {part["caption"]: [entry["file"] for entry in part["entries"]] for part in TOC["subtrees"]}
FOLDERS = {
    "gateware": microduet_hw,
    "gateware-edge": microduet_hw.edge,
    "gateware-lookup": microduet_hw.lookup,
    "simulation": microduet_sim,
}
"""Pages of the reference, and the folder whose modules each shows."""


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("sphinx-build")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", str(DOCS)]
    return subprocess.run([program, *options, source, target], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    ended = build(DOCS, folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    return folder


def text(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def test_every_page_is_built(site: Path) -> None:
    for page in ["index", *(page for pages in LISTS.values() for page in pages)]:
        assert (site / f"{page}.html").is_file()


@pytest.mark.parametrize(("page", "package"), FOLDERS.items(), ids=[*FOLDERS])
def test_the_reference_shows_every_module_of_a_folder_and_nothing_private(site: Path, page: str, package) -> None:
    shown = (site / f"reference/{page}.html").read_text()
    for found in pkgutil.iter_modules(package.__path__):
        assert found.ispkg or f'id="{found.name.replace("_", "-")}"' in shown, found.name
    assert not re.search(r'id="microduet\w*\.[^"]*\._', shown)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("microduet", "compile("),
        ("microduet", "simulator, or takes it from the cache"),
        ("gateware-edge", "class LocationTracker(*, slots: int, stride: int = 1)"),
        ("gateware", "Throughput:"),
        ("command-line", "microduet bench engine [OPTIONS]"),
        ("command-line", "--dim INT"),
    ],
)
def test_the_reference_says(site: Path, page: str, says: str) -> None:
    assert says in text(site / f"reference/{page}.html")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"index.md": "# A\n\n[b](b.md)\n"}, "b.md"),
        ({"index.md": "# A\n\n[b](#b)\n"}, "'b'"),
        ({"index.md": "# A\n\n![b](b.svg)\n"}, "b.svg"),
        ({"index.md": "# A\n", "b.md": "# B\n"}, "b.md"),
        ({"index.md": "# A\n\n```{eval-rst}\n.. autofunction:: microduet.nothing\n```\n"}, "nothing"),
        ({"index.md": "# A\n\n```{eval-rst}\n.. modules:: microduet_hw.nothing\n```\n"}, "nothing"),
    ],
    ids=["page", "anchor", "picture", "page in no list", "name", "folder"],
)
def test_what_is_missing_fails_the_build(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for file, content in {"_toc.yml": "root: index\n", **files}.items():
        (tmp_path / file).write_text(content)
    ended = build(tmp_path, tmp_path / "out")
    assert ended.returncode != 0
    assert message in ended.stderr


def test_every_page_is_in_one_list() -> None:
    listed = [TOC["root"], *(page for pages in LISTS.values() for page in pages)]
    own = {page.relative_to(DOCS).with_suffix("").as_posix() for page in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]}
    assert sorted(listed) == sorted(own - {"README"})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_picture_says_what_it_shows(page: Path) -> None:
    for source, says in pictures(page):
        assert (page.parent / source).is_file(), source
        assert len(says.split()) >= 2, source


@pytest.mark.parametrize("page", LISTS["How it works"])
def test_every_part_has_its_picture(page: str) -> None:
    path = DOCS / f"{page}.md"
    assert pictures(path) or any(re.search("[│─]", block.text) for block in blocks(path) if not block.language)


@pytest.mark.parametrize("picture", sorted(DOCS.glob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_on_a_page(picture: Path) -> None:
    assert any((page.parent / source).resolve() == picture for page in PAGES for source, _ in pictures(page))


def test_the_makefile_builds_the_site(tmp_path: Path) -> None:
    assert shutil.which("make")
    answer = subprocess.run(["make", "--dry-run", "docs"], capture_output=True, text=True, check=False, cwd=DOCS.parent)
    assert answer.returncode == 0
    assert "sphinx-build --fail-on-warning --keep-going --quiet docs build/site" in answer.stdout
