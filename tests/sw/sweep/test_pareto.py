"""The front against its definition."""

from hypothesis import given
from hypothesis import strategies as st

from microduet.sweep.pareto import front

COSTS = st.lists(st.tuples(*[st.integers(0, 4)] * 4), max_size=24)


def _all_at_most(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True))


@given(COSTS)
def test_nothing_outside_beats_the_front_and_the_front_beats_everything_outside(costs):
    places = front(costs)
    inside = [costs[place] for place in places]
    outside = [one for place, one in enumerate(costs) if place not in places]
    assert not any(a != b and _all_at_most(a, b) for a in costs for b in inside)
    assert all(any(a != b and _all_at_most(a, b) for a in inside) for b in outside)


@given(COSTS)
def test_the_front_of_a_front_is_all_of_it(costs):
    chosen = [costs[place] for place in front(costs)]
    assert front(chosen) == list(range(len(chosen)))


@given(COSTS, st.randoms())
def test_order_does_not_matter(costs, random):
    other = list(costs)
    random.shuffle(other)
    assert sorted(costs[place] for place in front(costs)) == sorted(other[place] for place in front(other))


def test_equal_points_are_all_in_it():
    assert front([(1.0, 2.0), (2.0, 1.0), (1.0, 2.0), (2.0, 2.0)]) == [0, 1, 2]
