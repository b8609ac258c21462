"""Energy: the table of constants, and what counts make of it."""

import pytest

from microduet.energy.account import energy, worst_ratio
from microduet.energy.constants import constants, parse

GOOD = """
[edge.mac]
unit = "pJ"
low = 1
typical = 2
high = 3
source = "somebody"
"""


def test_every_constant_has_a_range_and_a_source() -> None:
    for name, constant in constants().items():
        assert constant.low < constant.high, name
        assert len(constant.source) > 20, name


def test_counts_become_joules_by_place() -> None:
    found = energy({"edge.mac_int8": 1e6, "link.up_bit": 384, "card.static": 1e-3, "cpu.core": 2e-3})
    assert found.parts["edge.mac_int8"] == pytest.approx(0.3e-6)
    assert found.places["edge"] == pytest.approx(0.3e-6)
    assert found.places["link"] == pytest.approx(384 * 80e-9)
    assert found.places["datacentre"] == pytest.approx(30e-3 + 10e-3)
    assert sum(found.places.values()) == pytest.approx(found.typical)
    assert found.low < found.typical < found.high


def test_the_worst_ratio_takes_their_low_end_and_our_high_one() -> None:
    theirs, ours = energy({"cpu.core": 1.0}), energy({"card.static": 0.01})
    assert worst_ratio(theirs, ours) == pytest.approx(2.5 / 0.45)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"edge.nothing": 1}, "there is no constant edge.nothing"),
        ({"edge.mac_int8": -1}, "edge.mac_int8: a count must be at least 0, not -1"),
    ],
)
def test_refuses_counts_that_cannot_be(counts: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        energy(counts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("low = 1", "low = 5"), "constant edge.mac: low, typical, high must ascend from 0"),
        (('"pJ"', '"kWh"'), "constant edge.mac: unit must be pJ, nJ, mW, W, not 'kWh'"),
        (('"somebody"', '""'), "constant edge.mac: a constant has a source"),
        (("high = 3", ""), "constant edge.mac: .*missing required field `high`"),
        (("high = 3", "high = 3\nextra = 1"), "constant edge.mac: .*unknown field `extra`"),
    ],
)
def test_refuses_a_wrong_table(change: tuple[str, str], message: str) -> None:
    assert parse(GOOD)["edge.mac"].si("typical") == 2e-12
    with pytest.raises(ValueError, match=message):
        parse(GOOD.replace(*change))
