"""Labels of arrays: what the search prints is read back, and what is refused."""

import pytest

from microduet import boards, model_names
from microduet.errors import SearchError
from microduet.search import search
from microduet.sweep.arrays import parse
from microduet_hw.config import Array, Precision

BOARD, FIXED16 = boards.find("u280"), Precision.FIXED16


def _shape(name="microrec-small"):
    return model_names.engine_shape(model_names.find(name))


@pytest.mark.parametrize("name", ["microrec-small", "rm1"])
@pytest.mark.parametrize("budget", [1024, 3712])
def test_reads_the_labels_of_the_search(name, budget):
    shape = _shape(name)
    for arrangement in search(shape, precision=FIXED16, board=BOARD, budget=budget).best[:4]:
        arrays = parse(arrangement.label, shape=shape, precision=FIXED16, board=BOARD)
        assert [(a.pes, a.lanes, a.layers) for a in arrays] == [(a.pes, a.lanes, a.layers) for a in arrangement.arrays]
        assert [a.drain for a in arrays[:-1]] == [a.drain for a in arrangement.arrays[:-1]]


def test_takes_a_drain_of_the_last_array():
    arrays = parse("128x16[0] + 128x16[1] + 32x16[2]/8", shape=_shape(), precision=FIXED16, board=BOARD)
    assert arrays[2] == Array(pes=32, lanes=16, drain=8, layers=(2,))
    assert [array.drain for array in arrays] == [16, 16, 8]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("256x18", "arrays must be PESxLANES"),
        ("256x18[0,1]", "must compute layers 0 to 2 in order"),
        ("256x18[0,2,1]", "must compute layers 0 to 2 in order"),
        ("255x18[0,1,2]", "an even number of PEs"),
        ("256x64[0,1,2]", "the output layer takes at most 32 lanes"),
        ("1024x32[0,1,2]", "do not fit u280"),
    ],
)
def test_says_what_is_wrong(label, message):
    with pytest.raises(SearchError, match=message):
        parse(label, shape=_shape(), precision=FIXED16, board=BOARD)
