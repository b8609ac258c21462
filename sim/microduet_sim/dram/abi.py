"""The structures of runtime/dram as ctypes."""

import ctypes
import functools

from microduet_sim.abi import F64, POINTER, U32, U64
from microduet_sim.build import dram_library
from microduet_sim.dram.parameters import COMMANDS, DramParameters, Page, Refresh, RefreshPhase

MAX_SEGMENTS = 32
REFRESHES = (Refresh.OFF, Refresh.ALL_BANK, Refresh.SINGLE_BANK)

_BEFORE = ("ranks", "bank_groups", "banks_per_group", "burst_bytes", "burst_cycles")
_BUSES = ("one_command_bus", "group_buses")
_TIMES = (
    *("CL", "CWL", "tRCDRD", "tRCDWR", "tRP", "tRAS", "tRC", "tRTP", "tWR", "tWTR_S", "tWTR_L", "tRTW"),
    *("tCCD_S", "tCCD_L", "tRRD_S", "tRRD_L", "tFAW", "tRTRS", "tRFC", "tREFI", "tRFCSB", "tREFISB"),
)
_REST = (
    "refresh",
    "refresh_phase",
    "rank_phase",
    "refresh_postpone",
    "closed_page",
    "window",
    "age_limit",
    "outstanding",
    "narrow_bytes",
)


class MdSegment(ctypes.Structure):
    """A run of address bits."""

    _fields_ = tuple((name, U32) for name in ("field", "from_bit", "bits", "to"))


class MdDram(ctypes.Structure):
    """One channel of DRAM."""

    _fields_ = (
        ("tCK_ns", F64),
        ("delay_ns", F64),
        ("narrow_ns", F64),
        *((name, U32) for name in (*_BEFORE, *_BUSES)),
        ("bytes", U64),
        *((name, U32) for name in _TIMES),
        *((name, U32) for name in _REST),
        ("segment_count", U32),
        ("segments", MdSegment * MAX_SEGMENTS),
    )


class MdReplay(ctypes.Structure):
    """One trace, and places for what comes out."""

    _fields_ = (
        *((name, POINTER) for name in ("addresses", "bytes", "writes")),
        ("transactions", U64),
        ("outstanding", U32),
        ("reserved", U32),
        *((name, POINTER) for name in ("arrival", "completion")),
        ("refreshes", U64),
        ("counts", U64 * len(COMMANDS)),
        ("commands", POINTER),
        ("command_capacity", U64),
        ("command_count", U64),
    )


class MdNear(ctypes.Structure):
    """Rows that are summed within a channel's memory, and places for what comes out."""

    _fields_ = (
        *((name, POINTER) for name in ("addresses", "pools")),
        ("lookups", U64),
        *((name, U32) for name in ("bytes", "bank_groups", "instruction_bits", "channel_bits", "rank_cycles")),
        *((name, U32) for name in ("queue", "sums", "dimm_ranks")),
        *((name, POINTER) for name in ("completion", "sent", "counts")),
        *((name, U64) for name in ("partial_sums", "dimm_sums")),
        ("commands", POINTER),
        *((name, U64) for name in ("command_capacity", "command_count")),
    )


ReplayProgress = ctypes.CFUNCTYPE(ctypes.c_int, U64)


def dram_argument(parameters: DramParameters, *, channel: int = 0, channels: int = 1) -> MdDram:
    """The parameters as the C++ model takes them, for one of `channels` channels of a memory."""
    segments = [MdSegment(s.field, s.from_bit, s.bits, s.to) for s in parameters.segments()]
    staggered = parameters.refresh_phase is RefreshPhase.STAGGERED
    interval = parameters.tREFISB if parameters.refresh is Refresh.SINGLE_BANK else parameters.tREFI
    return MdDram(
        tCK_ns=parameters.tCK_ns,
        delay_ns=parameters.delay_ns,
        narrow_ns=1000 / parameters.narrow_mhz if parameters.narrow_mhz else 0.0,
        narrow_bytes=parameters.narrow_bits // 8,
        one_command_bus=parameters.command_buses == 1,
        **{name: getattr(parameters, name) for name in (*_BEFORE, "bytes", *_TIMES)},
        refresh=REFRESHES.index(parameters.refresh),
        refresh_phase=interval * channel // channels if staggered else 0,
        rank_phase=interval // parameters.ranks if staggered else 0,
        refresh_postpone=parameters.refresh_postpone,
        closed_page=parameters.page is Page.CLOSED,
        window=parameters.window,
        age_limit=parameters.age_limit,
        outstanding=parameters.outstanding,
        segment_count=len(segments),
        segments=(MdSegment * MAX_SEGMENTS)(*segments),
    )


@functools.cache
def dram_model() -> ctypes.CDLL:
    """The DRAM model's library with the types of its functions."""
    library = ctypes.CDLL(str(dram_library()))
    pointer = ctypes.POINTER
    library.md_replay.argtypes = [pointer(MdDram), pointer(MdReplay), ReplayProgress, ctypes.c_char_p]
    library.md_replay.restype = ctypes.c_int
    library.md_reduce.argtypes = [pointer(MdDram), pointer(MdNear), ReplayProgress, ctypes.c_char_p]
    library.md_reduce.restype = ctypes.c_int
    handle, data = ctypes.c_void_p, ctypes.c_void_p
    signatures: dict[str, tuple[object, tuple[object, ...]]] = {
        "open": (handle, (pointer(MdDram), F64)),
        "close": (None, (handle,)),
        "ready": (ctypes.c_int, (handle,)),
        "read": (None, (handle, U64, U32, ctypes.c_uint8, U64)),
        "write": (None, (handle, U64, data, U32, U64)),
        "writes": (U64, (handle, U64)),
        "put": (None, (handle, U64, data)),
        "offer": (ctypes.c_int, (handle, U64, data)),
        "take": (None, (handle,)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"md_channel_{name}")
        function.restype, function.argtypes = result, arguments
    return library
