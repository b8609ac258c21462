"""Simulated engines for the tests of the runtime."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from microduet_hw.config import Array, EngineConfig, Feature, Layer, Part, Precision, Source, SourceKind
from microduet_sim.batch import BEAT_WORDS
from microduet_sim.tables import StoredTable
from tests.support.models import small_config

ECHO_ROWS = 64
CONTROL, ITEMS = 0x00, 0x10


def echo_config() -> EngineConfig:
    """The configuration that `echo_verilog` stands for: one table of 64 rows in one channel."""
    config = small_config(elements=12)
    part = Part(feature=0, rows=ECHO_ROWS, columns=12, base=0, stride_log2=5)
    return config.replace(
        features=(Feature(rows=ECHO_ROWS, dim=12, position=0),), sources=(Source(kind=SourceKind.HBM, parts=(part,)),)
    )


def echo_verilog() -> dict[str, str]:
    text = Path(__file__).with_name("echo_engine.v").read_text()
    return {f"{name}.v": text.replace("MODULE", name) for name in ("engine", "engine_core")}


def echo_table() -> StoredTable:
    rows = np.arange(ECHO_ROWS * 12).reshape(ECHO_ROWS, 12) - 300
    return StoredTable(rows=rows.astype(np.int16))


def echo_packets(indices: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    numbers = np.asarray(indices)
    packets = np.zeros((len(numbers), BEAT_WORDS), np.uint32)
    packets[:, 0], packets[:, 1] = 1000 + np.arange(len(numbers)), numbers
    return packets


def echo_logits(indices: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """What the engine answers: the first two elements of a row as one word."""
    return echo_table().rows[np.asarray(indices), :2].copy().view(np.int32)[:, 0]


def lookup_config(precision: Precision) -> EngineConfig:
    """A small engine with everything that meets at the core's border: two arrays, pooling, channels and a bank."""
    width = precision.width
    features = (
        Feature(rows=50, dim=8, position=0),
        Feature(rows=40, dim=4, lookups=3, position=8),
        Feature(rows=30, dim=8, position=12),
        Feature(rows=20, dim=4, position=20),
    )

    def part(number: int, base: int = 0) -> Part:
        columns = features[number].dim
        stride = max(5, (columns * width // 8 - 1).bit_length())
        return Part(feature=number, rows=features[number].rows, columns=columns, base=base, stride_log2=stride)

    return EngineConfig(
        name=f"lookup-{precision}",
        precision=precision,
        features=features,
        sources=(
            Source(kind=SourceKind.HBM, parts=(part(0), part(1, base=1 << 16))),
            Source(kind=SourceKind.DDR, parts=(part(2),)),
            Source(kind=SourceKind.ONCHIP, parts=(part(3),)),
        ),
        hidden=(Layer(inputs=24, outputs=40), Layer(inputs=40, outputs=24), Layer(inputs=24, outputs=12)),
        output=Layer(inputs=12, outputs=1, relu=False),
        arrays=(Array(pes=12, lanes=4, drain=4, layers=(0, 1)), Array(pes=8, lanes=4, drain=4, layers=(2,))),
    )


def bottom_config(precision: Precision) -> EngineConfig:
    """A small engine with a bottom MLP of two layers on the first of its two arrays, and features in two sources."""
    features = (Feature(rows=50, dim=8, position=0), Feature(rows=40, dim=5, lookups=3, position=8))
    parts = [
        Part(feature=k, rows=feature.rows, columns=feature.dim, base=0, stride_log2=5)
        for k, feature in enumerate(features)
    ]
    return EngineConfig(
        name=f"bottom-{precision}",
        precision=precision,
        features=features,
        dense=11,
        sources=(Source(kind=SourceKind.HBM, parts=(parts[0],)), Source(kind=SourceKind.ONCHIP, parts=(parts[1],))),
        hidden=(
            Layer(inputs=11, outputs=10),
            Layer(inputs=10, outputs=7),
            Layer(inputs=20, outputs=18),
            Layer(inputs=18, outputs=6),
        ),
        output=Layer(inputs=6, outputs=1, relu=False),
        arrays=(Array(pes=6, lanes=4, drain=4, layers=(0, 1, 2)), Array(pes=4, lanes=4, drain=2, layers=(3,))),
        bottom=2,
    )


def random_tables(config: EngineConfig, rng: np.random.Generator) -> tuple[StoredTable, ...]:
    kind = {8: np.uint8, 16: np.int16, 32: np.int32}[config.precision.width]
    limits = np.iinfo(kind)
    return tuple(
        StoredTable(rows=rng.integers(limits.min, limits.max, (f.rows, f.dim), dtype=kind, endpoint=True))
        for f in config.features
    )


def partners_config(precision: Precision) -> EngineConfig:
    """A small engine of four partners, rows of both tables in turn between each other's, and of two banks."""
    features = (
        Feature(rows=50, dim=8, position=0),
        Feature(rows=40, dim=4, lookups=8, position=8),
        Feature(rows=21, dim=12, position=12),
    )

    def channel(number: int) -> Source:
        hole = {"stride_log2": 5, "hole_log2": 6, "hole_bits": 1}
        quarter = Part(
            feature=0, row_first=number, row_step_log2=2, rows=len(range(number, 50, 4)), columns=8, base=0, **hole
        )
        replica = Part(feature=1, rows=40, columns=4, lookup_first=2 * number, lookups=2, base=64, **hole)
        return Source(kind=SourceKind.HBM, parts=(replica, quarter))

    def bank(number: int) -> Source:
        half = {"row_first": number, "row_step_log2": 1, "rows": len(range(number, 21, 2))}
        return Source(kind=SourceKind.ONCHIP, parts=(Part(feature=2, columns=12, base=32, stride_log2=6, **half),))

    return EngineConfig(
        name=f"partners-{precision}",
        precision=precision,
        features=features,
        sources=(*(channel(number) for number in range(4)), bank(0), bank(1)),
        hidden=(Layer(inputs=24, outputs=8),),
        output=Layer(inputs=8, outputs=1, relu=False),
        arrays=(Array(pes=4, lanes=4, drain=4, layers=(0,)),),
    )
