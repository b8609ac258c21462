"""What the driver asks of whatever answers it: a simulated engine, or one on a card."""

import contextlib
from collections.abc import Callable, Generator
from typing import Literal, Protocol

import numpy.typing as npt

from microduet.errors import DeviceError
from microduet_sim.batch import Counters, Mode, Results, Words
from microduet_sim.card import SimulationError

Kind = Literal["simulator", "xrt"]
"""What `microduet.open` can open an engine on."""


class Backend(Protocol):
    """An engine that is there. `microduet_sim.simulator.Simulator` is one, `microduet.vitis.xrt.XrtBackend` the other.

    Errors are `SimulationError` or `DeviceError`; after either the backend may be closed.
    """

    @property
    def closed(self) -> bool:
        """Whether it has ended: everything else then raises."""
        ...

    def read(self, register: int) -> int:
        """A control register, 32 bits, by its byte address."""
        ...

    def write(self, register: int, value: int) -> None:
        """Write a control register by its byte address."""
        ...

    def load(self, beats: Words) -> None:
        """Put tables where the engine reads them, then send load beats, uint32 (n, 16)."""
        ...

    def ask(self, beats: Words) -> None:
        """Send check beats, uint32 (n, 16), and return when the last one is taken."""
        ...

    def run(
        self,
        packets: Words,
        *,
        mode: Mode | npt.ArrayLike = "saturated",
        beats: npt.ArrayLike | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Results:
        """Send item packets, uint32 (items, beats x 16), of a run that has been started, and take their results."""
        ...

    def counters(self) -> Counters:
        """Cycles and reads so far, as far as the backend knows them."""
        ...

    def close(self) -> None:
        """End it; closing twice is allowed."""
        ...


@contextlib.contextmanager
def device_errors() -> Generator[None]:
    """What a simulation raises becomes a `DeviceError`."""
    try:
        yield
    except SimulationError as error:
        raise DeviceError(str(error)) from error
