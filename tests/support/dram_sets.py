"""Random parameter sets of the DRAM model."""

from hypothesis import strategies as st

from microduet_sim.dram.parameters import DramParameters


@st.composite
def parameter_sets(draw: st.DrawFn, *sets: DramParameters) -> DramParameters:
    """One of `sets` with other times and policies."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    tRCD, tRP, tRTP = number(3, 20), number(3, 20), number(2, 12)
    tRAS = tRCD + number(4, 30)
    tCCD, tRRD, tWTR = number(1, 6), number(2, 8), number(1, 8)
    return draw(st.sampled_from(sets)).replace(
        command_buses=number(1, 2),
        tRTRS=number(0, 6),
        CL=number(3, 24),
        CWL=number(2, 16),
        tRCDRD=tRCD,
        tRCDWR=number(2, tRAS),
        tRP=tRP,
        tRAS=tRAS,
        tRC=tRAS + number(tRP, 30),
        tRTP=tRTP,
        tWR=number(3, 20),
        tCCD_S=tCCD,
        tCCD_L=tCCD + number(0, 4),
        tRRD_S=tRRD,
        tRRD_L=tRRD + number(0, 4),
        tWTR_S=tWTR,
        tWTR_L=tWTR + number(0, 6),
        tRTW=number(2, 24),
        tFAW=number(tRRD, 40),
        tRFC=number(20, 300),
        tREFI=number(400, 3000),
        tRFCSB=number(10, 100),
        tREFISB=number(30, 300),
        refresh=draw(st.sampled_from(["off", "all-bank", "single-bank"])),
        refresh_postpone=number(0, 8),
        refresh_phase=draw(st.sampled_from(["aligned", "staggered"])),
        page=draw(st.sampled_from(["open", "closed"])),
        window=draw(st.sampled_from([1, 2, 12, 64])),
        age_limit=draw(st.sampled_from([20, 300, 5000])),
    )
