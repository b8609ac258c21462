"""A simulated unit, engine or edge: load it, write its registers and its memory, make it wait and fail."""

import contextlib
import ctypes
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Generic, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from microduet_hw.config import AXI_BYTES, EngineConfig, SourceKind
from microduet_hw.edge.config import EdgeConfig
from microduet_sim.abi import (
    DONE,
    MESSAGE_BYTES,
    STOPPED,
    MdCounters,
    MdFault,
    MdOpen,
    MdPackets,
    MdPart,
    MdRun,
    MdStalls,
    MdTable,
    ProgressFunction,
    address,
    load_library,
)
from microduet_sim.activity import Activity, read_activity
from microduet_sim.batch import NO_PAUSE, Counters, Fault, Pause, Sent, Stalls, Words, checked_words
from microduet_sim.build import Library
from microduet_sim.closing import Closing
from microduet_sim.dram import Memory
from microduet_sim.dram.channels import dram_arguments
from microduet_sim.dram.parameters import COMMANDS, DramParameters
from microduet_sim.errors import SimulatorError
from microduet_sim.tables import TableImage, check_images, part_arguments, table_argument

LATENCY_NS = {SourceKind.HBM: 138.0, SourceKind.DDR: 107.0, SourceKind.LPDDR: 107.0}
"""From the acceptance of an address to the first beat of its row."""

PATIENCE = 200_000
"""Engine cycles without any progress after which a batch is given up."""

Progress = Callable[[int, int], None]
"""``progress(finished, engine_cycles)``, at most ten times a second."""


class SimulationError(SimulatorError):
    """A simulated unit stopped answering, broke a rule of a bus, or is closed. One line."""


Config = TypeVar("Config", EngineConfig, EdgeConfig)


