"""The cover plan: every situation has someone who says it, and only what was met counts."""

import re

import pytest

from tests.support import cover_plan
from tests.support.cover_plan import KEPT, bins, hit, hit_stream, main, met
from tests.support.environment import REPOSITORY


def said_in(file: str) -> list[str]:
    """What a file says, as regular expressions: a name may hold a status or a reason of the bench's own."""
    text = (REPOSITORY / "tests" / file).read_text()
    names = re.findall(r'hit\(\s*f?"([^"]+)"', text)
    return [".+".join(map(re.escape, re.split(r"\{[^}]*\}", name))) for name in names]


@pytest.mark.parametrize(("name", "file"), [(n, f) for n, f in bins().items() if f != "support/streams.py"])
def test_the_file_that_the_plan_names_says_the_situation(name: str, file: str) -> None:
    assert any(re.fullmatch(said, name) for said in said_in(file)), f"{file} never says it"


@pytest.mark.parametrize("file", sorted(set(bins().values())))
def test_a_file_says_only_what_the_plan_has(file: str) -> None:
    for said in said_in(file):
        assert any(re.fullmatch(said, name) for name in bins()), f"the plan has no {said}"


def test_the_plan_has_sixty_situations_or_more() -> None:
    assert len(bins()) >= 60


def test_every_situation_was_met() -> None:
    kept = cover_plan.read_kept()
    assert [name for name in bins() if not kept.get(name)] == [], f"{KEPT.name} is older than the plan: make cover-plan"


def test_what_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError, match="no such thing"):
        hit("no such thing")
    with pytest.raises(KeyError, match="no such thing"):
        hit("no such thing", False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cover_plan, "output_folder", lambda name: tmp_path)
    monkeypatch.setattr(cover_plan, "_said", set())
    monkeypatch.setenv("MICRODUET_COVER_PLAN", "1")
    return tmp_path


def test_only_what_was_seen_is_kept_and_once(folder) -> None:
    for seen in (False, True, True):
        hit("rank: a beat waits", seen)
    hit("rank: a full list", 0)
    assert [path.read_text() for path in folder.glob("*.txt")] == ["rank: a beat waits\n"]
    assert [name for name, there in met(folder).items() if there] == ["rank: a beat waits"]


def test_ends_of_streams_that_the_plan_does_not_ask_for_are_silent(folder, monkeypatch) -> None:
    monkeypatch.setenv("COCOTB_TEST_MODULES", "tests.hw.lookup.test_butterfly")
    hit_stream("sink", "stalled")
    monkeypatch.setenv("COCOTB_TEST_MODULES", "tests.hw.test_stack")
    hit_stream("sink", "stalled")
    assert [path.read_text() for path in folder.glob("*.txt")] == ["lookup.test_butterfly: sink stalled\n"]


def test_nothing_is_kept_without_coverage(folder, monkeypatch) -> None:
    monkeypatch.delenv("MICRODUET_COVER_PLAN")
    hit("rank: a beat waits")
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_line(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "none")])
    assert "run make cover-plan" in capsys.readouterr().err
