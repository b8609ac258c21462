"""The figures of a plan: what `microduet plan` prints, and tests compare."""

import dataclasses

from microduet.placement import Plan
from microduet.planner.model import load
from microduet.planner.physical import overhead_percent, physical_shape
from microduet.shape import ModelShape
from microduet_hw.config import SourceKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts and times of one plan.

    Members
    -------
    physical_tables : parts: tables, products, pieces and copies, each where it lies
    rounds : the most rows that one item reads of one memory channel
    overhead_percent : elements of products and copies per element of the model, factors not taken off
    slowest_channel_ns : under the channel model, on-chip banks included
    stored_bytes : of all parts, at their strides
    """

    physical_tables: int
    dram_tables: int
    onchip_tables: int
    rounds: int
    overhead_percent: float
    slowest_channel_ns: float
    stored_bytes: int


def figures(plan: Plan, shape: ModelShape) -> Figures:
    """Of a plan of `shape` that was checked."""
    tables = physical_shape(shape, plan.products).features
    onchip = sum(len(p.source.parts) for p in plan.planned if p.source.kind is SourceKind.ONCHIP)
    every = sum(len(planned.source.parts) for planned in plan.planned)
    loads = [(planned.source.kind, load(planned.source, tables, plan.precision)) for planned in plan.planned]
    elements = [0] * len(tables)
    for planned in plan.planned:
        for part in planned.source.parts:
            elements[part.feature] += part.rows * part.columns
    copies = [held / (table.rows * table.dim) for held, table in zip(elements, tables, strict=True)]
    return Figures(
        physical_tables=every,
        dram_tables=every - onchip,
        onchip_tables=onchip,
        rounds=max([load.reads for kind, load in loads if kind is not SourceKind.ONCHIP], default=0),
        overhead_percent=overhead_percent(shape, plan.products, copies),
        slowest_channel_ns=max(load.ps(kind) for kind, load in loads) / 1000,
        stored_bytes=sum(part.rows << part.stride_log2 for p in plan.planned for part in p.source.parts),
    )
