"""What stands behind an engine's ports, by the names that commands use."""

from microduet_hw.config import SourceKind
from microduet_sim.dram import Profile, RefreshMode
from microduet_sim.dram.channels import default_parameters
from microduet_sim.dram.parameters import DramParameters

CARD_REFRESH: dict[RefreshMode, str] = {
    "aligned": "the card refreshes so if its controllers leave reset together; nothing keeps them together after that",
    "staggered": "the card refreshes so in general",
    "off": "no card can: the memory would forget",
    "single-bank": "the card's HBM controller offers it",
    "postponed": "the standards allow it; the card's hard controller does not offer it",
}
"""Whether a U280 could do it."""

NARROW_MHZ = 190.0
"""Clock of the paper's readers: its Table 5 grows by 5.29 ns per element of 32 bits."""
NARROW_PIPELINE_NS = 233.0
"""Constant delay that makes the profile's lookup of 8 tables of 4 elements last the paper's 334.5 ns (Table 5)."""

Settings = dict[SourceKind, DramParameters]


def usual_refresh(*, spread: bool) -> RefreshMode:
    """How the memory behind an engine is refreshed if nobody says how."""
    return "single-bank" if spread else "aligned"


def dram_settings(
    *, refresh: RefreshMode | None = None, profile: Profile = "default", spread: bool = False
) -> Settings:
    """The parameters of both kinds of channel; `spread`: of an engine whose tables are spread over all channels."""
    refresh = refresh or usual_refresh(spread=spread)
    settings: Settings = {}
    for kind in (SourceKind.HBM, SourceKind.DDR):
        parameters = default_parameters(kind, spread=spread).replace(**_refresh(kind, refresh))
        if profile == "microrec":
            more = NARROW_PIPELINE_NS - default_parameters(SourceKind.HBM).pipeline_ns
            parameters = parameters.replace(
                outstanding=1, narrow_bits=32, narrow_mhz=NARROW_MHZ, pipeline_ns=parameters.pipeline_ns + more
            )
        settings[kind] = parameters
    return settings


def _refresh(kind: SourceKind, mode: RefreshMode) -> dict[str, object]:
    if mode == "off":
        return {"refresh": "off"}
    if mode == "aligned":
        return {"refresh": "all-bank", "refresh_phase": "aligned"}
    return {
        "refresh": "single-bank" if mode == "single-bank" and kind is SourceKind.HBM else "all-bank",
        "refresh_phase": "staggered",
        "refresh_postpone": 8 if mode == "postponed" else 0,
    }
