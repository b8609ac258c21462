"""Workers of a Ray cluster: an optional extra."""

import typing

from microduet import ray_cluster
from microduet.sweep.point import Outcome, Point
from microduet.sweep.pools import Evaluate
from microduet.sweep.worker import evaluate


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
        missing = "engine ray needs Ray: pip install 'microduet[ray]', or --engine local"
        self._ray = ray = ray_cluster.connect(address, missing=missing, processors=workers)
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
