"""The tracker's proof, for all time: the oldest entry is the next to go, and every slot takes its turn."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from microduet_hw.edge.tracker import LocationTracker
from tests.support.edge_contracts import TrackerContract
from tests.support.formal import prove

SIZES = [
    # slots, stride
    (1, 1),
    (1, 3),
    (2, 1),
    (3, 2),
    (5, 48),
    (7, 7),
    (8, 1),
    (8, 3),
]


class Wrong(wiring.Component):
    """A tracker that is told something else than it should be."""

    def __init__(self, fault, *, slots):
        self._fault, self._tracker = fault, LocationTracker(slots=slots)
        super().__init__(self._tracker.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.tracker = tracker = self._tracker
        first, full = self.o_address == 0, self.o_full
        update = {"misses the update of the first slot": ~first, "updates only what is not full": ~full}
        clear = {"ignores a clear in the first slot": ~first, "ignores a clear when full": ~full}
        m.d.comb += [
            tracker.i_update.eq(self.i_update & update.get(self._fault, 1)),
            tracker.i_clear.eq(self.i_clear & clear.get(self._fault, 1)),
            *(getattr(self, name).eq(getattr(tracker, name)) for name in ("o_address", "o_count", "o_full")),
        ]
        return m


WRONG = {
    "misses the update of the first slot": lambda fault: Wrong(fault, slots=5),
    "updates only what is not full": lambda fault: Wrong(fault, slots=5),
    "ignores a clear in the first slot": lambda fault: Wrong(fault, slots=5),
    "ignores a clear when full": lambda fault: Wrong(fault, slots=5),
    "has a slot too few": lambda _: LocationTracker(slots=4),
    "wraps at a power of two": lambda _: LocationTracker(slots=8),
    "has another stride": lambda _: LocationTracker(slots=5, stride=2),
}


@pytest.mark.parametrize(("slots", "stride"), SIZES)
def test_the_oldest_is_the_next_to_go(slots, stride):
    proof = prove(TrackerContract(slots=slots, stride=stride), mode="prove", depth=2)
    assert proof, proof


def test_the_proof_is_not_vacuous():
    proof = prove(TrackerContract(slots=5, stride=3), mode="cover", depth=14)
    assert proof, proof


@pytest.mark.parametrize("fault", WRONG)
def test_the_proof_refutes_a_tracker_that(fault):
    proof = prove(TrackerContract(slots=5, tracker=WRONG[fault](fault)), mode="bmc", depth=14)
    assert proof.status == "FAIL", proof


@pytest.mark.parametrize(("slots", "stride"), [(0, 1), (-3, 1), (4, 0)])
def test_refuses_a_history_without_slots_or_entries_without_rows(slots, stride):
    with pytest.raises(ValueError, match=f"slots and stride must be at least 1, not {slots} and {stride}"):
        LocationTracker(slots=slots, stride=stride)
