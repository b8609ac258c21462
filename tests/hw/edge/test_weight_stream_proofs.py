"""Proofs of streamed weights: the rules of AXI and of streams, whatever memory and the array do, and no hanging."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Mux, Signal

from microduet_hw.axi import PAGE_BYTES
from microduet_hw.config import AXI_BYTES
from microduet_hw.edge.message import EdgeStatus
from microduet_hw.edge.weight_stream import WeightStream
from tests.support.contracts import Contract
from tests.support.formal import prove

BEATS, BURST, DEPTH, WATCHDOG = 3, 2, 4, 3


class WeightStreamContract(Contract):
    """A stream behind a memory that answers in order, at any time or never, and sends beats that nobody asked for."""

    def __init__(self):
        super().__init__(WeightStream(beats=BEATS, channels=1, watchdog=WATCHDOG, burst=BURST, depth=DEPTH))

    def rules(self, m, ports):
        axi = {name.removeprefix("m_axi_0__"): value for name, value in ports.items()}
        asked = axi["arvalid"] & axi["arready"]
        owed, number = Signal(5), Signal(range(2))
        kept = axi["rvalid"] & (axi["rid"] == 0) & (owed != 0)
        m.d.sync += owed.eq(owed + Mux(asked, axi["arlen"] + 1, 0) - kept)
        with m.If(asked):
            m.d.sync += number.eq(~number)
        end = axi["araddr"][:12] + ((axi["arlen"] + 1) << 5)
        request = Cat(axi["araddr"], axi["arlen"])
        m.d.comb += [
            Assert(axi["rready"]),
            Assert(self.holds(m, valid=axi["arvalid"], ready=axi["arready"], payload=request)),
            Assert(~axi["arvalid"] | (end <= PAGE_BYTES)),
            # Bursts of two beats and one, over and over.
            Assert(~axi["arvalid"] | (axi["araddr"] == number * BURST * AXI_BYTES)),
            Assert(~axi["arvalid"] | (axi["arlen"] == Mux(number, BEATS - BURST, BURST) - 1)),
            Cover(axi["arvalid"] & ~axi["arready"] & (number == 1)),
            Cover(axi["rvalid"] & ~kept),
        ]
        self._rows(m, ports, axi, kept)

    def _rows(self, m, ports, axi, kept):
        """Beats are numbered as they come: they must leave in this order, none twice and none lost."""
        came, left, waited = Signal(5), Signal(5), Signal(4)
        valid, ready, payload = ports["o_rows__valid"], ports["o_rows__ready"], ports["o_rows__payload"]
        late = ports["o_status"] & EdgeStatus.TIMEOUT != 0
        m.d.sync += [came.eq(came + kept), left.eq(left + (valid & ready & ~late))]
        with m.If(valid | ~ready):
            m.d.sync += waited.eq(0)
        with m.Elif(ports["i_run"]):
            m.d.sync += waited.eq(waited + 1)
        m.d.comb += [
            Assume(~kept | (axi["rdata"] == came)),
            Assert(self.holds(m, valid=valid, ready=ready, payload=payload)),
            Assert(~valid | late | ((payload == left) & (came != left))),
            Assert(~late | (valid & (payload == 0))),
            Assert(waited <= WATCHDOG),
            Cover(left == BEATS + 1),
            Cover(late & (left == 1)),
            Cover(valid & ~ready & ((came - left)[:5] == DEPTH)),
        ]


def test_keeps_its_rules():
    proof = prove(WeightStreamContract(), depth=11)
    assert proof, proof


@pytest.mark.nightly
def test_keeps_its_rules_for_longer():
    proof = prove(WeightStreamContract(), depth=14, timeout_s=3600)
    assert proof, proof


def test_is_not_vacuous():
    proof = prove(WeightStreamContract(), mode="cover", depth=20)
    assert proof, proof
