"""One card in a process of its own: its lookups and its engine, simulated, and orders from the host."""

import dataclasses
import multiprocessing
import traceback
import typing
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet.bundle import Bundle
from microduet.device import Device
from microduet.errors import DeviceError, MicroduetError
from microduet.gateware import verilog
from microduet.images import table_images
from microduet.loading import send_checked
from microduet.register_access import Registers
from microduet_hw.image import onchip_beats
from microduet_hw.shard import ShardConfig
from microduet_sim.batch import Results, Stalls
from microduet_sim.build import build
from microduet_sim.dram import Memory
from microduet_sim.errors import SimulatorError
from microduet_sim.shard import ShardSimulator, Shares

ENDING_S = 5.0
"""That a process has to end by itself."""

Mode = typing.Literal["saturated", "idle"] | npt.NDArray[np.int64]


class Card:
    """One card, open: its tables behind their lookups, and its engine.

    Parameters
    ----------
    part, engine : folders of the bundles of the card's tables and of the engine
    memory : model behind the memory channels
    """

    def __init__(self, part: Path, engine: Path, *, memory: Memory) -> None:
        tables = Bundle.read(part)
        config = ShardConfig.of(tables.config)
        self._engine = Device(engine, memory=memory)
        self._lookups = ShardSimulator(
            config, build(config, verilog(config)), tables=table_images(tables), memory=memory
        )
        self._registers = Registers(config, self._lookups)
        send_checked(self._lookups.load, self._registers, onchip_beats(config, tables.rows), name="a card")

    def look_up(self, packets: npt.NDArray[np.uint32], mode: Mode) -> Shares:
        """Shares of items that set out in the engine cycles `mode`; times in ps from the start of the batch."""
        self._registers["items"] = len(packets)
        self._registers["control"] = 1
        before = self._lookups.counters().engine_cycles
        shares = self._lookups.look_up(packets, mode=mode)
        start = _picoseconds(before, self._engine.bundle.config.engine_mhz)
        return dataclasses.replace(
            shares, accepted_ps=shares.accepted_ps - start, finished_ps=shares.finished_ps - start
        )

    def compute(self, packets: npt.NDArray[np.uint32], arrivals: npt.NDArray[np.int64]) -> Results:
        """Results of items whose vectors are there in the engine cycles `arrivals`; times as `look_up`."""
        results = self._engine.send(packets, mode=arrivals)
        before = self._engine.simulator.counters().engine_cycles - results.engine_cycles
        start = _picoseconds(before, self._engine.bundle.config.engine_mhz)
        return dataclasses.replace(
            results, accepted_ps=results.accepted_ps - start, finished_ps=results.finished_ps - start
        )

    def set_stalls(self, probability: float, seed: int) -> None:
        """Make every stream wait at random."""
        self._engine.set_stalls(probability, seed=seed)
        self._lookups.set_stalls(Stalls.everywhere(probability, seed=seed))


def _picoseconds(cycles: int, mhz: int) -> np.uint64:
    return np.uint64(cycles * 10**6 // mhz)


def serve(orders: Connection, part: Path, engine: Path, memory: Memory) -> None:
    """Open a card and do what the host asks for until it asks for nothing more."""
    try:
        card = Card(part, engine, memory=memory)
        orders.send(("done", None))
        while (order := orders.recv()) is not None:
            name, arguments = order
            orders.send(("done", getattr(card, name)(*arguments)))
    except (EOFError, KeyboardInterrupt):  # the host has gone, or ends us all
        return
    except (MicroduetError, SimulatorError) as error:
        orders.send(("failed", str(error)))
    except Exception:
        orders.send(("failed", traceback.format_exc().strip().splitlines()[-1]))


class CardProcess:
    """A card in a process of this machine: a `Handle`."""

    def __init__(self, number: int, part: Path, engine: Path, *, memory: Memory) -> None:
        context = multiprocessing.get_context("spawn")
        self.number = number
        self._connection, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, part, engine, memory), name=f"card-{number}", daemon=True
        )
        self.process.start()
        theirs.close()  # so that its end is seen here when the process dies

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self.process.pid

    def order(self, name: str, *arguments: object) -> None:
        """Ask for one of `Card`'s methods."""
        try:
            self._connection.send((name, arguments))
        except OSError as error:
            raise self._died() from error

    def answer(self) -> typing.Any:
        """What the order before came to; raises DeviceError, naming the card, if it failed or the process died."""
        try:
            outcome, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if outcome == "failed":
            raise DeviceError(f"card {self.number}: {value}")
        return value

    def _died(self) -> DeviceError:
        self.process.join(ENDING_S)
        return DeviceError(f"card {self.number}: its process has died (exit code {self.process.exitcode})")

    def close(self) -> None:
        """End the process, if it has not ended, and wait for it."""
        self._connection.close()
        self.process.join(0.1)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(ENDING_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
