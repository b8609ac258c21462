"""A simulated engine: run batches through it."""

import contextlib
import ctypes
from collections.abc import Callable, Generator

import numpy as np
import numpy.typing as npt

from microduet_hw.config import EngineConfig
from microduet_sim.abi import MdRun, address
from microduet_sim.batch import Mode, Results, Sent, Words, empty_results
from microduet_sim.card import PATIENCE, Card, Progress
from microduet_sim.record import OperandRecord, row_words, split_rows


class Simulator(Card[EngineConfig]):
    """One simulated engine with its memory; parameters as `Card`."""

    def run(
        self,
        packets: Words,
        *,
        mode: Mode | npt.ArrayLike = "saturated",
        beats: npt.ArrayLike | None = None,
        hashes: int = 0,
        patience: int = PATIENCE,
        progress: Progress | None = None,
        bare: bool = False,
    ) -> Results:
        """Send item packets and take their results, until as many results as packets are out.

        Parameters
        ----------
        packets : uint32 (items, beats x 16)
        mode : "saturated": as fast as they are taken; "idle": each when the previous result is out; or the earliest
            engine cycle of each item, counted from now, ascending
        beats : of each packet, if not all of them: fewer are a short packet, more repeat the last beat
        hashes : keep hashes of all outputs for so many clock edges
        patience : engine cycles without progress after which the batch is given up
        progress : called now and then
        bare : the C++ loop alone, without progress, limits and Ctrl-C; to compare with

        Raises
        ------
        ValueError
            If an array has the wrong type or shape.
        SimulationError
            If nothing moves for `patience` cycles, or the engine breaks a rule of a bus. The simulator is then closed.
        KeyboardInterrupt
            On Ctrl-C. The simulator is then closed.
        """
        sent = Sent(packets, mode=mode, beats=beats)
        results, arrays = empty_results(sent, hashes)
        arguments = self._send(
            sent,
            arrays=arrays,
            patience=patience,
            progress=progress,
            bare=bare,
            hash_capacity=hashes,
        )
        return results(arguments)

    def memory_share(self, packets: Words) -> float:
        """Part of the simulation's time, 0 to 1, that the models behind the ports take in a saturated batch."""
        handle, sent, share = self._open(), Sent(packets), ctypes.c_double()
        _, arrays = empty_results(sent, 0)
        arguments = MdRun(
            items=sent.arguments(),
            results=len(sent),
            **{name: address(array) for name, array in arrays.items()},
        )
        run, place = ctypes.byref(arguments), ctypes.byref(share)
        self._batch(lambda _, text: self._library.md_memory_share(handle, run, place, text), None)
        return share.value

    @contextlib.contextmanager
    def recording(self, cycles: int) -> Generator[Callable[[], OperandRecord]]:
        """Keep what the arrays are told in the next `cycles` engine cycles (composite only); call it for the record."""
        handle = self._open()
        rows = np.zeros((cycles, sum(row_words(self._config))), np.uint32)
        self._library.md_record(handle, address(rows), cycles, rows.shape[1])
        try:
            yield lambda: split_rows(self._config, rows[: self._library.md_recorded(handle)])
        finally:
            if not self.closed:
                self._library.md_record(handle, None, 0, 0)

    def floor(self, *, seconds: float = 0.5) -> float:
        """Cycles per second of the arrays' multiply-accumulate work alone: the floor of the simulation's speed."""
        self._open()
        return float(self._library.md_floor(seconds))
