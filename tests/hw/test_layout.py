"""Properties of the order in which outputs leave arrays."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet_hw.config import Array
from microduet_hw.layout import HOLE, drain_order, input_order, input_words, plan_layer
from tests.support.models import small_config

SIZES = st.integers(1, 40)


@st.composite
def chained(draw):
    """An engine of 1 to 3 hidden layers, all in one array or each in its own."""
    hidden = draw(st.lists(SIZES, min_size=1, max_size=3))
    pes = st.integers(1, 8).map(lambda half: 2 * half)
    lanes = st.integers(1, 9)
    if draw(st.booleans()):
        width = draw(lanes)
        arrays = [Array(pes=draw(pes), lanes=width, drain=width, layers=tuple(range(len(hidden))))]
    else:
        widths = [draw(lanes) for _ in hidden]
        widths.append(draw(lanes))
        arrays = [Array(pes=draw(pes), lanes=widths[k], drain=widths[k + 1], layers=(k,)) for k in range(len(hidden))]
    return small_config(elements=draw(SIZES), hidden=hidden, arrays=arrays)


def arrays_of(config):
    """Hidden layers and their arrays."""
    return [(layer, array) for array in config.arrays for layer in array.layers]


@given(chained())
def test_every_input_comes_exactly_once(config):
    for number, layer in enumerate(config.layers):
        order = input_order(config, number)
        assert sorted(order[order != HOLE].tolist()) == list(range(layer.inputs))
        lanes = arrays_of(config)[number][1].lanes if number < len(config.hidden) else config.output_lanes
        assert order.shape == (input_words(config, number), lanes)


@given(chained())
def test_words_are_as_many_as_the_formula_says(config):
    for number, array in arrays_of(config):
        outputs = config.hidden[number].outputs
        full, leftover = divmod(array.pes, array.drain)
        rounds = math.ceil(outputs / array.pes)
        last = outputs - (rounds - 1) * array.pes
        words = (rounds - 1) * full + min(full, math.ceil(last / array.drain))
        if leftover:
            gathering = rounds - 1 + (last > full * array.drain)
            words += math.ceil(gathering / (array.drain // leftover))
        plan = plan_layer(config, number)
        assert plan.words == words
        assert (plan.rounds, plan.steps) == (rounds, input_words(config, number))


@given(chained())
def test_only_leftovers_and_the_end_of_a_layer_have_holes(config):
    for number, array in arrays_of(config):
        rounds = drain_order(config, number)
        for outputs, steps in rounds[:-1]:
            for row, step in zip(outputs, steps, strict=True):
                assert (row[: step.lanes] != HOLE).all()
                assert step.lanes == (array.pes % array.drain if step.leftover else array.drain)


@given(chained())
def test_drains_keep_what_the_hardware_builds_on(config):
    for number, array in arrays_of(config):
        drains = plan_layer(config, number).drains
        # The drain knows two kinds of rounds of a layer: the last one, and all others.
        assert len({(len(drain), drain[-1].leftover) for drain in drains[:-1]}) <= 1
        assert drains[-1][-1].emits
        for drain in drains:
            assert not any(step.leftover for step in drain[:-1])
            for place, step in enumerate(drain):
                # Chains move by R PEs per step, so step j finds PE j R at the tail.
                assert step.first_pe == place * array.drain
                assert step.first_pe + step.lanes <= array.pes
                assert step.lane + step.lanes <= array.drain


@given(chained())
def test_a_step_carries_the_outputs_of_its_pes(config):
    for number, array in arrays_of(config):
        for turn, (outputs, steps) in enumerate(drain_order(config, number)):
            for row, step in zip(outputs, steps, strict=True):
                for lane, output in enumerate(row):
                    pe = turn * array.pes + step.first_pe + lane
                    exists = lane < step.lanes and pe < config.hidden[number].outputs
                    assert output == (pe if exists else HOLE)


CASES = [
    # pes, drain, outputs, the order of the next layer's inputs
    (4, 2, 4, [[0, 1], [2, 3]]),
    (4, 4, 6, [[0, 1, 2, 3], [4, 5, -1, -1]]),
    (6, 4, 12, [[0, 1, 2, 3], [6, 7, 8, 9], [4, 5, 10, 11]]),
    # the last round has no leftover of its own, and sends what was gathered
    (6, 4, 9, [[0, 1, 2, 3], [6, 7, 8, -1], [4, 5, -1, -1]]),
    (2, 5, 5, [[0, 1, 2, 3, -1], [4, -1, -1, -1, -1]]),
]


@pytest.mark.parametrize(("pes", "drain", "outputs", "order"), CASES)
def test_orders_by_hand(pes, drain, outputs, order):
    array = Array(pes=pes, lanes=3, drain=drain, layers=(0,))
    config = small_config(hidden=(outputs,), arrays=(array,))
    assert input_order(config, 1).tolist() == order


def test_vector_is_padded_to_whole_words():
    array = Array(pes=2, lanes=5, drain=5, layers=(0,))
    order = input_order(small_config(elements=7, hidden=(2,), arrays=(array,)), 0)
    assert np.array_equal(order, [[0, 1, 2, 3, 4], [5, 6, HOLE, HOLE, HOLE]])
