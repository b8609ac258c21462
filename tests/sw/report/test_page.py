"""The page in a browser: every figure there, named, not clipped, on a screen and on a phone, light and dark."""

import html
import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest

from microduet.report.catalogue import catalogue
from microduet.report.command import entry_of
from microduet.report.page import Entry, markdown, pictures
from microduet.report.page import html as page_of
from microduet.report.store import Result, sources
from microduet_sim.tools import require
from tests.support.environment import output_folder, require_tool
from tests.sw.report.outputs import outputs

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-extensions", "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip

LOOK = """
const page = %s, widths = [360, 1200], found = [];
async function look() {
  for (const width of widths) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width:${width}px;height:900px;border:0`;
    const loaded = new Promise(done => frame.onload = done);
    frame.srcdoc = page;
    document.body.append(frame);
    await loaded;
    const inside = frame.contentDocument, plots = [];
    for (const plot of inside.querySelectorAll("svg.plot")) {
      const box = plot.getBoundingClientRect();
      const out = [...plot.querySelectorAll("text")].filter(text => {
        const own = text.getBoundingClientRect();
        return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1
          || own.bottom > box.bottom + 1;
      }).map(text => text.textContent);
      const name = inside.getElementById(plot.getAttribute("aria-labelledby"));
      plots.push({width: box.width, height: box.height, name: name ? name.textContent : "", clipped: out,
                  marks: plot.querySelectorAll("rect, circle").length});
    }
    const colours = frame.contentWindow.getComputedStyle(inside.body);
    found.push({width, scroll: inside.documentElement.scrollWidth, plots,
                ink: colours.color, paper: colours.backgroundColor,
                headings: [...inside.querySelectorAll("h1, h2, h3")].map(one => one.tagName)});
  }
  const text = document.createElement("pre");
  text.id = "found";
  text.textContent = JSON.stringify(found);
  document.body.replaceChildren(text);
}
look();
"""


def entries() -> list[Entry]:
    results = {
        command: Result(command=command, sources=sources(), when="2026-01-01T00:00:00+00:00", seconds=1, output=output)
        for command, output in outputs().items()
    }
    return [entry_of(item, results) for item in catalogue().values()]


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(entries(), versions={"microduet": "0.1.0"})


def browse(url: str, *arguments: str, profile: Path) -> "subprocess.CompletedProcess[str]":
    require_tool("chromium")
    command = [str(require("chromium")), *FLAGS, f"--user-data-dir={profile}", *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_there_named_and_whole(page: str, scheme: str, tmp_path: Path) -> None:
    harness = tmp_path / "harness.html"
    look = LOOK % json.dumps(page).replace("</", "<\\/")
    harness.write_text(f"<!doctype html><meta charset=utf-8><body><script>{look}</script>")
    dark = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    done = browse(harness.as_uri(), "--dump-dom", "--virtual-time-budget=20000", dark, profile=tmp_path / "profile")
    assert "CONSOLE" not in done.stderr, done.stderr
    written = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert written, done.stdout[-500:]
    wanted = sum(len(entry.finding.plots) for entry in entries())
    papers = set()
    for screen in json.loads(html.unescape(written[1])):
        assert screen["scroll"] <= screen["width"], "the page is wider than the screen"
        assert len(screen["plots"]) == wanted > 5
        assert screen["headings"][:2] == ["H1", "H2"]
        for plot in screen["plots"]:
            assert plot["name"], plot
            assert plot["clipped"] == [], plot
            assert min(plot["width"], plot["height"]) > 100, plot
            assert plot["marks"] > 4, plot
        papers.add(screen["paper"])
        assert screen["paper"] != screen["ink"]
    assert papers == {"rgb(21, 23, 26)" if scheme == "dark" else "rgb(255, 255, 255)"}


def test_screenshots_are_kept(page: str, tmp_path: Path) -> None:
    folder = output_folder("report/screenshots")
    path = tmp_path / "page.html"
    path.write_text(page)
    for name, size, scheme in (("screen", "1200,2400", 1), ("phone", "500,2400", 1), ("dark", "1200,2400", 0)):
        shot = folder / f"{name}.png"
        browse(path.as_uri(), f"--screenshot={shot.resolve()}", f"--window-size={size}",
               f"--blink-settings=preferredColorScheme={scheme}", profile=tmp_path / name)  # fmt: skip
        assert shot.stat().st_size > 20_000


def test_the_page_is_one_small_file_that_needs_no_network(page: str) -> None:
    assert len(page.encode()) < 1_000_000
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "url(" not in page
    assert "@import" not in page


def test_what_benches_print_is_escaped(page: str) -> None:
    assert "a processor with &lt;angles&gt; &amp; signs" in page
    assert "<angles>" not in page


def test_markdown_has_the_same_numbers() -> None:
    text = markdown(entries(), versions={"microduet": "0.1.0"})
    for entry in entries():
        assert f"{entry.label}: {entry.item.title}" in text
        assert entry.finding.why in text
    assert text.count("\n|---|") == 1 + sum(len(entry.finding.tables) for entry in entries())


def test_every_plot_is_a_file_of_its_own_that_markdown_shows(tmp_path: Path) -> None:
    found = pictures(entries())
    assert len(found) == sum(len(entry.finding.plots) for entry in entries())
    assert re.findall(r"^!\[.+\]\((.+)\)$", markdown(entries(), versions={}), re.MULTILINE) == list(found)
    for name, svg in found.items():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme: dark" in svg
        assert not re.search(r'(?:src|href)="|url\(|@import', svg), name


@pytest.mark.parametrize(("scheme", "paper"), [("light", b"\xff\xff\xff"), ("dark", b"\x15\x17\x1a")])
def test_a_plot_by_itself_is_light_or_dark(scheme: str, paper: bytes, tmp_path: Path) -> None:
    path, shot = tmp_path / "plot.svg", tmp_path / "plot.png"
    path.write_text(next(iter(pictures(entries()).values())))
    dark = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    browse(path.as_uri(), f"--screenshot={shot}", "--window-size=640,300", dark, profile=tmp_path / "profile")
    pixels = (matplotlib.image.imread(shot)[..., :3] * 255).round().astype("uint8")
    assert pixels[0, 0].tobytes() == paper
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10, "axes, bars and text"
