"""Mutants of the software: what is drawn, how one is chosen and judged, and what is kept of it."""

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.support import ledger, python_mutant_record, python_mutants, python_switch
from tests.support.python_mutant_record import Record, keep, percent, read_kept, summary
from tests.support.python_mutants import Judge, again, draw, forked, groups, records
from tests.support.python_switch import Mutant

SOURCE = """
def longer(a, b):
    return max(a, b) if a > 3 else a + b


class Box:
    def __init__(self, size):
        self.size = size

    @classmethod
    def twice(cls, size):
        return cls(2 * size)

    def up(self):
        while self.size < 10:
            self.size += 3
        return self.size

    def never(self):
        return "this"
"""
numbers = itertools.count()


@dataclass
class Toy:
    path: Path
    module: ModuleType
    found: list[Mutant]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """A module of a repository of its own, with its mutants in it."""
    name = f"toy_of_mutants_{next(numbers)}"
    path = tmp_path / "sw" / f"{name}.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    monkeypatch.setattr(python_switch, "REPOSITORY", tmp_path)
    monkeypatch.setattr(python_mutant_record, "REPOSITORY", tmp_path)
    monkeypatch.setattr(python_switch, "output_folder", lambda name: tmp_path)
    monkeypatch.syspath_prepend(path.parent)
    finders = list(sys.meta_path)
    found = python_switch.install([path])
    yield Toy(path=path, module=importlib.import_module(name), found=found)
    python_switch.choose("")
    sys.meta_path[:] = finders
    del sys.modules[name]


def test_mutants_are_said_in_words_and_one_at_a_time_is_chosen(toy: Toy) -> None:
    said = {one.said: one for one in toy.found}
    minus = said["longer: return max(a, b) if a > 3 else a + b => return max(a, b) if a > 3 else a - b"]
    thrice = said["Box.twice: return cls(2 * size) => return cls(3 * size)"]
    assert (minus.path, minus.function.rpartition(".")[2]) == (f"sw/{toy.path.name}", "x_longer")
    module = toy.module
    assert (module.longer(1, 2), module.Box.twice(4).size, module.Box(1).up()) == (3, 8, 10)
    python_switch.choose(minus.key)
    assert (module.longer(1, 2), module.Box.twice(4).size) == (-1, 8)
    python_switch.choose(thrice.key)
    assert (module.longer(1, 2), module.Box.twice(4).size) == (3, 12)
    assert {minus.function, thrice.function} <= python_switch.entered()
    assert not any("__init__" in one.said and "=>" not in one.said for one in toy.found)


def test_mutants_cannot_be_put_into_what_has_been_imported(toy: Toy) -> None:
    with pytest.raises(RuntimeError, match="has been imported before its mutants could be put in"):
        python_switch.install([toy.path])


def test_a_draw_is_the_same_again_and_does_not_move_with_other_changes(toy: Toy) -> None:
    few = draw(toy.found, most=5, seed=3)
    assert len(few) == 5
    assert few == draw(toy.found, most=5, seed=3)
    assert few != draw(toy.found, most=5, seed=4)
    assert draw(toy.found, most=1000, seed=3) == toy.found
    fewer = [one for one in toy.found if one not in few[:1]]
    assert set(few[1:]) <= set(draw(fewer, most=5, seed=3))


@pytest.mark.parametrize(("call", "given"), [(lambda: [1, "two"], [1, "two"]), (lambda: 1 / 0, "raised")])
def test_a_call_is_forked(call: Callable[[], object], given: object) -> None:
    assert forked(call, cpu_s=5)[0] == given


def judged(toy: Toy, tests: dict[str, Callable[[], bool]], monkeypatch: pytest.MonkeyPatch) -> Judge:
    """The toy's mutants, judged by calls in the place of pytest's tests."""
    monkeypatch.setattr(python_mutants, "fails", lambda items: any(not item.passes() for item in items))
    judge = Judge(drawn=toy.found)
    items = [SimpleNamespace(nodeid=name, passes=passes) for name, passes in tests.items()]
    assert judge.pytest_runtestloop(SimpleNamespace(items=items))  # type: ignore[arg-type]
    return judge


