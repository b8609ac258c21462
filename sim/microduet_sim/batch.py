"""What a batch is given and what comes out of it, as plain arrays."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from microduet_sim.abi import MdPackets, MdRun, address

BEAT_WORDS = 16
"""32-bit words of a beat of an item packet or a load."""

SLOTS = 64
"""Slots that the runtime counts answers of, the most that an engine has."""

Words = npt.NDArray[np.uint32]
Times = npt.NDArray[np.uint64]


Mode = Literal["saturated", "idle"]


class _Mode(enum.IntEnum):
    SATURATED = 0
    IDLE = 1
    ARRIVALS = 2


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Cycles of the stream's clock in which a host sends nothing before beat `beat` of packet `packet`."""

    packet: int = 0
    beat: int = 0
    cycles: int = 0


NO_PAUSE = Pause()


class Sent:
    """Packets for one stream, as the runtime takes them.

    Parameters
    ----------
    packets : uint32 (n, beats x 16)
    mode : "saturated": as fast as they are taken; "idle": each when the previous result is out; or the earliest engine
        cycle of each, counted from the start of the batch, ascending
    beats : of each packet, if not all of them
    slots, turns : of an engine with users: the slot of each packet's query, 0 to 63, and how many answers from that
        slot each waits for

    Members
    -------
    accepted_ps : uint64 (n,), filled by the batch: when the first beat of each was taken
    gap : engine cycles, the longest between two arrivals

    Raises
    ------
    ValueError
        If an array has the wrong type or shape.
    """

    def __init__(
        self,
        packets: Words,
        *,
        mode: Mode | npt.ArrayLike = "saturated",
        beats: npt.ArrayLike | None = None,
        slots: npt.ArrayLike | None = None,
        turns: npt.ArrayLike | None = None,
        name: str = "packets",
    ) -> None:
        self._words, count = checked_words(packets, name), len(packets)
        self._arrivals = None if isinstance(mode, str) else checked_times(mode, "mode", count)
        self._mode = _Mode.ARRIVALS if self._arrivals is not None else _Mode[str(mode).upper()]
        self._beats = None
        if beats is not None:
            self._beats = np.ascontiguousarray(checked_times(beats, "beats", count), np.uint32)
        if (slots is None) != (turns is None):
            raise ValueError("slots and turns go together: give both or neither")
        self._slots = None if slots is None else checked_times(slots, "slots", count).astype(np.uint32)
        self._turns = None if turns is None else checked_times(turns, "turns", count).astype(np.uint32)
        if self._slots is not None and int(self._slots.max(initial=0)) >= SLOTS:
            raise ValueError(f"slots must be 0 to {SLOTS - 1}, not {self._slots.max()}")
        self.accepted_ps = np.zeros(count, np.uint64)
        self.gap = 0
        if self._arrivals is not None and count:
            self.gap = int(np.diff(self._arrivals, prepend=np.uint64(0)).max())

    def __len__(self) -> int:
        return len(self._words)

    def arguments(self, pause: Pause = NO_PAUSE) -> MdPackets:
        """For the runtime, with the place where the host stands still; refers to this object's arrays."""
        return MdPackets(
            packets=address(self._words),
            beats=address(self._beats),
            arrivals=address(self._arrivals),
            count=len(self),
            stride_beats=self._words.shape[1] // BEAT_WORDS,
            mode=self._mode,
            accepted_ps=address(self.accepted_ps),
            slots=address(self._slots),
            turns=address(self._turns),
            pause_packet=pause.packet,
            pause_beat=pause.beat,
            pause_cycles=pause.cycles,
        )


@dataclass(frozen=True, kw_only=True)
class Stalls:
    """Random waits: the probability, 0 to 1, that a stream waits in a cycle, and one seed for all."""

    items: float = 0.0
    load: float = 0.0
    results: float = 0.0
    requests: float = 0.0
    responses: float = 0.0
    control: float = 0.0
    seed: int = 0

    @classmethod
    def everywhere(cls, probability: float, *, seed: int) -> Self:
        """The same probability on every stream."""
        return cls(
            items=probability,
            load=probability,
            results=probability,
            requests=probability,
            responses=probability,
            control=probability,
            seed=seed,
        )


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a memory channel. Reads count from 1, from when the faults are set; 0 is never.

    Parameters
    ----------
    error_on : the read that is answered with an error response
    silent_on : the read that is never answered, nor any later one of its ID
    reorder : reads of different IDs are answered in any order
    """

    error_on: int = 0
    silent_on: int = 0
    reorder: bool = False


@dataclass(frozen=True, kw_only=True)
class Results:
    """What came out, in the order in which it came, and when.

    Members
    -------
    tag : uint32 (items,); logit : int32; score : uint16, a fraction of 2^16; status : uint8, flags
    accepted_ps, vector_ps, finished_ps : uint64: first beat of the packet taken, vector complete, result taken
    engine_cycles, memory_cycles : of this batch
    seconds : of real time, inside the C++ loop
    hashes : uint64, one per clock edge: of all outputs, if asked for
    """

    tag: Words
    logit: npt.NDArray[np.int32]
    score: npt.NDArray[np.uint16]
    status: npt.NDArray[np.uint8]
    accepted_ps: Times
    vector_ps: Times
    finished_ps: Times
    engine_cycles: int = 0
    memory_cycles: int = 0
    seconds: float = 0.0
    hashes: Times = field(default_factory=lambda: np.empty(0, np.uint64))


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Since the simulator was opened: cycles; by source number, reads and DRAM commands by JEDEC's names."""

    engine_cycles: int
    memory_cycles: int
    reads: Mapping[int, int]
    commands: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


def checked_words(array: Words, name: str) -> Words:
    """The array, contiguous; raises ValueError unless it is beats, uint32 (n, a multiple of 16)."""
    fits = array.dtype == np.uint32 and array.ndim == 2 and array.shape[1] % BEAT_WORDS == 0 and array.shape[1]
    if not fits:
        raise ValueError(f"{name} must be uint32 (n, a multiple of {BEAT_WORDS}), not {array.dtype} {array.shape}")
    return np.ascontiguousarray(array)


def checked_times(values: npt.ArrayLike, name: str, items: int) -> Times:
    """The values as uint64; raises ValueError unless there is one per item."""
    array = np.ascontiguousarray(values, np.uint64)
    if array.shape != (items,):
        raise ValueError(f"{name} must have one element per item, {items}, not shape {array.shape}")
    return array


def empty_results(sent: Sent, hashes: int) -> tuple[Callable[[MdRun], Results], dict[str, npt.NDArray[np.generic]]]:
    """Arrays for the runtime to fill, and what makes them results afterwards."""
    items = len(sent)
    tag, logit = np.zeros(items, np.uint32), np.zeros(items, np.int32)
    score, status = np.zeros(items, np.uint16), np.zeros(items, np.uint8)
    vector, finished = np.zeros(items, np.uint64), np.zeros(items, np.uint64)
    edges = np.zeros(hashes, np.uint64)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "tag": tag,
        "logit": logit,
        "score": score,
        "status": status,
        "vector_ps": vector,
        "finished_ps": finished,
    }
    if hashes:
        arrays["hashes"] = edges

    def results(run: MdRun) -> Results:
        return Results(
            tag=tag,
            logit=logit,
            score=score,
            status=status,
            accepted_ps=sent.accepted_ps,
            vector_ps=vector,
            finished_ps=finished,
            engine_cycles=run.engine_cycles,
            memory_cycles=run.memory_cycles,
            seconds=run.seconds,
            hashes=edges[: run.hash_count],
        )

    return results, arrays
