"""Small models on small boards: the rules' plans, what mode best chooses from, its quick solution, and its proofs."""

import json

import pytest

from microduet.placement import place, plan_of
from microduet.planner import best
from microduet.planner.figures import figures
from microduet.planner.greedy import greedy
from microduet.planner.make import make
from microduet.planner.solver import Outcome, solve
from microduet.presets import engine_config
from microduet_hw.config import Array, Precision
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
    told.clear()
    assert solve(given, None, seconds=10, progress=lambda *said: told.append(said)) is not None
    assert list(dict.fromkeys(name for name, _, _ in told)) == ["slowest channel, ps", "stored, words"]


UNPROVEN = [
    # picoseconds and words of the solver in the place of those of the better rule, and its bounds -> bounds then
    ({"time": 10**9, "words": 10**9, "time_bound": 7, "words_bound": 5}, (7, 0)),
    ({"time": 10**9, "words": 10**9, "time_bound": 10**8, "words_bound": 5}, (None, 0)),
    ({"words": 10**9, "time_bound": 7, "words_bound": 5}, (7, 5)),
    ({"words": 10**9, "time_bound": 7, "words_bound": 10**8}, (7, None)),
]


@pytest.mark.parametrize("name", ["few channels join tables", "two kinds of channels", "drawn 0"])
@pytest.mark.parametrize(("solved", "bounds"), UNPROVEN)
def test_a_rules_plan_is_taken_where_it_is_better_than_what_is_not_proven(
    monkeypatch: pytest.MonkeyPatch, name: str, solved: dict[str, int], bounds: tuple[int | None, int | None]
) -> None:
    case = CASES[name]
    given = {"precision": Precision(case.precision), "board": case.board}
    rules = {}
    for mode in ("rule", "paper-built"):
        plan = make(case.shape, mode=mode, **given).plan
        its = figures(plan, case.shape)
        rules[round(its.slowest_channel_ns * 1000), its.stored_bytes // 32] = plan.replace(mode="best")
    time, words = min(rules)
    outcome = {"time": time, **solved}
    monkeypatch.setattr(best, "solve", lambda _, hint, **__: Outcome(solution=hint, **outcome))
    found = best.plan(case.shape, seconds=1, **given)
    assert (found.plan, found.outcome.time, found.outcome.words) == (rules[time, words], time, words)
    time_bound, words_bound = bounds
    assert found.outcome.time_bound == (time if time_bound is None else time_bound)
    assert found.outcome.words_bound == (words if words_bound is None else words_bound)
    outcome = {"time": time - 1, "words": 10**9, "time_bound": 7, "words_bound": 5}
    kept = best.plan(case.shape, seconds=1, **given)
    assert (kept.outcome.time, kept.outcome.words, kept.plan.mode) == (time - 1, 10**9, "best")


@pytest.mark.parametrize("name", ["two kinds of channels", "32 bits", "tables on chip"])
def test_a_configuration_contains_its_plan(name: str) -> None:
    case, shape = CASES[name], CASES[name].shape
    plan = place(shape, precision=Precision(case.precision), board=case.board)
    array = Array(pes=8, lanes=4, drain=4, layers=(0,))
    config = engine_config(shape, precision=Precision(case.precision), arrays=(array,), plan=plan)
    found = plan_of(config, model="mine", board=case.board)
    assert (found.model, found.board, found.precision, found.mode) == ("mine", "mine", plan.precision, "given")
    assert found.sources == plan.sources
    assert [(one.beats, one.size) for one in found.planned] == [(one.beats, one.size) for one in plan.planned]
    names: dict[str, list[str]] = {}
    for number, one in enumerate(found.planned):
        channels = [channel.name for channel in case.board.channels if channel.kind is one.source.kind]
        seen = names.setdefault(one.source.kind, [])
        assert one.channel == ([*channels, *[f"{one.source.kind}-{number}"] * 99])[len(seen)]
        seen.append(one.channel)