def test_a_mutant_is_killed_by_a_test_that_enters_its_function(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_mutants, "SLACK_S", 0.2)
    monkeypatch.setattr(python_mutants, "CROWDED", 3)
    module, python_switch._state.entered = toy.module, set()
    tests = {
        "sums": lambda: module.longer(1, 2) == 3 and module.longer(3, 1) == 4,
        "larger": lambda: module.longer(4, 5) == 5 and module.longer(5, 4) == 5,
        "grows": lambda: (module.Box.twice(2).up(), module.Box.twice(4).up()) == (10, 11),
    }
    judge = judged(toy, tests, monkeypatch)
    verdicts = {one.said: judge.verdicts[one.key] for one in toy.found}
    assert (judge.bad, judge.tests) == ([], 3)
    assert verdicts["longer: return max(a, b) if a > 3 else a + b => return max(a, b) if a > 3 else a - b"] == "killed"
    assert verdicts["Box.up: self.size += 3 => self.size -= 3"].startswith("stopped after ")
    assert verdicts["Box.up: while self.size < 10: => while self.size <= 10:"] == "killed"
    assert {how for said, how in verdicts.items() if said.startswith("Box.never")} == {"lives"}
    (record,) = records("mine", toy.found, judge, 7).values()
    assert (record.group, record.seed, record.found, record.drawn) == ("mine", 7, len(toy.found), len(toy.found))
    assert record.timeouts == 2
    assert record.noticed + len(record.survivors) == record.drawn
    assert all(one.startswith("Box.never") for one in record.survivors)


def test_a_test_that_fails_without_a_mutant_judges_nothing(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = judged(toy, {"good": lambda: True, "bad": lambda: False, "stops": lambda: 1 / 0 > 0}, monkeypatch)
    assert (judge.bad, judge.verdicts) == (["bad", "stops"], {})


def record(group: str, *, drawn: int, killed: int, source: str = "0", found: int = 50) -> Record:
    return Record(
        group=group,
        source=source,
        seed=1,
        found=found,
        drawn=drawn,
        killed=killed,
        timeouts=1,
        survivors=["f: a | b => a"] * (drawn - killed - 1),
    )


def test_records_of_a_group_are_kept_in_place_of_its_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    assert (read_kept(path), summary(path)) == ({}, "none drawn yet")
    keep({"a.py": record("one", drawn=20, killed=9), "b.py": record("one", drawn=50, killed=48)}, path)
    keep({"c.py": record("two", drawn=50, killed=38)}, path)
    assert summary(path) == "one 84.2 % of 70 of 100; two 78.0 % of all 50"
    changed = record("one", drawn=20, killed=19)
    keep({"b.py": changed}, path)
    assert list(read_kept(path)) == ["b.py", "c.py"]
    assert read_kept(path)["b.py"] == changed
    assert changed.text() == "20 of 20 killed, 1 of them by time; 50 found"
    assert (percent(2, 3), percent(0, 0)) == ("66.6 %", "none")


def test_what_lived_is_judged_again() -> None:
    lived = ["now killed", "lives on", "reads like another"]
    before = {
        "a.py": replace(record("one", drawn=20, killed=16), survivors=lived),
        "b.py": record("one", drawn=5, killed=4),
    }
    now = {
        "a.py": replace(record("one", drawn=2, killed=1), timeouts=0, survivors=["lives on"]),
        "b.py": replace(record("one", drawn=0, killed=0), timeouts=0, survivors=[]),
    }
    found = again(before, now, {"a.py": {"now killed", "lives on"}, "b.py": set()})
    assert found["b.py"] == before["b.py"]
    assert found["a.py"] == replace(before["a.py"], killed=17, survivors=lived[1:])
    assert found["a.py"].noticed + len(found["a.py"].survivors) == 20


def test_the_page_has_a_row_per_file_and_says_what_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "sw/microduet/packets.py"
    for source, said in (("0", "stale"), (python_mutant_record.source_hash(path), "")):
        kept = {path: record("driver", drawn=20, killed=18, source=source)}
        monkeypatch.setattr(python_mutant_record, "read_kept", lambda kept=kept: kept)
        assert ledger.python_rows() == [["`microduet/packets.py`", "driver", "20 of 50", "19", "95.0 %", said]]
    assert python_mutant_record.source_hash("sw/microduet/gone.py") != python_mutant_record.source_hash(path)


@pytest.mark.parametrize("group", groups())
def test_files_and_tests_of_every_group_are_there(group: str) -> None:
    for pattern in [*groups()[group]["files"], *groups()[group]["tests"]]:
        assert list(python_mutants.REPOSITORY.glob(pattern)), pattern
