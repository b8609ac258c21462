"""Finds the fastest way to run a system on this processor: every variant is tried and printed."""

import dataclasses
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

COMPILED = "TORCHINDUCTOR_CACHE_DIR"
"""Where torch.compile keeps what it made; by itself it takes a folder of /tmp, which does not survive a restart."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def tune(
    make: Make,
    inputs: Inputs,
    *,
    kinds: tuple[TableKind, ...] = TABLE_KINDS,
    compiles: tuple[bool, ...] = (False, True),
    finish: Callable[[torch.Tensor], object] | None = None,
    progress: Steps,
    quick_s: float | None = None,
    thorough_s: float | None = None,
) -> Tuned:
    """Try all variants of the system that `make` builds with one kind of tables, and time the best one thoroughly.

    First every kind of tables, layers and compilation with all cores and whole queries, then threads and batches of the
    best. What was compiled before is forgotten: PyTorch compiles a function eight times, then runs it eagerly.

    Parameters
    ----------
    finish : called with the outputs of all rows, as a part of the system

    Raises
    ------
    MicroduetError
        If a variant's outputs are not those of float32, or none runs.
    """
    os.environ.setdefault(COMPILED, str(cache_folder() / "torch"))
    quick_s, thorough_s = QUICK_S if quick_s is None else quick_s, THOROUGH_S if thorough_s is None else thorough_s
    n, grid, best = len(inputs[0]), list[Tried](), None
    reference: torch.Tensor | None = None
    for kind in kinds:
        torch.compiler.reset()
        model = make(kind).eval()
        for variant in _first(kind, n, compiles):
            progress(f"{variant}", len(grid), len(kinds) * len(LAYER_KINDS) * len(compiles))
            tried, found = _try(model, variant, inputs, quick_s, finish)
            grid.append(tried)
            if found is not None:
                reference = found if reference is None else reference
                _compare(variant, found, reference)
        fastest = _fastest(grid)
        if fastest is not None and fastest.variant.tables == kind:
            best = model
        del model
    fastest = _fastest(grid)
    if fastest is None or best is None:
        raise MicroduetError(f"no variant runs on this processor: {grid[0].failed}")
    for variant in _second(fastest.variant, n):
        tried, found = _try(best, variant, inputs, quick_s, finish)
        grid.append(tried)
    fastest = typing.cast(Tried, _fastest(grid))
    run = _runner(best, fastest.variant, inputs, finish)
    return Tuned(
        run=run,
        single=_runner(best, fastest.variant.replace(threads=1), inputs, finish),
        variant=fastest.variant,
        times=timed(run, seconds=thorough_s),
        grid=tuple(grid),
    )


def _first(kind: TableKind, n: int, compiles: tuple[bool, ...]) -> Iterator[Variant]:
    for layers in LAYER_KINDS:
        for compiled in compiles:
            yield Variant(tables=kind, layers=layers, compiled=compiled, threads=cores(), batch=n)


def _second(best: Variant, n: int) -> Iterator[Variant]:
    """Threads and batches of the best; what is compiled is compiled for one size of batch."""
    sizes = sorted({max(1, round(n * share)) for share in (BATCHES[:1] if best.compiled else BATCHES)})
    for threads in sorted({1, cores()}):
        for batch in sizes:
            variant = best.replace(threads=threads, batch=batch)
            if variant != best:
                yield variant


def _try(
    model: torch.nn.Module,
    variant: Variant,
    inputs: Inputs,
    seconds: float,
    finish: Callable[[torch.Tensor], object] | None,
) -> tuple[Tried, torch.Tensor | None]:
    try:
        run = _runner(model, variant, inputs, finish)
        found = run()
        return Tried(variant=variant, times=timed(run, seconds=seconds)), found
    except (RuntimeError, NotImplementedError) as error:  # a kernel that this build of PyTorch lacks
        return Tried(variant=variant, times=None, failed=str(error).splitlines()[0]), None


def _runner(
    model: torch.nn.Module, variant: Variant, inputs: Inputs, finish: Callable[[torch.Tensor], object] | None
) -> Callable[[], torch.Tensor]:
    whole = torch.compile(model, dynamic=False) if variant.compiled else model
    call = in_batches(typing.cast(Callable[..., torch.Tensor], whole), variant.batch, layers=variant.layers)

    def run() -> torch.Tensor:
        torch.set_num_threads(variant.threads)
        outputs = call(inputs)
        if finish is not None:
            finish(outputs)
        return outputs

    return run


def _fastest(grid: list[Tried]) -> Tried | None:
    return min(
        (one for one in grid if one.times), key=lambda one: typing.cast(Times, one.times).median_ms, default=None
    )


def _compare(variant: Variant, found: torch.Tensor, reference: torch.Tensor) -> None:
    spread = float(reference.std(correction=0)) or 1.0
    worst = float((found - reference).abs().max()) / spread
    mean = float((found - reference).abs().mean()) / spread
    if mean > TOLERANCE:
        raise MicroduetError(
            f"{variant}: outputs differ from float32's by {mean:.3f} of their spread ({worst:.3f} at most)"
        )
