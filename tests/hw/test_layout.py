"""Properties of the order in which outputs leave arrays."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microduet_hw.config import Array
from microduet_hw.layout import HOLE, drain_order, input_order, input_words, plan_layer, section_words, vector_words
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


@st.composite
def bottomed(draw):
    """An engine with a bottom MLP of 1 to 3 layers, and up to 2 layers behind the one that meets the features."""
    bottom, beyond = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    hidden = draw(st.lists(SIZES, min_size=bottom + beyond + 1, max_size=bottom + beyond + 1))
    pes = st.integers(1, 8).map(lambda half: 2 * half)
    lanes, inside = draw(st.integers(1, 9)), bottom + 1 + draw(st.integers(0, beyond))
    arrays = [Array(pes=draw(pes), lanes=lanes, drain=lanes, layers=tuple(range(inside)))]
    if inside < len(hidden):
        arrays.append(Array(pes=draw(pes), lanes=lanes, drain=lanes, layers=tuple(range(inside, len(hidden)))))
    return small_config(elements=draw(SIZES), dense=draw(SIZES), hidden=hidden, bottom=bottom, arrays=arrays)


def arrays_of(config):
    """Hidden layers and their arrays."""
    return [(layer, array) for array in config.arrays for layer in array.layers]


@given(chained() | bottomed())
def test_every_input_comes_exactly_once(config):
    for number, layer in enumerate(config.layers):
        order = input_order(config, number)
        assert sorted(order[order != HOLE].tolist()) == list(range(layer.inputs))
        lanes = arrays_of(config)[number][1].lanes if number < len(config.hidden) else config.output_lanes
        assert order.shape == (input_words(config, number), lanes)


@given(bottomed())
def test_features_come_before_the_bottoms_outputs(config):
    order = input_order(config, config.bottom)
    beside = section_words(config, 1)
    assert order[:beside][order[:beside] != HOLE].tolist() == list(range(config.feature_elements))
    # What leaves the bottom is in the order in which it leaves, whoever reads it.
    behind = order[beside:]
    plan = plan_layer(config, config.bottom - 1)
    assert len(behind) == plan.words
    leaves = input_order(config.replace(bottom=0, **unjoined(config)), config.bottom)
    assert np.array_equal(np.where(behind == HOLE, HOLE, behind - config.feature_elements), leaves)


def unjoined(config):
    """Changes of a configuration that leave its bottom's layers as they are, with nothing beside their outputs."""
    layer = config.hidden[config.bottom]
    hidden = list(config.hidden)
    hidden[0] = hidden[0].replace(inputs=config.vector_elements)
    hidden[config.bottom] = layer.replace(inputs=layer.inputs - config.feature_elements)
    return {"dense_position": config.feature_elements, "hidden": tuple(hidden)}


@given(bottomed() | chained())
def test_words_of_the_vector_are_those_of_the_layers_that_read_it(config):
    spans = vector_words(config)
    assert [element for span in spans for element in span] == list(range(config.vector_elements))
    readers = [0, config.bottom] if config.bottom else [0]
    assert len(spans) == sum(section_words(config, section) for section in range(len(readers)))
    first = [input_order(config, layer)[: section_words(config, k)] for k, layer in enumerate(readers)]
    starts = np.cumsum([0, *config.sections])[: len(readers)]
    numbers = np.concatenate(
        [np.where(rows == HOLE, HOLE, rows + start) for rows, start in zip(first, starts, strict=True)]
    )
    assert [row[row != HOLE].tolist() for row in numbers] == [list(span) for span in spans]


@given(chained() | bottomed())
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


def test_a_bottoms_outputs_follow_the_features_by_hand():
    array = Array(pes=4, lanes=3, drain=3, layers=(0, 1))
    config = small_config(elements=4, dense=5, hidden=(8, 2), bottom=1, arrays=(array,))
    assert vector_words(config) == (range(3), range(3, 5), range(5, 8), range(8, 9))
    assert input_order(config, 0).tolist() == [[0, 1, 2], [3, 4, HOLE]]
    bottom = [[4, 5, 6], [8, 9, 10], [7, 11, HOLE]]
    assert input_order(config, 1).tolist() == [[0, 1, 2], [3, HOLE, HOLE], *bottom]
