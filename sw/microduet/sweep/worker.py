"""What a worker process does. Whatever is heavy is imported by the first point, in the worker only."""

import os

from microduet.sweep.point import Outcome, Point

THREADS: dict[str, str] = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Each point has a core: the libraries' own threads would only get in each other's way."""


def prepare() -> None:
    """Keep this process to one thread; before numpy and torch are imported."""
    os.environ.update(THREADS)


def evaluate(point: Point) -> Outcome:
    """The outcome of `point`; a failure of any kind is one, so that the others go on."""
    from microduet.sweep.figures import measured

    try:
        return Outcome(figures=measured(point))
    except Exception as error:  # a sweep records whatever went wrong with a point
        return Outcome(cause=" ".join(f"{type(error).__name__}: {error}".split()))
