"""The structures and functions of the C++ runtime (runtime/arguments.h, runtime/api.cpp) as ctypes."""

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt

U32, U64, I32, F64, POINTER = (ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32, ctypes.c_double, ctypes.c_void_p)

DONE, FAILED, STOPPED = 0, 1, 2
MESSAGE_BYTES = 512

ProgressFunction = ctypes.CFUNCTYPE(ctypes.c_int, U64, U64)


class MdTable(ctypes.Structure):
    """Contents of one table."""

    _fields_ = (
        ("seed", U64),
        ("table", U64),
        ("amplitude_log2", I32),
        ("fraction", I32),
        ("scale", F64),
        ("rows", POINTER),
        ("row_bytes", U64),
        ("first", POINTER),
        ("second", POINTER),
        ("second_rows", U64),
        ("first_columns", U32),
        ("reserved", U32),
    )


class MdPart(ctypes.Structure):
    """A rectangle of a table and where it lies."""

    _fields_ = (
        ("channel", U32),
        ("table", U32),
        ("row_first", U64),
        ("rows", U64),
        ("column_first", U32),
        ("columns", U32),
        ("base", U64),
        ("stride_log2", U32),
        ("row_step_log2", U32),
        ("hole_log2", U32),
        ("hole_bits", U32),
        ("check_beats", U32),
        ("reserved", U32),
    )


class MdOpen(ctypes.Structure):
    """What a simulation is opened with."""

    _fields_ = (
        ("engine_mhz", U32),
        ("memory_mhz", U32),
        ("width", U32),
        ("channels", U32),
        ("parts", ctypes.POINTER(MdPart)),
        ("tables", ctypes.POINTER(MdTable)),
        ("latency_ns", ctypes.POINTER(F64)),
        ("dram", POINTER),
        ("part_count", U32),
        ("table_count", U32),
        ("settle", U32),
        ("reserved", U32),
    )


class MdFault(ctypes.Structure):
    """Faults of one channel."""

    _fields_ = (("error_on", U64), ("silent_on", U64), ("reorder", U32), ("reserved", U32))


class MdStalls(ctypes.Structure):
    """Probabilities that streams wait."""

    _fields_ = (
        *((name, F64) for name in ("items", "load", "results", "requests", "responses", "control")),
        ("seed", U64),
    )


class MdPackets(ctypes.Structure):
    """Packets for one stream, and places for the times at which they are taken."""

    _fields_ = (
        ("packets", POINTER),
        ("beats", POINTER),
        ("arrivals", POINTER),
        ("count", U64),
        ("stride_beats", U32),
        ("mode", U32),
        *((name, POINTER) for name in ("accepted_ps", "slots", "turns")),
        *((name, U64) for name in ("pause_packet", "pause_beat", "pause_cycles")),
    )


class MdRun(ctypes.Structure):
    """One batch: what goes in, and places for what comes out."""

    _fields_ = (
        ("items", MdPackets),
        ("users", MdPackets),
        ("results", U64),
        *((name, POINTER) for name in ("tag", "logit", "score", "status", "vector_ps", "finished_ps")),
        ("answers", POINTER),
        ("answer_beats", POINTER),
        ("answer_capacity", U64),
        ("answer_count", U64),
        ("hashes", POINTER),
        *((name, U64) for name in ("hash_capacity", "hash_count", "patience")),
        *((name, U64) for name in ("finished", "engine_cycles", "memory_cycles")),
        ("seconds", F64),
    )


class MdInterval(ctypes.Structure):
    """When something was busy."""

    _fields_ = (("start_ps", U64), ("end_ps", U64), ("kind", U32), ("number", U32), ("count", U64))


class MdCounters(ctypes.Structure):
    """Totals since the simulation was opened."""

    _fields_ = (("engine_cycles", U64), ("memory_cycles", U64), ("reads", POINTER), ("commands", POINTER))


_HANDLE = POINTER
_MESSAGE = ctypes.c_char_p

_FUNCTIONS: dict[str, tuple[type | None, tuple[object, ...]]] = {
    "md_open": (ctypes.c_int, (ctypes.POINTER(MdOpen), ctypes.POINTER(_HANDLE), _MESSAGE)),
    "md_close": (None, (_HANDLE,)),
    "md_load": (ctypes.c_int, (_HANDLE, POINTER, U64, ProgressFunction, _MESSAGE)),
    "md_run": (ctypes.c_int, (_HANDLE, ctypes.POINTER(MdRun), ProgressFunction, _MESSAGE)),
    "md_run_bare": (ctypes.c_int, (_HANDLE, ctypes.POINTER(MdRun), _MESSAGE)),
    "md_memory_share": (ctypes.c_int, (_HANDLE, ctypes.POINTER(MdRun), ctypes.POINTER(F64), _MESSAGE)),
    "md_access": (ctypes.c_int, (_HANDLE, ctypes.c_int, U32, ctypes.POINTER(U32), _MESSAGE)),
    "md_write_memory": (ctypes.c_int, (_HANDLE, U32, U64, POINTER, U64, _MESSAGE)),
    "md_set_stalls": (None, (_HANDLE, ctypes.POINTER(MdStalls))),
    "md_set_faults": (None, (_HANDLE, ctypes.POINTER(MdFault), U64)),
    "md_open_wave": (None, (_HANDLE, ctypes.c_char_p, U64, U64)),
    "md_counters": (None, (_HANDLE, ctypes.POINTER(MdCounters))),
    "md_record": (None, (_HANDLE, POINTER, U64, U32)),
    "md_recorded": (U64, (_HANDLE,)),
    "md_watch": (None, (_HANDLE, ctypes.c_int)),
    "md_watched": (U64, (_HANDLE, POINTER, U64)),
    "md_watched_counters": (U64, (_HANDLE,)),
    "md_floor": (F64, (F64,)),
}


def load_library(path: Path) -> ctypes.CDLL:
    """The simulator library `path` with the types of its functions."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def address(array: npt.NDArray[np.generic] | None) -> int | None:
    """Where the elements of a contiguous array lie; None for none."""
    if array is None:
        return None
    assert array.flags.c_contiguous
    return array.ctypes.data
