"""Small models on small boards: the rules' plans, what mode best chooses from, its quick solution, and its proofs."""

import json

import pytest

from microduet.planner.greedy import greedy
from microduet.planner.solver import solve
from tests.sw.small_plans import CASES, KEPT, RULES, by_rule, choices_of, options, proven, quick, short

EXPECTED = json.loads(KEPT.read_text())


def test_every_case_is_kept() -> None:
    assert list(EXPECTED) == list(CASES)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mode", RULES)
def test_plans_by_rule(mode: str, name: str) -> None:
    assert by_rule(CASES[name], mode) == EXPECTED[name][mode]


@pytest.mark.parametrize("name", CASES)
def test_tables_can_be_stored_in_these_ways(name: str) -> None:
    assert short(options(choices_of(CASES[name]))) == EXPECTED[name]["options"]
    assert short(options(choices_of(CASES[name], fine=True))) == EXPECTED[name]["fine"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if "greedy" in EXPECTED[name]])
def test_a_quick_solution_and_its_plan(name: str) -> None:
    given = choices_of(CASES[name])
    assert quick(CASES[name], given, greedy(given, seconds=1)) == EXPECTED[name]["greedy"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if "best" in EXPECTED[name]])
def test_bounds_and_what_is_proven(name: str) -> None:
    given = choices_of(CASES[name])
    assert proven(given, greedy(given, seconds=1)) == EXPECTED[name]["best"]


def test_progress_names_what_is_minimised() -> None:
    given = choices_of(CASES["few channels join tables"])
    told: list[tuple[str, int, int]] = []
    found = solve(given, greedy(given, seconds=1), seconds=10, progress=lambda *said: told.append(said))
    assert found is not None
    names = list(dict.fromkeys(name for name, _, _ in told))
    assert names[:3] == ["bound, ps", "bound, words", "pieces"]
    assert all(best >= bound for _, best, bound in told)
    assert min(best for name, best, _ in told if name == "bound, ps") == found.time
