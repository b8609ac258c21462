"""An engine on a card of Vitis, through XRT: buffers, data movers, registers."""

import time
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.boards import Board
from microduet.errors import DeviceError, InputError
from microduet.vitis.connectivity import ENGINE, banks, bytes_of, movers
from microduet.vitis.pyxrt import find_ip, find_pyxrt, load_binary, open_card
from microduet_hw.axi import PAGE_BYTES
from microduet_hw.bases import base_map
from microduet_hw.config import AXI_BYTES, EngineConfig
from microduet_hw.export import module_name
from microduet_hw.registers import register_map
from microduet_hw.result import BEAT
from microduet_sim.batch import Counters, Mode, Results, Words, checked_words
from microduet_sim.tables import TableImage, channel_beats

BUFFER_BYTES = 16 << 20
"""Of each mover's buffer: more items are sent in several steps."""

BEAT_BYTES = 64
"""Of what is sent; a result has `RESULT_BYTES`."""

RESULT_BYTES = BEAT.size // 8


class Mover:
    """A data mover's kernel and its buffer.

    Parameters
    ----------
    pyxrt, device, identity : of the card
    name : of the kernel, and of its only instance
    memory : number of its buffer's argument
    """

    def __init__(self, pyxrt: typing.Any, device: typing.Any, identity: typing.Any, *, name: str, memory: int) -> None:
        self._pyxrt, self._memory, self.name = pyxrt, memory, name
        self._kernel = pyxrt.kernel(device, identity, f"{name}:{{{name}}}")
        flags = pyxrt.bo.flags.normal
        self.buffer = pyxrt.bo(device, BUFFER_BYTES, flags, self._kernel.group_id(memory))
        direction = pyxrt.xclBOSyncDirection
        self._to_card, self._from_card = direction.XCL_BO_SYNC_BO_TO_DEVICE, direction.XCL_BO_SYNC_BO_FROM_DEVICE

    def fill(self, contents: npt.NDArray[np.generic]) -> None:
        """Write contents to the buffer's begin, on the card too."""
        self.buffer.write(np.ascontiguousarray(contents), 0)
        self.buffer.sync(self._to_card, contents.nbytes, 0)

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        """The buffer's first bytes, from the card."""
        self.buffer.sync(self._from_card, size, 0)
        return np.asarray(self.buffer.read(size, 0)).view(np.uint8)

    def start(self, **scalars: int) -> typing.Any:
        """A run of so many beats; streams are arguments that nobody sets."""
        run = self._pyxrt.run(self._kernel)
        run.set_arg(self._memory, self.buffer)
        for number, value in enumerate(scalars.values(), start=2):
            run.set_arg(number, value)
        run.start()
        return run


