"""Small configurations of the memory side, their tables, and what lies at which address."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from microduet_hw.config import (
    AXI_BYTES,
    CHECK_BITS,
    Array,
    EngineConfig,
    Feature,
    Layer,
    Part,
    Precision,
    Source,
    SourceKind,
)
from microduet_hw.lookup.geometry import source_plan
from microduet_hw.lookup.row_check import checked_row, word_check

HBM, ONCHIP = SourceKind.HBM, SourceKind.ONCHIP


class Place(NamedTuple):
    """A part of a table: the source it lies in, and the fields of `Part`; `base` None is behind the source's others."""

    source: int
    row_first: int
    rows: int
    column_first: int
    columns: int
    row_step_log2: int = 0
    lookup_first: int = 0
    lookups: int | None = None
    base: int | None = None
    hole_log2: int = 0
    hole_bits: int = 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """One feature. `places`: its parts, as tuples of `Place`'s fields; none means all of it in source 0."""

    rows: int = 20
    dim: int = 4
    lookups: int = 1
    places: tuple[tuple[int, ...], ...] = ()


def interleaved(rows: int, dim: int, sources: Sequence[int]) -> tuple[Place, ...]:
    """A table of `rows` x `dim`, its rows dealt out to as many sources as a power of two, one by one."""
    step = len(sources)
    return tuple(
        Place(source, first, len(range(first, rows, step)), 0, dim, row_step_log2=step.bit_length() - 1)
        for first, source in enumerate(sources)
    )


def replicas(rows: int, dim: int, shares: dict[int, int]) -> tuple[Place, ...]:
    """A table of `rows` x `dim` in each source, for as many of the lookups as `shares` says."""
    firsts = np.cumsum([0, *shares.values()]).tolist()
    return tuple(
        Place(source, 0, rows, 0, dim, lookup_first=first, lookups=share)
        for (source, share), first in zip(shares.items(), firsts, strict=False)
    )


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
    bottom: int = 0,
    row_check: bool = False,
) -> EngineConfig:
    """An engine with these tables; its arithmetic is one array of two PEs with `lanes` lanes.

    Parameters
    ----------
    padding : base addresses skip this many rows before each part
    bottom : layers that read the dense elements before the one that reads the features
    """
    used = [0] * len(kinds)
    parts: list[list[Part]] = [[] for _ in kinds]
    for number, table in enumerate(tables):
        for values in table.places or ((0, 0, table.rows, 0, table.dim),):
            place = Place(*values)
            fields = place._asdict()
            source = fields.pop("source")
            check = CHECK_BITS // 8 if row_check and kinds[source] is not ONCHIP else 0
            stride = max(5, (place.columns * precision.width // 8 + check - 1).bit_length())
            if place.base is None:
                fields["base"] = (-(-used[source] >> stride) + padding) << stride
            part = Part(feature=number, stride_log2=stride, **fields)
            used[source] = max(used[source], part.end)
            parts[source].append(part)
    positions = np.cumsum([0, *(table.dim for table in tables)]).tolist()
    checked = {"check_bits": CHECK_BITS} if row_check else {}
    return EngineConfig(
        name="lookups",
        precision=precision,
        features=tuple(
            Feature(rows=t.rows, dim=t.dim, lookups=t.lookups, position=p)
            for t, p in zip(tables, positions, strict=False)
        ),
        dense=dense,
        dense_position=0 if bottom else positions[-1],
        # The order in which parts are listed does not matter.
        sources=tuple(Source(kind=kind, parts=tuple(reversed(p))) for kind, p in zip(kinds, parts, strict=True)),
        hidden=_layers(positions[-1], dense, bottom),
        output=Layer(inputs=2, outputs=1),
        arrays=(Array(pes=2, lanes=lanes, drain=lanes if bottom else 2, layers=tuple(range(bottom + 1))),),
        bottom=bottom,
        outstanding=outstanding,
        watchdog=watchdog,
        vector_slots=slots,
    ).replace(**checked)


def _layers(features: int, dense: int, bottom: int) -> tuple[Layer, ...]:
    """Layers of two outputs: those of the bottom MLP, and the one that reads the features."""
    if not bottom:
        return (Layer(inputs=features + dense, outputs=2),)
    below = tuple(Layer(inputs=dense if number == 0 else 2, outputs=2) for number in range(bottom))
    return (*below, Layer(inputs=features + 2, outputs=2))


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
    """Beats of a source by byte address; what lies behind a row's last element is all ones, but for its check word."""
    width = config.precision.width
    image: dict[int, int] = {}
    for plan in source_plan(config, source).parts:
        part = plan.part
        for row in part.row_numbers:
            values = tables[part.feature][row, part.column_first : part.column_first + part.columns]
            address, size = plan.address(row), plan.read_beats * AXI_BYTES
            bits = (1 << 8 * size) - (1 << width * len(values))
            bits |= sum((value & ((1 << width) - 1)) << width * k for k, value in enumerate(values.tolist()))
            stored = bits.to_bytes(size, "little")
            if plan.checked:
                stored = checked_row(stored, address=address, channel=config.channels.index(source))
            for place in range(0, size, AXI_BYTES):
                image[address + place] = int.from_bytes(stored[place : place + AXI_BYTES], "little")
    return image


def banks(config: EngineConfig) -> list[int]:
    """Sources on the chip that hold anything."""
    return [k for k, source in enumerate(config.sources) if k not in config.channels and source.parts]


def bank_words(config: EngineConfig, tables: list[npt.NDArray[np.int64]]) -> Iterator[tuple[int, int, int]]:
    """Bank, byte address and word, as banks are loaded: where rows are checked, behind its check word."""
    for source in banks(config):
        kept = (1 << source_plan(config, source).width) - 1
        for address, word in memory_image(config, source, tables).items():
            if config.row_check:
                stored = (word & kept).to_bytes(AXI_BYTES, "little")
                yield source, address, word << CHECK_BITS | word_check(stored, row=address // AXI_BYTES, source=source)
            else:
                yield source, address, word


def bank_writes(
    config: EngineConfig, tables: list[npt.NDArray[np.int64]], rng: random.Random
) -> Iterator[tuple[int, int, int, bool]]:
    """Bank, row, word and whether it counts, as banks are loaded; others, of no bank's words, change nothing."""
    held = {source: source_plan(config, source).words for source in banks(config)}
    for source, address, word in bank_words(config, tables):
        yield source, address // AXI_BYTES, word, True
        if rng.random() < 0.3:
            other = rng.choice(list(held)) if rng.random() < 0.3 else rng.randrange(1 << 8)
            yield other, rng.randrange(held.get(other, 0), 1 << 24), rng.getrandbits(8 * AXI_BYTES), False
        if rng.random() < 0.3:
            yield *near_miss(held, source, address // AXI_BYTES, rng), rng.getrandbits(8 * AXI_BYTES), False


def near_miss(held: dict[int, int], source: int, row: int, rng: random.Random) -> tuple[int, int]:
    """A source and a row that no bank has, but for one bit of either."""
    others = [source ^ 1 << bit for bit in range(8) if source ^ 1 << bit not in held]
    if rng.random() < 0.3:
        return rng.choice(others), row
    return source, row | 1 << rng.randrange(held[source].bit_length(), 24)


def reader_of(image: dict[int, int]) -> Callable[[int], int]:
    """A memory's contents as a function: an address where no row lies is a fault of whoever reads it."""
    return image.__getitem__
