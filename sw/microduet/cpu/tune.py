"""Finds the fastest way to run a system on this processor: every variant that is tried is printed."""

import dataclasses
import functools
import os
import typing
from collections.abc import Callable, Iterator

import torch

from microduet.cpu.systems import LAYER_KINDS, Inputs, LayerKind, in_batches
from microduet.cpu.tables import TABLE_KINDS, TableKind
from microduet.cpu.timing import Times, timed
from microduet.errors import MicroduetError
from microduet.progress import Steps
from microduet_hw.config import Frozen
from microduet_sim.cache import cache_folder

QUICK_S, THOROUGH_S = 0.6, 3.0
"""Seconds that a variant is tried for, and the best one."""

COMPILED = 2
"""Of the fastest eager variants, so many are compiled, which takes seconds each. Where all were compiled, the first of
them was the fastest of all, in every batch of MicroRec's small model."""

BATCHES = (1.0, 0.5, 0.25)
"""Of the query's candidates, in one call."""

TOLERANCE = 0.05
"""Mean difference of outputs from plain float32, over their spread: int8 and bfloat16 round."""


class Variant(Frozen, frozen=True, kw_only=True):
    """One way to run a system.

    Members
    -------
    tables : how embeddings are stored
    layers : what layers compute in
    compiled : by torch.compile
    threads : of PyTorch
    batch : candidates per call
    """

    tables: TableKind
    layers: LayerKind
    compiled: bool
    threads: int
    batch: int

    def __str__(self) -> str:
        way = "torch.compile" if self.compiled else "eager"
        return f"{self.tables} tables, {self.layers} layers, {way}, {self.threads} threads, batch {self.batch}"


class Tried(Frozen, frozen=True, kw_only=True):
    """What came of a variant: its times, or why it did not run."""

    variant: Variant
    times: Times | None
    failed: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuned:
    """The best variant of a system, ready to be called, on one thread too, and all that were tried."""

    run: Callable[[], torch.Tensor]
    single: Callable[[], torch.Tensor]
    variant: Variant
    times: Times
    grid: tuple[Tried, ...]


Make = Callable[[TableKind], torch.nn.Module]
Finish = Callable[[torch.Tensor], object]

KEPT_IN = "TORCHINDUCTOR_CACHE_DIR"
"""Where torch.compile keeps what it made; by itself it takes a folder of /tmp, which does not survive a restart."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def tune(
    make: Make,
    inputs: Inputs,
    *,
    kinds: tuple[TableKind, ...] = TABLE_KINDS,
    compiles: bool = True,
    finish: Finish | None = None,
    progress: Steps,
    quick_s: float | None = None,
    thorough_s: float | None = None,
) -> Tuned:
    """Try ways to run the system that `make` builds with one kind of tables, and time the best one thoroughly.

    First every kind of tables and layers with all cores and whole queries, eagerly; then the fastest of these compiled;
    then threads and batches of the best. What was compiled before is forgotten: PyTorch compiles a function eight
    times, then runs it eagerly.

    Parameters
    ----------
    compiles : whether torch.compile is tried too
    finish : called with the outputs of all rows, as a part of the system

    Raises
    ------
    MicroduetError
        If a variant's outputs are not those of float32, or none runs.
    """
    os.environ.setdefault(KEPT_IN, str(cache_folder() / "torch"))
    torch.compiler.reset()
    trial = _Trial(make, inputs, finish, QUICK_S if quick_s is None else quick_s)
    first = [
        Variant(tables=kind, layers=layers, compiled=False, threads=cores(), batch=len(inputs[0]))
        for kind in kinds
        for layers in LAYER_KINDS
    ]
    count = COMPILED if compiles else 0
    for variant in first:
        progress(f"{variant}", len(trial.grid), len(first) + count)
        trial.run(variant)
    if not trial.ranked():
        raise MicroduetError(f"no variant runs on this processor: {trial.grid[0].failed}")
    for variant in trial.ranked()[:count]:
        compiled = variant.replace(compiled=True)
        progress(f"{compiled}", len(trial.grid), len(first) + count)
        trial.run(compiled)
    for variant in _second(trial.ranked()[0], len(inputs[0])):
        trial.run(variant)
    best = trial.ranked()[0]
    run = trial.runner(best)
    return Tuned(
        run=run,
        single=trial.runner(best.replace(threads=1)),
        variant=best,
        times=timed(run, seconds=THOROUGH_S if thorough_s is None else thorough_s),
        grid=tuple(trial.grid),
    )


def _second(best: Variant, n: int) -> Iterator[Variant]:
    """Threads and batches of the best; what is compiled is compiled for one size of batch."""
    sizes = sorted({max(1, round(n * share)) for share in (BATCHES[:1] if best.compiled else BATCHES)})
    for threads in sorted({1, cores()}):
        for batch in sizes:
            variant = best.replace(threads=threads, batch=batch)
            if variant != best:
                yield variant


class _Trial:
    """Runs variants of one system, and holds the outputs of each against those of the first that ran."""

    def __init__(self, make: Make, inputs: Inputs, finish: Finish | None, seconds: float) -> None:
        self._make, self._inputs, self._finish, self._seconds = functools.cache(make), inputs, finish, seconds
        self._reference: torch.Tensor | None = None
        self.grid: list[Tried] = []

    def run(self, variant: Variant) -> None:
        """Time `variant`, or note why it did not run."""
        try:
            run = self.runner(variant)
            found = run()
            self.grid.append(Tried(variant=variant, times=timed(run, seconds=self._seconds)))
        except (RuntimeError, NotImplementedError) as error:  # a kernel that this build of PyTorch lacks
            self.grid.append(Tried(variant=variant, times=None, failed=str(error).splitlines()[0]))
            return
        self._reference = found if self._reference is None else self._reference
        _compare(variant, found, self._reference)

    def ranked(self) -> list[Variant]:
        """The variants that ran, the fastest first."""
        ran = [(one.times.median_ms, one.variant) for one in self.grid if one.times]
        return [variant for _, variant in sorted(ran, key=lambda one: one[0])]

    def runner(self, variant: Variant) -> Callable[[], torch.Tensor]:
        """What runs `variant` once and returns the outputs of all rows."""
        model = self._make(variant.tables).eval()
        whole = torch.compile(model, dynamic=False) if variant.compiled else model
        call = in_batches(typing.cast(Callable[..., torch.Tensor], whole), variant.batch, layers=variant.layers)

        def run() -> torch.Tensor:
            torch.set_num_threads(variant.threads)
            outputs = call(self._inputs)
            if self._finish is not None:
                self._finish(outputs)
            return outputs

        return run


def _compare(variant: Variant, found: torch.Tensor, reference: torch.Tensor) -> None:
    spread = float(reference.std(correction=0)) or 1.0
    worst = float((found - reference).abs().max()) / spread
    mean = float((found - reference).abs().mean()) / spread
    if mean > TOLERANCE:
        raise MicroduetError(
            f"{variant}: outputs differ from float32's by {mean:.3f} of their spread ({worst:.3f} at most)"
        )
