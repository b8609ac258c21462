"""Where cards run: in processes of this machine, or on the machines of a Ray cluster."""

import typing
from collections.abc import Callable
from pathlib import Path

from microduet import ray_cluster
from microduet.cards.worker import Card, CardProcess
from microduet.errors import DeviceError, MicroduetError
from microduet_sim.dram import Memory
from microduet_sim.errors import SimulatorError


class Handle(typing.Protocol):
    """A card as the host sees it: orders are given to all cards, then their answers are waited for.

    The first answer, to no order, is that the card is open.
    """

    @property
    def pid(self) -> int | None:
        """Of its process, if that is one of this machine."""
        ...

    def order(self, name: str, *arguments: object) -> None:
        """Ask for one of `Card`'s methods."""
        ...

    def answer(self) -> typing.Any:
        """What the order before came to; raises DeviceError, naming the card, if it failed or the process died."""
        ...

    def close(self) -> None:
        """End the card's process."""
        ...


class Executor(typing.Protocol):
    """Opens cards."""

    def card(self, number: int, part: Path, engine: Path, *, memory: Memory) -> Handle:
        """Begin to open card `number` with the bundles of its tables and of its engine."""
        ...

    def close(self) -> None:
        """End what is left when all cards have ended."""
        ...


class LocalExecutor:
    """A process of this machine for each card."""

    def card(self, number: int, part: Path, engine: Path, *, memory: Memory) -> CardProcess:
        return CardProcess(number, part, engine, memory=memory)

    def close(self) -> None:
        return


class RayExecutor:
    """An actor for each card, spread over a Ray cluster: an optional extra. Bundles lie where all machines see them.

    Parameters
    ----------
    address : ``host:port`` of a running cluster that this machine belongs to; None for one of this machine that ends
        with the cards

    Raises
    ------
    InputError
        If Ray is not installed, or the cluster is out of reach.
    """

    def __init__(self, address: str | None = None) -> None:
        missing = "cards on Ray need Ray: pip install 'microduet[ray]', or run them locally"
        self._ray = ray_cluster.connect(address, missing=missing)

    def card(self, number: int, part: Path, engine: Path, *, memory: Memory) -> "RayCard":
        # Without a share of a processor of their own, all cards run however few there are.
        actor = self._ray.remote(num_cpus=0, max_restarts=0, scheduling_strategy="SPREAD")(Card)
        return RayCard(self._ray, number, lambda: actor.remote(part, engine, memory=memory))

    def close(self) -> None:
        self._ray.shutdown()


class RayCard:
    """A card that is an actor of a Ray cluster."""

    pid: int | None = None

    def __init__(self, ray: typing.Any, number: int, start: Callable[[], typing.Any]) -> None:
        self._ray, self._number = ray, number
        self._actor = start()
        self._pending: typing.Any = self._actor.__ray_ready__.remote()

    def order(self, name: str, *arguments: object) -> None:
        self._pending = getattr(self._actor, name).remote(*arguments)

    def answer(self) -> typing.Any:
        try:
            return self._ray.get(self._pending)
        except (MicroduetError, SimulatorError) as error:
            raise DeviceError(f"card {self._number}: {_last_line(error)}") from error
        except self._ray.exceptions.RayError as error:
            raise DeviceError(f"card {self._number}: its process has died ({type(error).__name__})") from error

    def close(self) -> None:
        self._ray.kill(self._actor)


def _last_line(error: Exception) -> str:
    """What an error says; Ray puts the way it took in front."""
    return str(getattr(error, "cause", error)).strip().splitlines()[-1]
