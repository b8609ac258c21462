"""The page of faults: what it names is there, and no status of the gateware is missing."""

import re

import pytest

from microduet_hw.edge.message import EdgeStatus
from microduet_hw.status import Status, UserStatus
from tests.docs.pages import DOCS
from tests.support.environment import REPOSITORY

PAGE = DOCS / "faults.md"
HEADINGS = {"Items": Status, "User vectors": UserStatus, "Edge unit": EdgeStatus}


def section(title: str) -> str:
    """The text below a heading."""
    return re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[titles().index(title) + 1]


def titles() -> list[str]:
    return re.findall(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """Cells of the rows of a section's table, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("title", HEADINGS)
def test_every_status_is_reported_in_its_section(title: str) -> None:
    tables = [title, "Memory reads of the engine"] if title == "Items" else [title]
    reported = {name for one in tables for row in rows(section(one)) for name in re.findall(r"`([A-Z_]+)`", row[2])}
    assert reported == {member.name for member in HEADINGS[title] if member}


def test_every_test_is_in_the_file_that_is_named_before_it() -> None:
    found = 0
    for cells in [row for title in titles()[:-2] for row in rows(section(title))]:
        file = ""
        for text in re.findall(r"`([^`]+)`", cells[-1]):
            if text.startswith("tests/"):
                file = (REPOSITORY / text).read_text()
                continue
            assert re.search(rf"^(async )?def {text}\(", file, re.MULTILINE), text
            found += 1
    assert found > 40


def test_every_row_has_a_test_or_says_that_it_is_the_same() -> None:
    tables = [row for title in titles()[:-3] for row in rows(section(title))]
    assert len(tables) > 35
    assert not [row[0] for row in tables if len(row) != 5 or not ("`tests/" in row[4] or "the same" in row[4])]


def test_the_numbers_of_cases_are_those_of_the_tests() -> None:
    from tests.sw.fuzz import test_bundles, test_parsers

    cases = [[row[1], row[2]] for row in rows(section("Fuzzing"))][:3]
    sizes = [(test_bundles, 1), (test_parsers, 1), (test_parsers, 10)]
    assert cases == [[f"{m.QUICK // cost:,}", f"{m.MANY // cost:,}"] for m, cost in sizes]
