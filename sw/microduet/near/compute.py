"""How long a query's MLPs take on a server: an estimate, or measured on this processor."""

import typing

import torch

from microduet.cpu.timing import timed
from microduet.cpu.tune import cores
from microduet.duet.shape import DlrmShape
from microduet.duet.split import Parts, macs
from microduet.models.layers import mlp
from microduet_hw.config import Frozen

Compute = typing.Literal["estimate", "measured"]
COMPUTES: tuple[Compute, ...] = typing.get_args(Compute)

SECONDS = 1.0
"""For which a measurement is repeated."""


class Processor(Frozen, frozen=True, kw_only=True):
    """A server's processor in numbers.

    Members
    -------
    cores, ghz : as Duet's Table 3 has them
    flops_per_cycle : of a core: two units of 16 float32 products and sums (Skylake-SP, whose caches Table 3 has)
    efficiency : part of the peak that layers reach, whatever their size: an estimate, chosen near what Duet's times of
        whole RM3 and RM4 with TRiM leave for their MLPs
    """

    cores: int = 18
    ghz: float = 3.7
    flops_per_cycle: int = 64
    efficiency: float = 0.2

    @property
    def flops_per_ms(self) -> float:
        """At the peak."""
        return self.cores * self.ghz * self.flops_per_cycle * 1e6


SERVER = Processor()


class ComputeTime(Frozen, frozen=True, kw_only=True):
    """Milliseconds of a query's MLPs at the datacentre.

    Members
    -------
    whole : of the uncut model, bottom and top for every candidate
    item : of the items' part of a split model
    combined : of the layers behind both parts, once the user's part is there
    """

    whole: float
    item: float
    combined: float


def compute_time(shape: DlrmShape, parts: Parts, *, n: int, how: Compute) -> ComputeTime:
    """The three times of `n` candidates of `shape`, cut into `parts`."""
    stacks = {
        "whole": [widths for widths in (shape.bottom, (shape.top_inputs, *shape.top)) if widths],
        "item": [parts.item_top],
        "combined": [parts.combined],
    }
    time = estimate_ms if how == "estimate" else measured_ms
    return ComputeTime(**{name: time(widths, n) for name, widths in stacks.items()})


def estimate_ms(stacks: list[tuple[int, ...]], n: int) -> float:
    """Products and sums over what `SERVER` reaches."""
    return 2 * n * sum(macs(widths) for widths in stacks) / (SERVER.flops_per_ms * SERVER.efficiency)


def implied_efficiency(products: int, ms: float) -> float:
    """Part of `SERVER`'s peak at which so many products and as many sums take `ms`."""
    return 2 * products / (SERVER.flops_per_ms * ms)


def measured_ms(stacks: list[tuple[int, ...]], n: int) -> float:
    """The median in PyTorch on this processor, float32, of one thread or of all cores, whichever is faster."""
    models = [mlp(widths, last_relu=True).eval() for widths in stacks]
    inputs = [torch.rand(n, widths[0]) for widths in stacks]

    def run() -> None:
        with torch.inference_mode():
            for model, rows in zip(models, inputs, strict=True):
                model(rows)

    times: list[float] = []
    for threads in {1, cores()}:
        torch.set_num_threads(threads)
        times.append(timed(run, seconds=SECONDS).median_ms)
    return min(times)
