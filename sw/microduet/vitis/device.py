"""The driver of an engine on a card: as of a simulated one."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np

from microduet import boards
from microduet.bundle import Bundle
from microduet.device import Batch, Device, Mode
from microduet.errors import DeviceError, InputError
from microduet.images import table_images
from microduet.vitis.xrt import XrtBackend
from microduet_sim.batch import Results


class XrtDevice(Device):
    """One engine on a card of Vitis, loaded with a bundle's weights and tables.

    Parameters
    ----------
    bundle : a compiled model, or the folder of one; its configuration must be the one in the binary
    xclbin : the card's binary
    card : its number among those that XRT finds
    board : name of the board, or a file that describes it
    timeout : seconds in which the card must take, or give back, 16 MiB

    Raises
    ------
    DeviceError
        If XRT, the card or the engine on it is missing, or is of another configuration.
    InputError
        If there is no such binary, or the bundle's engine ranks for users.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str,
        *,
        xclbin: Path | str,
        card: int = 0,
        board: str = "u55c",
        timeout: float = 10.0,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.read(bundle)
        if self.bundle.config.user is not None:
            raise InputError(f"{self.bundle.config.name} ranks for users: backend must be 'simulator', not 'xrt'")
        self._xclbin, self._card, self._board, self._timeout = Path(xclbin), card, boards.find(board), timeout
        self.batch = None
        self._start()

    def _start(self) -> None:
        self.backend = XrtBackend(
            self.bundle.config,
            tables=table_images(self.bundle),
            xclbin=self._xclbin,
            board=self._board,
            card=self._card,
            timeout=self._timeout,
        )
        self._begin()

    def _finish(self, results: Results, mode: Mode) -> Batch:
        """Times of single items are not known: NaN."""
        batch, unknown = super()._finish(results, mode), np.full(len(results.tag), np.nan)
        return dataclasses.replace(
            batch,
            latency=unknown,
            lookup_ns=unknown,
            finished_us=unknown,
            cycles_per_item=results.engine_cycles / max(1, len(unknown)),
        )

    def set_stalls(self, probability: float, *, seed: int) -> NoReturn:
        """Raise DeviceError: only a simulator can make streams wait."""
        raise DeviceError("set_stalls needs backend 'simulator': nothing makes the streams of a card wait")

    def set_faults(self, faults: Mapping[int, object]) -> NoReturn:
        """Raise DeviceError: only a simulator's memory misbehaves when it is told to."""
        raise DeviceError("set_faults needs backend 'simulator': nothing makes the memory of a card fail")
