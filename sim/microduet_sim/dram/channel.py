"""One channel of DRAM behind an AXI port, cycle by cycle: what stands behind a bench's port."""

import ctypes
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from microduet_hw.config import AXI_BYTES
from microduet_sim.abi import address
from microduet_sim.dram.abi import dram_argument, dram_model
from microduet_sim.dram.parameters import DramParameters

MAX_BEATS = 256


@dataclass(frozen=True, kw_only=True)
class Beat:
    """One beat of a read's answer: 32 bytes, as a little-endian number."""

    id: int
    data: int
    last: bool


class DramChannel:
    """The model that stands behind a simulated engine's ports, driven by hand in cycles of the port's clock.

    In each cycle: at most one `read` or `write`, then `offer` for the next edge, and `take` when its beat was taken.

    Parameters
    ----------
    parameters : of the DRAM
    port_mhz : the port's clock
    channel, channels : which one of a memory's channels it is, for staggered refreshes
    """

    def __init__(self, parameters: DramParameters, *, port_mhz: float, channel: int = 0, channels: int = 1) -> None:
        if port_mhz <= 0:
            raise ValueError(f"port_mhz must be above 0, not {port_mhz}")
        argument = dram_argument(parameters, channel=channel, channels=channels)
        self._parameters, self._model = parameters, dram_model()
        self._handle = self._model.md_channel_open(ctypes.byref(argument), port_mhz)
        self._beat = np.zeros(10, np.uint32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model.md_channel_close(self._handle)

    @property
    def ready(self) -> bool:
        """Whether one more read may come."""
        return bool(self._model.md_channel_ready(self._handle))

    def put(self, at: int, contents: npt.NDArray[np.uint8]) -> None:
        """Contents from byte `at` on, in no time; whole beats."""
        for k, beat in enumerate(self._beats(at, contents)):
            self._model.md_channel_put(self._handle, at + k * AXI_BYTES, address(beat))

    def read(self, at: int, *, beats: int, id: int, cycle: int) -> None:
        """A read whose address was taken at the edge of `cycle`.

        Raises
        ------
        ValueError
            If it is not of 1 to 256 whole beats inside the channel, or the ID is not of 8 bits.
        """
        self._check(at, beats)
        if not 0 <= id < 256:
            raise ValueError(f"id must be 0 to 255, not {id}")
        self._model.md_channel_read(self._handle, at, beats, id, cycle)

    def write(self, at: int, contents: npt.NDArray[np.uint8], *, cycle: int) -> None:
        """A write whose last beat was taken at the edge of `cycle`; raises ValueError as `read` does."""
        beats = self._beats(at, contents)
        self._check(at, len(beats))
        self._model.md_channel_write(self._handle, at, address(beats), len(beats), cycle)

    def writes_under_way(self, cycle: int) -> int:
        """Bursts of writes that are not complete at the edge of `cycle`."""
        return int(self._model.md_channel_writes(self._handle, cycle))

    def offer(self, cycle: int) -> Beat | None:
        """The beat that the edge of `cycle` sees, the same until it is taken; None if there is none yet."""
        if not self._model.md_channel_offer(self._handle, cycle, address(self._beat)):
            return None
        data = int.from_bytes(self._beat[:8].tobytes(), "little")
        return Beat(id=int(self._beat[8]), data=data, last=bool(self._beat[9]))

    def take(self) -> None:
        """The beat on offer was taken."""
        self._model.md_channel_take(self._handle)

    def _beats(self, at: int, contents: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if contents.dtype != np.uint8 or contents.ndim != 1 or len(contents) % AXI_BYTES or at % AXI_BYTES:
            shape = f"{contents.dtype} {contents.shape} at {at}"
            raise ValueError(f"contents must be uint8 of whole beats of {AXI_BYTES} bytes, not {shape}")
        return np.ascontiguousarray(contents).reshape(-1, AXI_BYTES)

    def _check(self, at: int, beats: int) -> None:
        if at % AXI_BYTES or not 1 <= beats <= MAX_BEATS:
            raise ValueError(f"a burst is 1 to {MAX_BEATS} beats of {AXI_BYTES} bytes, not {beats} at {at}")
        if at < 0 or at + beats * AXI_BYTES > self._parameters.bytes:
            raise ValueError(f"{beats} beats at {at:#x} must lie within the channel's {self._parameters.bytes:#x}")