class Card(Closing, Generic[Config]):
    """One simulated unit with its memory: what all units have.

    Parameters
    ----------
    config : of the unit
    library : the simulator, from `build`
    tables : contents of each feature's table, in the order of `config.features`
    memory : what answers the reads: "dram" with the timing of real chips, "simple" after a fixed time per kind of
        channel
    dram : parameters by kind of channel, where they are not the built-in ones of `DRAM_SETS`
    settle : evaluate inputs before every edge; for comparisons

    Raises
    ------
    ValueError
        If tables do not fit the configuration.
    SimulationError
        If the library is of another configuration.
    """

    def __init__(
        self,
        config: Config,
        library: Library | Path,
        *,
        tables: Sequence[TableImage],
        memory: Memory = "dram",
        dram: Mapping[SourceKind, DramParameters] | None = None,
        settle: bool = False,
    ) -> None:
        if memory not in get_args(Memory):
            raise ValueError(f"memory must be 'dram' or 'simple', not {memory!r}")
        check_images(config, tables)
        self._handle: ctypes.c_void_p | None = None
        self._pause = NO_PAUSE
        self._config, self._tables = config, tuple(tables)  # the images, because the runtime refers to their rows
        self._library = load_library(library.path if isinstance(library, Library) else library)
        parts = part_arguments(config)
        latency = [LATENCY_NS[config.sources[source].kind] for source in config.channels]
        channels = dram_arguments(config, dram or {})
        arguments = MdOpen(
            engine_mhz=config.engine_mhz,
            memory_mhz=config.memory_mhz,
            width=config.precision.width,
            channels=len(latency),
            parts=(MdPart * len(parts))(*parts),
            tables=(MdTable * len(tables))(*[table_argument(image) for image in tables]),
            latency_ns=(ctypes.c_double * len(latency))(*latency),
            dram=ctypes.addressof(channels) if memory == "dram" else None,
            part_count=len(parts),
            table_count=len(tables),
            settle=settle,
        )
        handle = ctypes.c_void_p()
        self._check(lambda text: self._library.md_open(ctypes.byref(arguments), ctypes.byref(handle), text))
        self._handle = handle

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def close(self) -> None:
        """End the simulation; closing twice is allowed."""
        if self._handle is not None:
            self._library.md_close(self._handle)
            self._handle = None

    @property
    def closed(self) -> bool:
        """Whether the simulation has ended."""
        return self._handle is None

    def load(self, beats: Words, *, progress: Progress | None = None) -> None:
        """Send load beats, uint32 (n, 16), and wait until the last one is written."""
        handle = self._open()
        beats = checked_words(beats, "beats")
        self._batch(
            lambda report, text: self._library.md_load(handle, address(beats), len(beats), report, text), progress
        )

    def ask(self, beats: Words) -> None:
        """Send check beats, uint32 (n, 16), and wait until the last one is taken."""
        self.load(beats)

    def write(self, register: int, value: int) -> None:
        """Write a control register by its byte address."""
        self._access(register, value, write=True)

    def read(self, register: int) -> int:
        """Read a control register by its byte address."""
        return self._access(register, 0, write=False)

    def write_memory(self, source: int, at: int, contents: npt.NDArray[np.uint8]) -> None:
        """Write bytes into memory channel `source` through its port, past the engine, as a host does.

        Parameters
        ----------
        source : number of a source that is a memory channel
        at : byte address in the channel
        contents : uint8 (n,); `at` and n are multiples of 32, a beat

        Raises
        ------
        ValueError
            If there is no such channel, or `at` or the length is not of whole beats.
        """
        if source not in self._config.channels:
            raise ValueError(f"source must be a memory channel, {list(self._config.channels)}, not {source}")
        if contents.dtype != np.uint8 or contents.ndim != 1:
            raise ValueError(f"contents must be uint8 (n,), not {contents.dtype} {contents.shape}")
        if at % AXI_BYTES or len(contents) % AXI_BYTES or at < 0:
            raise ValueError(f"memory is written in beats of {AXI_BYTES} bytes, not {len(contents)} bytes at {at}")
        handle, channel, words = self._open(), self._config.channels.index(source), np.ascontiguousarray(contents)
        beats = len(words) // AXI_BYTES
        self._check(lambda text: self._library.md_write_memory(handle, channel, at, address(words), beats, text))

    def set_stalls(self, stalls: Stalls) -> None:
        """Make every stream wait at random from now on."""
        arguments = MdStalls(**asdict(stalls))
        self._library.md_set_stalls(self._open(), ctypes.byref(arguments))

    def set_pause(self, pause: Pause) -> None:
        """Make the host stand still in the packets of every batch from now on."""
        self._pause = pause

    def set_faults(self, faults: Mapping[int, Fault], *, seed: int = 0) -> None:
        """Faults by source number from now on; channels that are not named have none."""
        unknown = sorted(set(faults) - set(self._config.channels))
        if unknown:
            raise ValueError(f"faults must be of memory channels, {list(self._config.channels)}, not {unknown}")
        chosen = [faults.get(source, Fault()) for source in self._config.channels]
        arguments = (MdFault * len(chosen))(*[MdFault(**asdict(fault)) for fault in chosen])
        self._library.md_set_faults(self._open(), arguments, seed)

    def wave(self, path: Path, *, first: int, end: int) -> None:
        """Write waves of engine cycles `first` to `end`, counted from now, to `path`; needs a build with waves."""
        self._library.md_open_wave(self._open(), str(path).encode(), first, end)

    def _send(
        self,
        items: Sent,
        *,
        arrays: Mapping[str, npt.NDArray[np.generic]],
        users: Sent | None = None,
        results: int | None = None,
        patience: int,
        progress: Progress | None,
        bare: bool = False,
        **options: int,
    ) -> MdRun:
        """Send packets and fill `arrays` with what comes back, a result per item if `results` does not say more."""
        handle = self._open()
        arguments = MdRun(
            items=items.arguments(self._pause),
            users=MdPackets() if users is None else users.arguments(),
            results=len(items) if results is None else results,
            patience=patience + items.gap + (users.gap if users else 0),
            **options,
            **{name: address(array) for name, array in arrays.items()},
        )
        run = ctypes.byref(arguments)
        if bare:
            self._batch(lambda report, text: self._library.md_run_bare(handle, run, text), None)
        else:
            self._batch(lambda report, text: self._library.md_run(handle, run, report, text), progress)
        return arguments

    @contextlib.contextmanager
    def watching(self) -> Generator[Callable[[], Activity]]:
        """Keep when the unit's parts are busy from now on; call what it gives for what was kept so far."""
        handle, config = self._open(), self._config
        self._library.md_watch(handle, True)
        try:
            yield lambda: read_activity(self._library, self._open(), counters=config.counters, channels=config.channels)
        finally:
            if not self.closed:
                self._library.md_watch(handle, False)

    def counters(self) -> Counters:
        """Cycles and reads so far."""
        reads = np.zeros(len(self._config.channels), np.uint64)
        commands = np.zeros((len(reads), len(COMMANDS)), np.uint64)
        arguments = MdCounters(reads=address(reads), commands=address(commands))
        self._library.md_counters(self._open(), ctypes.byref(arguments))
        return Counters(
            engine_cycles=arguments.engine_cycles,
            memory_cycles=arguments.memory_cycles,
            reads=dict(zip(self._config.channels, map(int, reads), strict=True)),
            commands={
                channel: dict(zip(COMMANDS, counts, strict=True))
                for channel, counts in zip(self._config.channels, commands.tolist(), strict=True)
            },
        )

    def _open(self) -> ctypes.c_void_p:
        if self._handle is None:
            raise SimulationError("the simulator is closed; open another one")
        return self._handle

    def _access(self, register: int, value: int, *, write: bool) -> int:
        handle = self._open()
        word = ctypes.c_uint32(value)
        self._check(lambda text: self._library.md_access(handle, write, register, ctypes.byref(word), text))
        return word.value

    def _batch(self, call: Callable[..., int], progress: Progress | None) -> None:
        """Run a long call that reports; an exception in the report, Ctrl-C among them, ends it."""
        raised: list[BaseException] = []

        def report(finished: int, cycles: int) -> int:
            try:
                if progress is not None:
                    progress(finished, cycles)
            except BaseException as error:  # nothing may pass through the C++ frames
                raised.append(error)
            return len(raised)

        function = ProgressFunction(report)
        try:
            stopped = self._check(lambda text: call(function, text)) == STOPPED
        except SimulationError:
            self.close()  # stopped in the middle: what is in flight belongs to nobody
            raise
        if stopped:
            self.close()
            raise raised[0]

    def _check(self, call: Callable[[ctypes.Array[ctypes.c_char]], int]) -> int:
        text = ctypes.create_string_buffer(MESSAGE_BYTES)
        outcome = call(text)
        if outcome not in (DONE, STOPPED):
            raise SimulationError(text.value.decode())
        return outcome
