"""The configuration of an edge unit: what cannot be built is refused with the rule's own words."""

import msgspec
import pytest

from microduet_hw.config import Layer, Precision
from microduet_hw.edge.config import EdgeConfig, History
from microduet_hw.stack import Stack
from tests.support.edge import bottom, small_edge

UNIT = small_edge(((4, 4), 3), ((4,), 1), static=bottom(8), dynamic=bottom(8))


def stack(precision, *, inputs=4, lanes=4, streamed=False):
    layers = (Layer(inputs=inputs, outputs=4, relu=False),)
    return Stack(precision=precision, inputs=inputs, layers=layers, pes=2, lanes=lanes, streamed=streamed)


REFUSED = [
    ({"element_bits": 24}, "element_bits must be 16 or 32, not 24"),
    ({"watchdog": 0}, "watchdog must be at least 1, not 0"),
    ({"histories": ()}, "histories must be 1 to 256, not 0"),
    ({"histories": (History(dims=(3, 2), slots=1),)}, "history 0: 5 elements are not whole rows of 4"),
    ({"static": stack(Precision.INT8)}, "static: precision must be fixed16, not int8"),
    ({"top": stack(Precision.FIXED16)}, "top: precision must be int8, not fixed16"),
    ({"dynamic": stack(Precision.FIXED16, lanes=3)}, "dynamic: lanes must divide 32, not 3"),
    ({"static": stack(Precision.FIXED16, streamed=True)}, "static: streamed rows must be whole beats of 32 bytes"),
    ({"static": None}, "top: inputs must be 12 pooled .* 4 bottom elements, not 20"),
    # One more element than the header of a click can say.
    ({"histories": (History(dims=(1 << 16,), slots=1),)}, "history 0: elements must be below 2\\^16, not 65536"),
    ({"static": stack(Precision.FIXED16, inputs=1 << 16)}, "static: elements must be below 2\\^16, not 65536"),
    ({"top": stack(Precision.INT8, inputs=64, lanes=64)}, "top: lanes must be at most 32, .* not 64"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_refuses_what_cannot_be_built(change, message):
    with pytest.raises(ValueError, match=message):
        msgspec.structs.replace(UNIT, **change)


@pytest.mark.parametrize(
    ("dims", "slots", "message"),
    [((), 1, r"dims must be at least one number above 0, not \(\)"), ((4,), 0, "slots must be at least 1, not 0")],
)
def test_refuses_an_empty_history(dims, slots, message):
    with pytest.raises(ValueError, match=message):
        History(dims=dims, slots=slots)


def test_comes_back_from_json():
    assert EdgeConfig.from_json(UNIT.to_json()) == UNIT
