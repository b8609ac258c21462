"""The driver: numpy arrays in, scores out, as a card would be used."""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from microduet.backend import Backend, device_errors
from microduet.bundle import Bundle
from microduet.errors import DeviceError, InputError
from microduet.gateware import verilog
from microduet.images import table_images
from microduet.inputs import check_batch
from microduet.loading import engine_checks, expect_unchanged, load_engine
from microduet.register_access import Registers
from microduet_hw.config import SourceKind
from microduet_hw.registers import Register
from microduet_hw.status import Status
from microduet_sim.batch import Fault, Results, Stalls
from microduet_sim.build import build
from microduet_sim.closing import Closing
from microduet_sim.compiler import Progress as BuildProgress
from microduet_sim.dram import Memory
from microduet_sim.dram.parameters import DramParameters
from microduet_sim.simulator import Simulator

Progress = Callable[[int, int], None]
"""``progress(items finished, engine cycles)``, at most ten times a second."""

Mode = Literal["saturated", "idle"] | npt.NDArray[np.floating] | npt.NDArray[np.integer]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Everything that came back of one batch.

    Members
    -------
    scores : float32 (items,), NaN where the status is not OK
    logits : int64 (items,), integers
    status : uint8 (items,), `Status` flags
    latency : float64 (items,), engine cycles from the first beat of an item's indices to its score
    lookup_ns : float64 (items,), from the first beat to the last element in its place
    finished_us : float64 (items,), when the score came out
    cycles : engine cycles of the whole batch
    cycles_per_item : of the steady state, first and last eighth of the batch left out
    seconds : of real time inside the simulator
    """

    scores: npt.NDArray[np.float32]
    logits: npt.NDArray[np.int64]
    status: npt.NDArray[np.uint8]
    latency: npt.NDArray[np.float64]
    lookup_ns: npt.NDArray[np.float64]
    finished_us: npt.NDArray[np.float64]
    cycles: int
    cycles_per_item: float
    seconds: float


class Device(Closing):
    """One engine, open: loaded with a bundle's weights and ready for items.

    Parameters
    ----------
    bundle : a compiled model, or the folder of one
    memory : model behind the memory channels
    dram : parameters of the DRAM by kind of channel, where they are not those of the card
    structure : how the simulator is put together
    wave : build it so that it can write waves
    progress : called with the steps of a build, which may take a minute

    Raises
    ------
    BundleError
        If the bundle is damaged.
    """

    SIMULATOR: typing.ClassVar[type[Simulator]] = Simulator

    def __init__(
        self,
        bundle: Bundle | Path | str,
        *,
        memory: Memory = "dram",
        dram: Mapping[SourceKind, DramParameters] | None = None,
        structure: Literal["composite", "flat"] = "composite",
        wave: Literal["vcd", "fst"] | None = None,
        progress: BuildProgress | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.read(bundle)
        self._memory: Memory = memory
        self._dram = dram
        self.library = build(
            self.bundle.config, verilog(self.bundle.config), structure=structure, wave=wave, progress=progress
        )
        self.batch: Batch | None = None
        self._start()

    def close(self) -> None:
        """End the simulation, or give the card back; closing twice is allowed."""
        self.backend.close()

    def load(self, bundle: Bundle) -> None:
        """Load another bundle's weights and tables: one with the same configuration, so that nothing is built."""
        if bundle.config != self.bundle.config:
            raise InputError(f"bundle {bundle.path} is for engine {bundle.config.name}, not {self.bundle.config.name}")
        self._expect_open()
        self.backend.close()
        self.bundle = bundle
        self._start()

    def _start(self) -> None:
        """A fresh engine and its memory, loaded."""
        bundle = self.bundle
        self.simulator = self.SIMULATOR(
            bundle.config, self.library, tables=table_images(bundle), memory=self._memory, dram=self._dram
        )
        self.backend: Backend = self.simulator
        self._begin()

    def _begin(self) -> None:
        """Load the engine behind `backend`, if it is the bundle's."""
        bundle = self.bundle
        self.registers = Registers(bundle.config, self.backend)
        digest = int(bundle.config.digest[:8], 16)
        if self.registers["digest"] != digest:
            raise DeviceError(f"the engine is of configuration {self.registers['digest']:08x}, not {digest:08x}")
        self._load()

    def _load(self) -> None:
        load_engine(self.bundle, self.backend, self.registers)

    def reload(self) -> None:
        """Load the bundle's weights and on-chip tables again, where they are, and compare what the engine took.

        That repairs bits that have changed since; whether any had is told by `check_weights`.
        """
        self._expect_open()
        with device_errors():
            self._load()

    def check_weights(self) -> None:
        """Have the engine read what it was loaded with but on-chip tables, and compare it with the bundle's.

        That is weights, parameters, the sigmoid's table and, of an engine with users, what it knows of them.

        Raises
        ------
        InputError
            If the engine was compiled without `Tuning(weight_check=True)`.
        DeviceError
            If some have changed since they were loaded: names the parts. `reload` repairs them.
        """
        self._expect_open()
        with device_errors():
            checks = engine_checks(self.bundle)
            expect_unchanged(checks, self.backend.ask, self.registers, name="the engine")

    def allocate(self, items: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32] | None]:
        """Input buffers for `items` items, to be filled and given to `infer`: sparse, dense (None without dense)."""
        shape = self.bundle.shape
        dense = np.zeros((items, shape.dense), np.float32) if shape.dense else None
        return np.zeros((items, shape.lookups), np.int64), dense

    def infer(
        self,
        sparse: npt.NDArray[np.int64],
        dense: npt.NDArray[np.float32] | None = None,
        *,
        raw: bool = False,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.float32] | npt.NDArray[np.int64]:
        """Scores of a batch of items.

        Parameters
        ----------
        sparse : ids, int64 (items, lookups)
        dense : float32 (items, D), None for a model without dense features
        raw : integer logits (int64) instead of scores (float32)

        Raises
        ------
        InputError
            If an argument has a wrong type, shape or value; nothing is sent then.
        DeviceError
            If the device is closed or stops answering.
        """
        batch = self.run(sparse, dense, progress=progress)
        return batch.logits if raw else batch.scores

    def run(
        self,
        sparse: npt.NDArray[np.int64],
        dense: npt.NDArray[np.float32] | None = None,
        *,
        mode: Mode = "saturated",
        progress: Progress | None = None,
    ) -> Batch:
        """As `infer`, with everything that came back.

        Parameters
        ----------
        mode : "saturated": items as fast as they are taken; "idle": each when the one before is out; or the engine
            cycles in which they arrive, ascending: latency then counts from there
        """
        self._expect_open()
        bundle = self.bundle
        if bundle.config.user is not None:
            raise InputError(f"{bundle.config.name} ranks for users: ask it queries, as md.query does")
        sparse, dense = check_batch(bundle.shape, sparse, dense)
        packets = bundle.packets(sparse, dense)
        results = self.send(packets, mode=mode, progress=progress)
        self.batch = self._finish(results, mode)
        return self.batch

    def send(
        self,
        packets: npt.NDArray[np.uint32],
        *,
        mode: Mode = "saturated",
        beats: npt.ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> Results:
        """Start a run, send packets as they are and collect what comes back."""
        self._expect_open()
        with device_errors():
            self.registers["items"] = len(packets)
            self.registers["control"] = 1
            self._started = self.backend.counters().engine_cycles
            return self.backend.run(packets, mode=mode, beats=beats, progress=progress)

    def _finish(self, results: Results, mode: Mode) -> Batch:
        bundle, ps = self.bundle, 1e6 / self.bundle.config.engine_mhz
        if bundle.config.sigmoid:
            scores = (results.score / np.float32(65536)).astype(np.float32)
        else:
            scores = np.ldexp(results.logit.astype(np.float64), -bundle.model.logit_fraction).astype(np.float32)
        scores[results.status != Status.OK] = np.nan
        begun = results.accepted_ps.astype(np.float64)
        finished = results.finished_ps.astype(np.float64)
        latency = finished - begun
        if not isinstance(mode, str):
            latency = finished - (np.asarray(mode, np.float64) + self._started) * ps
        edge = len(finished) // 8
        steady = np.diff(finished[edge : len(finished) - edge])
        return Batch(
            scores=scores,
            logits=results.logit.astype(np.int64),
            status=results.status,
            latency=latency / ps,
            lookup_ns=(results.vector_ps.astype(np.float64) - begun) / 1000,
            finished_us=finished / 1e6,
            cycles=results.engine_cycles,
            cycles_per_item=float(steady.mean() / ps) if len(steady) else float(results.engine_cycles),
            seconds=results.seconds,
        )

    @property
    def status(self) -> list[Status]:
        """Per item of the last batch."""
        return [] if self.batch is None else [Status(flags) for flags in self.batch.status.tolist()]

    def counters(self) -> dict[str, int]:
        """The gateware's counters of the last run, by name, and its latency, in engine cycles (p50, p99)."""
        self._expect_open()
        plain = {register.name.lower() for register in Register}
        names = [name for name in self.registers if name not in plain]
        values = {
            name: self.registers[name] if name.startswith("channel_") else self.registers.wide(name) for name in names
        }
        if self.batch is not None and not np.isnan(self.batch.latency).any():
            p50, p99 = np.percentile(self.batch.latency, [50, 99])
            values |= {"latency_p50": round(p50), "latency_p99": round(p99)}
        return values

    def set_stalls(self, probability: float, *, seed: int) -> None:
        """Make every stream wait at random; scores stay the same."""
        self._expect_open()
        self.simulator.set_stalls(Stalls.everywhere(probability, seed=seed))

    def set_faults(self, faults: dict[int, Fault]) -> None:
        """Make memory channels, by source number, misbehave."""
        self._expect_open()
        self.simulator.set_faults(faults)

    def _expect_open(self) -> None:
        if self.backend.closed:
            raise DeviceError("the device is closed; open the bundle again")
