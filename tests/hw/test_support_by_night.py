"""Cases that run by night only are named, and a name that is no case is an error."""

import pytest

from tests.support.by_night import COUNTED, NIGHTLY, by_night


@pytest.mark.parametrize(
    ("cases", "late", "expected"),
    [
        (["a", "b", "c"], ["b"], ["a", pytest.param("b", marks=NIGHTLY), "c"]),
        ({"a": 1, "b": 2}, [], ["a", "b"]),
        ([(1, 2), (3, 4)], [(3, 4)], [(1, 2), pytest.param(3, 4, marks=NIGHTLY)]),
    ],
)
def test_late_cases_are_marked_and_all_keep_their_order(cases, late, expected):
    assert by_night(cases, late, marks=NIGHTLY) == expected


def test_a_bench_is_counted_if_nothing_else_is_said():
    (case,) = by_night(["a"], ["a"])
    assert [mark.name for mark in case.marks] == [mark.name for mark in COUNTED] == ["nightly", "counted"]


def test_a_late_case_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"^not among the cases: \['d'\]$"):
        by_night(["a", "b"], ["a", "d"])
