"""Table contents: the shared vectors of the generated rule, stored rows, errors."""

import json
from pathlib import Path

import numpy as np
import pytest

from microduet_hw.config import Precision
from microduet_sim.tables import GeneratedTable, StoredTable, table_rows

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


def test_refuses_rows_that_are_not_there() -> None:
    table = StoredTable(rows=np.zeros((2, 3), np.int16))
    with pytest.raises(ValueError, match="must be below 2, not 2"):
        table_rows(table, precision=Precision.FIXED16, rows=[2], columns=3)
    with pytest.raises(ValueError, match="must not be negative, not -1"):
        table_rows(table, precision=Precision.FIXED16, rows=[-1], columns=3)
