"""Small configurations of the memory side, their tables, and what lies at which address."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microduet_hw.config import AXI_BYTES, Array, EngineConfig, Feature, Layer, Part, Precision, Source, SourceKind
from microduet_hw.lookup.geometry import source_plan

HBM, ONCHIP = SourceKind.HBM, SourceKind.ONCHIP


@dataclass(frozen=True, kw_only=True)
class Table:
    """One feature. `places`: (source, first row, rows, first column, columns); none means all of it in source 0."""

    rows: int = 20
    dim: int = 4
    lookups: int = 1
    places: tuple[tuple[int, int, int, int, int], ...] = ()


def lookup_config(
    tables: list[Table],
    kinds: list[SourceKind],
    *,
    precision: Precision = Precision.FIXED16,
    dense: int = 0,
    lanes: int = 6,
    outstanding: int = 4,
    watchdog: int = 200,
    slots: int = 3,
    padding: int = 5,
) -> EngineConfig:
    """An engine with these tables; its arithmetic is one array of two PEs with `lanes` lanes.

    Parameters
    ----------
    padding : base addresses skip this many rows before each part
    """
    used = [0] * len(kinds)
    parts: list[list[Part]] = [[] for _ in kinds]
    for number, table in enumerate(tables):
        for source, row_first, rows, column_first, columns in table.places or ((0, 0, table.rows, 0, table.dim),):
            stride = max(5, (columns * precision.width // 8 - 1).bit_length())
            base = (-(-used[source] >> stride) + padding) << stride
            used[source] = base + (rows << stride)
            place = {"row_first": row_first, "rows": rows, "column_first": column_first, "columns": columns}
            parts[source].append(Part(feature=number, base=base, stride_log2=stride, **place))
    positions = np.cumsum([0, *(table.dim for table in tables)]).tolist()
    elements = positions[-1] + dense
    return EngineConfig(
        name="lookups",
        precision=precision,
        features=tuple(
            Feature(rows=t.rows, dim=t.dim, lookups=t.lookups, position=p)
            for t, p in zip(tables, positions, strict=False)
        ),
        dense=dense,
        dense_position=positions[-1],
        # The order in which parts are listed does not matter.
        sources=tuple(Source(kind=kind, parts=tuple(reversed(p))) for kind, p in zip(kinds, parts, strict=True)),
        hidden=(Layer(inputs=elements, outputs=2),),
        output=Layer(inputs=2, outputs=1),
        arrays=(Array(pes=2, lanes=lanes, drain=2, layers=(0,)),),
        outstanding=outstanding,
        watchdog=watchdog,
        vector_slots=slots,
    )


def random_tables(config: EngineConfig, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Tables of random values of the precision's range, with plenty of extremes, so that sums saturate."""
    width = config.precision.width
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if config.precision.signed else (0, (1 << width) - 1)
    tables: list[npt.NDArray[np.int64]] = []
    for feature in config.features:
        table = rng.integers(low, high, (feature.rows, feature.dim), endpoint=True)
        extreme = rng.random(table.shape) < 0.3
        tables.append(np.where(extreme, rng.choice([low, high], table.shape), table))
    return tables


def memory_image(config: EngineConfig, source: int, tables: list[npt.NDArray[np.int64]]) -> dict[int, int]:
    """Beats of a source by byte address; what lies behind a row's last element is all ones."""
    width = config.precision.width
    image: dict[int, int] = {}
    for plan in source_plan(config, source).parts:
        part = plan.part
        for row in range(part.row_first, plan.row_end):
            values = tables[part.feature][row, part.column_first : part.column_first + part.columns]
            for beat in range(plan.beats):
                elements = values[beat * plan.elements : (beat + 1) * plan.elements].tolist()
                bits = (1 << 8 * AXI_BYTES) - (1 << width * len(elements))
                bits |= sum((value & ((1 << width) - 1)) << width * k for k, value in enumerate(elements))
                image[plan.address(row) + beat * AXI_BYTES] = bits
    return image


def reader_of(image: dict[int, int]) -> Callable[[int], int]:
    """A memory's contents as a function: an address where no row lies is a fault of whoever reads it."""
    return image.__getitem__
