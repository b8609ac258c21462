"""Table contents: the shared vectors of the generated rule, stored rows, errors."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from microduet_hw.config import CHECK_BITS, EngineConfig, Feature, Layer, Part, Precision, Source, SourceKind
from microduet_hw.lookup.geometry import read_beats
from microduet_hw.lookup.row_check import checked_row
from microduet_sim.tables import GeneratedTable, ProductTable, StoredTable, channel_beats, table_rows
from tests.sim.engines import random_tables

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "generated_rows.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"seed{v['seed']}-table{v['table']}")
@pytest.mark.parametrize("precision", list(Precision))
def test_generated_rows_equal_the_shared_vectors(vector: dict[str, object], precision: Precision) -> None:
    expected = vector[precision.value]
    assert isinstance(expected, dict)
    table = GeneratedTable(
        seed=int(str(vector["seed"])),
        table=int(str(vector["table"])),
        amplitude_log2=int(str(vector["amplitude_log2"])),
        fraction=expected.get("fraction", 0),
        scale=expected.get("scale", 1.0),
    )
    rows = table_rows(table, precision=precision, rows=np.asarray(vector["rows"]), columns=int(str(vector["dim"])))
    assert rows.tolist() == expected["rows"]


@pytest.mark.parametrize("fraction", [-50, -4, 0, 20, 23, 24, 31, 40, 80])
def test_fixed_rounds_half_to_even_and_saturates(fraction: int) -> None:
    hashes = table_rows(
        GeneratedTable(seed=1, table=2, fraction=23), precision=Precision.FIXED32, rows=range(50), columns=4
    )
    rows = table_rows(
        GeneratedTable(seed=1, table=2, fraction=fraction), precision=Precision.FIXED16, rows=range(50), columns=4
    )
    exact = np.rint(hashes.astype(float) * 2.0 ** (fraction - 23))
    assert (rows == np.clip(exact, -32768, 32767)).all()


def test_stored_rows_come_back() -> None:
    stored = np.array([[1, -2, 3], [-4, 5, -32768]], np.int16)
    rows = table_rows(StoredTable(rows=stored), precision=Precision.FIXED16, rows=[1, 0], columns=3)
    assert rows.tolist() == [[-4, 5, -32768], [1, -2, 3]]


def test_a_products_rows_are_those_of_its_factors() -> None:
    first = StoredTable(rows=np.array([[1, 2], [3, 4], [5, 6]], np.int16))
    second = GeneratedTable(seed=1, table=2, fraction=15)
    product = ProductTable(first=first, second=second, second_rows=7, first_columns=2)
    rows = table_rows(product, precision=Precision.FIXED16, rows=[0, 9, 20], columns=5)
    assert rows[:, :2].tolist() == [[1, 2], [3, 4], [5, 6]]
    expected = table_rows(second, precision=Precision.FIXED16, rows=[0, 2, 6], columns=3)
    assert rows[:, 2:].tolist() == expected.tolist()


def test_refuses_rows_that_are_not_there() -> None:
    table = StoredTable(rows=np.zeros((2, 3), np.int16))
    with pytest.raises(ValueError, match="must be below 2, not 2"):
        table_rows(table, precision=Precision.FIXED16, rows=[2], columns=3)
    with pytest.raises(ValueError, match="must not be negative, not -1"):
        table_rows(table, precision=Precision.FIXED16, rows=[-1], columns=3)


def spread_config(precision: Precision, parts: tuple[tuple[Part, ...], ...], rows: int, dim: int) -> EngineConfig:
    return EngineConfig(
        name="spread",
        precision=precision,
        features=tuple(Feature(rows=rows, dim=dim, position=dim * k) for k in range(2)),
        sources=tuple(Source(kind=SourceKind.HBM, parts=of) for of in parts),
        hidden=(),
        output=Layer(inputs=2 * dim, outputs=1),
        arrays=(),
    )


def interleaved(feature: int, source: int, base: int, *, rows: int = 41, hole_bits: int = 2) -> Part:
    """Every other row of a table of 10 columns, in one of the four quarters of every 512 bytes."""
    held = len(range(source, rows, 2))
    place = {"stride_log2": 6, "hole_log2": 7, "hole_bits": hole_bits}
    return Part(feature=feature, row_first=source, row_step_log2=1, rows=held, columns=10, base=base, **place)


LAYOUTS = {
    # Both tables in the same bytes but for their quarter; the second begins later, or earlier, than the first.
    "between each other": lambda source: (interleaved(0, source, 128), interleaved(1, source, 256 + 1024)),
    "listed the other way round": lambda source: (interleaved(1, source, 3 * 128), interleaved(0, source, 2048)),
    "within one hole": lambda source: (
        interleaved(0, source, 0, hole_bits=5),
        interleaved(1, source, 4096 + 512, hole_bits=0),
    ),
    "one behind the other": lambda source: (interleaved(0, source, 0), interleaved(1, source, 1 << 16)),
}


@pytest.mark.parametrize("check", [False, True], ids=["bare", "checked"])
@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_memory_holds_every_row_where_its_part_says(
    layout: Callable[[int], tuple[Part, ...]], precision: Precision, check: bool
) -> None:
    config = spread_config(precision, (layout(0), layout(1)), rows=41, dim=10)
    if check:
        config = config.replace(check_bits=CHECK_BITS)
    images = random_tables(config, np.random.default_rng(4))
    for channel, source in enumerate(config.sources):
        expected: dict[int, bytes] = {}
        for part in source.parts:
            for k, row in enumerate(part.row_numbers):
                data = images[part.feature].rows[row].tobytes().ljust(64, b"\0")
                if check:
                    beats = 32 * read_beats(config, part)
                    data = checked_row(data[:beats], address=part.offset(k), channel=channel).ljust(64, b"\0")
                expected |= {part.offset(k) + at: data[at : at + 32] for at in (0, 32)}
        end = max(part.end for part in source.parts)
        everywhere = range(0, end + 4096, 32)
        found = channel_beats(config, images, channel=channel, addresses=list(everywhere))
        for address, beat in zip(everywhere, found, strict=True):
            assert beat.tobytes() == expected.pop(address, bytes(32)), hex(address)
        assert not expected
