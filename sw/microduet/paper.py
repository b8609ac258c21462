"""What the MicroRec paper prints for its engine (Jiang et al., MLSys 2021, Tables 2 and 3), to be shown beside ours."""

from microduet.synth.resources import Resources
from microduet_hw.config import Frozen


class PaperFigures(Frozen, frozen=True, kw_only=True):
    """One column of the paper's Table 2; cycles are items/s and latency times the clock."""

    clock_mhz: int
    items_per_s: int
    latency_us: float
    multipliers: int
    dsp: int
    lookup_ns: float

    @property
    def cycles_per_item(self) -> float:
        """Engine cycles between items."""
        return self.clock_mhz * 1e6 / self.items_per_s

    @property
    def latency_cycles(self) -> float:
        """Engine cycles of one item."""
        return self.clock_mhz * self.latency_us


MICROREC = {
    ("microrec-small", "fixed16"): PaperFigures(
        clock_mhz=120, items_per_s=304_930, latency_us=16.3, multipliers=4608, dsp=4625, lookup_ns=458
    ),
    ("microrec-small", "fixed32"): PaperFigures(
        clock_mhz=140, items_per_s=180_999, latency_us=22.6, multipliers=2304, dsp=5193, lookup_ns=458
    ),
    ("microrec-large", "fixed16"): PaperFigures(
        clock_mhz=120, items_per_s=194_802, latency_us=22.6, multipliers=4608, dsp=4625, lookup_ns=1630
    ),
    ("microrec-large", "fixed32"): PaperFigures(
        clock_mhz=135, items_per_s=121_894, latency_us=31.0, multipliers=2304, dsp=5193, lookup_ns=1630
    ),
}
"""By model and precision. The lookup of the large model is 1030 ns in Table 4 and 1630 ns in the text; Table 3's
72.1 % matches the text."""


TABLE_4 = {"microrec-small": 458.0, "microrec-large": 1030.0}
"""Lookup latency in ns with products; the text says 1630 ns for the large model."""
TABLE_5 = {
    ("rmc2-8", 4): 334.5, ("rmc2-8", 8): 353.7, ("rmc2-8", 16): 411.6, ("rmc2-8", 32): 486.3, ("rmc2-8", 64): 648.4,
    ("rmc2-12", 4): 648.5, ("rmc2-12", 8): 707.4, ("rmc2-12", 16): 817.4, ("rmc2-12", 32): 972.7,
    ("rmc2-12", 64): 1296.9,
}  # fmt: skip
"""Lookup latency in ns by tables and elements (of 32 bits) per row."""


def lookup_ns(model: str, dim: int | None) -> float | None:
    """The paper's lookup latency of a model, if it has any."""
    return TABLE_4.get(model) if dim is None else TABLE_5.get((model, dim))


def figures(model: str, precision: str) -> PaperFigures | None:
    """The paper's figures for a model and precision, if it has any."""
    return MICROREC.get((model, precision))


TABLE_6 = {
    ("microrec-small", "fixed16"): Resources(lut=485_323, ff=683_641, dsp=4625, bram36=1566, uram=642),
    ("microrec-small", "fixed32"): Resources(lut=568_864, ff=764_067, dsp=5193, bram36=1657, uram=642),
    ("microrec-large", "fixed16"): Resources(lut=514_517, ff=691_042, dsp=4625, bram36=1566, uram=770),
    ("microrec-large", "fixed32"): Resources(lut=584_220, ff=777_527, dsp=5193, bram36=1721, uram=770),
}
"""What MicroRec takes of a U280. It calls its block RAMs 18 Kbit, but its 78 % are of 2,016, the blocks of 36 Kbit; its
URAM counts are put in the order of the percentages below them: 66 % of 960 for the small model, 80 % for the large."""


def resources(model: str | None, precision: str | None) -> Resources | None:
    """What the paper's engine takes for a model and precision, if it says so."""
    return TABLE_6.get((model or "", precision or ""))