class XrtBackend:
    """The backend of a card: what `microduet.backend.Backend` says.

    Parameters
    ----------
    config : of the engine in the binary
    tables : contents of each feature's table, in the order of `config.features`
    xclbin : the card's binary, linked with the kernel's ``connectivity.cfg``
    board : that the binary is for
    card : its number among those that XRT finds
    timeout : seconds in which the card must take, or give back, what a buffer holds

    Raises
    ------
    DeviceError
        If pyxrt or the card is missing, or XRT does not take the binary.
    InputError
        If there is no such binary, or the engine ranks for users.
    PlacementError
        If the configuration's plan does not fit the board.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        tables: Sequence[TableImage],
        xclbin: Path,
        board: Board,
        card: int = 0,
        timeout: float = 10.0,
    ) -> None:
        self._config, self._tables, self._timeout = config, tuple(tables), round(timeout * 1000)
        self._closed, chosen = True, banks(config, board)
        pyxrt = self._pyxrt = find_pyxrt()
        make_ip, self._device = find_ip(pyxrt), open_card(pyxrt, card)
        identity, memories = load_binary(pyxrt, self._device, xclbin)
        try:
            self._ip = make_ip(self._device, identity, f"{module_name(config)}:{{{ENGINE}}}")
            self._movers = {
                stream: Mover(pyxrt, self._device, identity, name=name, memory=1 if stream.startswith("m_") else 0)
                for stream, name in movers(config).items()
            }
            self._buffers = self._allocate(chosen, memories)
        except RuntimeError as error:
            raise DeviceError(f"{xclbin} does not hold the engine {module_name(config)}: {error}") from error
        self._closed = False

    def _allocate(self, chosen: Mapping[int, str], memories: Mapping[str, int]) -> dict[int, typing.Any]:
        """A buffer per memory channel of the engine, in the memory that the linker was told."""
        missing = sorted(set(chosen.values()) - set(memories))
        if missing:
            raise DeviceError(
                f"the binary does not use {', '.join(missing)}: link it with the kernel's connectivity.cfg"
            )
        flags = self._pyxrt.bo.flags.normal
        return {
            source: self._pyxrt.bo(self._device, _whole_pages(bytes_of(self._config, source)), flags, memories[bank])
            for source, bank in chosen.items()
        }

    @property
    def closed(self) -> bool:
        """Whether the card was given back."""
        return self._closed

    def close(self) -> None:
        """Give back buffers and kernels; closing twice is allowed."""
        if not self._closed:
            self._closed = True
            self._buffers, self._movers, self._ip, self._device = {}, {}, None, None

    def read(self, register: int) -> int:
        """A control register by its byte address."""
        return int(self._open().read_register(register))

    def write(self, register: int, value: int) -> None:
        """Write a control register by its byte address."""
        self._open().write_register(register, value)

    def load(self, beats: Words) -> None:
        """Write tables to their channels, the channels' bases, then send load beats, uint32 (n, 16)."""
        self._open()
        for channel, (source, buffer) in enumerate(self._buffers.items()):
            self._fill_channel(channel, buffer)
            base = int(buffer.address())
            if base % PAGE_BYTES:
                raise DeviceError(f"buffer of source {source} begins at {base:#x}, not at a page of {PAGE_BYTES} bytes")
            register = base_map(self._config)[f"channel_{source:02}_base"]
            self.write(register, base & 0xFFFF_FFFF)
            self.write(register + 4, base >> 32)
        self._send_loads(beats, "the load")

    def ask(self, beats: Words) -> None:
        """Send check beats, uint32 (n, 16)."""
        self._open()
        self._send_loads(beats, "the check")

    def _send_loads(self, beats: Words, what: str) -> None:
        words, step = checked_words(beats, "beats"), BUFFER_BYTES // BEAT_BYTES
        for first in range(0, len(words), step):
            self._finish([self._send("s_axis_load", words[first : first + step])], what)

    def _fill_channel(self, channel: int, buffer: typing.Any) -> None:
        direction, size = self._pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, int(buffer.size())
        for first in range(0, size, BUFFER_BYTES):
            addresses = np.arange(first, min(first + BUFFER_BYTES, size), AXI_BYTES)
            contents = channel_beats(self._config, self._tables, channel=channel, addresses=addresses)
            buffer.write(contents, first)
        buffer.sync(direction, size, 0)

    def run(
        self,
        packets: Words,
        *,
        mode: Mode | npt.ArrayLike = "saturated",
        beats: npt.ArrayLike | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Results:
        """Send item packets and take their results; a card keeps no times of single items, so they are 0.

        Raises
        ------
        InputError
            If items should arrive at given cycles, or packets are not whole: only a simulator does that.
        DeviceError
            If the card does not answer in time; it is then closed.
        """
        self._open()
        if not isinstance(mode, str):
            raise InputError("mode must be 'saturated' or 'idle' on a card: it cannot hold items back to given cycles")
        if beats is not None:
            raise InputError("beats must not be given on a card: its data mover sends whole packets")
        words, begun = checked_words(packets, "packets"), time.perf_counter()
        step = 1 if mode == "idle" else max(1, min(BUFFER_BYTES // (4 * words.shape[1]), BUFFER_BYTES // RESULT_BYTES))
        taken = [np.empty((0, RESULT_BYTES), np.uint8)]
        for first in range(0, len(words), step):
            taken.append(self._exchange(words[first : first + step], f"items {first} to {len(words) - 1}"))
            if progress is not None:
                progress(min(first + step, len(words)), self._cycles())
        return self._results(np.concatenate(taken), time.perf_counter() - begun)

    def _exchange(self, packets: Words, what: str) -> npt.NDArray[np.uint8]:
        receiver = self._movers["m_axis_results"]
        runs = [receiver.start(count=len(packets)), self._send("s_axis_items", packets)]
        self._finish(runs, what)
        return receiver.take(len(packets) * RESULT_BYTES).reshape(-1, RESULT_BYTES)

    def _send(self, stream: str, packets: Words) -> typing.Any:
        mover, per_packet = self._movers[stream], 4 * packets.shape[1] // BEAT_BYTES
        mover.fill(packets)
        return mover.start(count=len(packets) * per_packet, packet=per_packet)

    def _finish(self, runs: Sequence[typing.Any], what: str) -> None:
        done = self._pyxrt.ert_cmd_state.ERT_CMD_STATE_COMPLETED
        for run in runs[::-1]:
            state = run.wait(self._timeout)
            if state != done:
                self.close()
                raise DeviceError(f"the card did not finish {what} in {self._timeout / 1000:g} s: {state}")

    def _results(self, beats: npt.NDArray[np.uint8], seconds: float) -> Results:
        def field(name: str, kind: type[np.generic]) -> npt.NDArray[typing.Any]:
            first = BEAT[name].offset // 8
            return np.ascontiguousarray(beats[:, first : first + np.dtype(kind).itemsize]).view(kind)[:, 0]

        nothing = np.zeros(len(beats), np.uint64)
        return Results(
            tag=field("tag", np.uint32),
            logit=field("logit", np.int32),
            score=field("score", np.uint16),
            status=field("status", np.uint8),
            accepted_ps=nothing,
            vector_ps=nothing,
            finished_ps=nothing,
            engine_cycles=self._cycles(),
            seconds=seconds,
        )

    def counters(self) -> Counters:
        """Engine cycles of the last run, and reads by source number."""
        registers = register_map(self._config)
        reads = {source: self.read(registers[f"channel_{source:02}_reads"]) for source in self._config.channels}
        return Counters(engine_cycles=self._cycles(), memory_cycles=0, reads=reads)

    def _cycles(self) -> int:
        register = register_map(self._config)["cycles"]
        return self.read(register) | self.read(register + 4) << 32

    def _open(self) -> typing.Any:
        if self._closed:
            raise DeviceError("the device is closed; open the bundle again")
        return self._ip


def _whole_pages(size: int) -> int:
    return -(-size // PAGE_BYTES) * PAGE_BYTES
