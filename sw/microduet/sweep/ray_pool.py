"""Workers of a Ray cluster: an optional extra."""

import os
import socket
import typing

from microduet.errors import InputError
from microduet.sweep.point import Outcome, Point
from microduet.sweep.pools import Evaluate
from microduet.sweep.worker import evaluate

SECONDS = 5.0
"""That a cluster has to take a connection."""


class RayPool:
    """A `Pool` of the workers of a Ray cluster. Ray itself keeps each to one thread.

    Parameters
    ----------
    workers : points at once; None for as many as the cluster has processors
    address : ``host:port`` of a running cluster that this machine belongs to and on whose machines microduet is
        installed; None for one of this machine that ends with the pool

    Raises
    ------
    InputError
        If Ray is not installed, or the cluster is out of reach.
    """

    workers: int

    def __init__(self, *, workers: int | None, address: str | None, evaluate: Evaluate = evaluate) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError as error:
            raise InputError("engine ray needs Ray: pip install 'microduet[ray]', or --engine local") from error
        options: dict[str, typing.Any] = {"log_to_driver": False, "logging_level": "error"}
        if address is None:
            options |= {"num_cpus": workers or os.cpu_count() or 1, "include_dashboard": False}
        else:
            _reach(address)
            options["address"] = address
        try:
            ray.init(**options)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"Ray at {address or 'this machine'}: {error}") from error
        self._ray: typing.Any = ray
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._task: typing.Any = ray.remote(num_cpus=1, max_retries=0)(evaluate)
        self._running: dict[typing.Any, Point] = {}

    def submit(self, point: Point) -> None:
        self._running[self._task.remote(point)] = point

    def next(self) -> tuple[Point, Outcome]:
        (done,), _ = self._ray.wait(list(self._running), num_returns=1)
        point = self._running.pop(done)
        try:
            return point, self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            reason = (str(error).splitlines() or ["no message"])[0]
            return point, Outcome(cause=f"the worker died: {type(error).__name__}: {reason}")

    def close(self) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._ray.shutdown()


def _reach(address: str) -> None:
    """Raise InputError unless something listens at `address`: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"address must be HOST:PORT, not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS).close()
    except OSError as error:
        raise InputError(f"Ray cluster {address} is out of reach: {error.strerror or error}") from error
