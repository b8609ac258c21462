"""Generated tables: one hash, written in numpy, torch and C++, held equal by tests/data/generated_rows.json."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from microduet.generated import GeneratedTable
from microduet.models import GeneratedEmbedding

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "generated_rows.json").read_text())["vectors"]


def rule(vector: dict) -> GeneratedTable:
    names = ("dim", "seed", "table", "amplitude_log2")
    return GeneratedTable(rows=1 << 33, **{name: vector[name] for name in names})


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"seed{v['seed']}")
def test_numpy_equals_the_shared_vectors(vector: dict) -> None:
    assert rule(vector).integers(np.array(vector["rows"])).tolist() == vector["integers"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"seed{v['seed']}")
def test_torch_equals_the_shared_vectors(vector: dict) -> None:
    module = GeneratedEmbedding(
        1 << 33, vector["dim"], vector["seed"], vector["table"], amplitude_log2=vector["amplitude_log2"]
    )
    assert module.integers(torch.tensor(vector["rows"])).tolist() == vector["integers"]


def test_values_are_exact_and_equal_in_numpy_and_torch() -> None:
    table = GeneratedTable(rows=1000, dim=16, seed=5, table=9, amplitude_log2=3)
    ids = np.arange(0, 1000, 7)
    module = GeneratedEmbedding(1000, 16, 5, 9, amplitude_log2=3)
    np.testing.assert_array_equal(table.values(ids), module(torch.from_numpy(ids)).numpy())
    assert (table.values(ids) == table.integers(ids) / 2.0**26).all()


def test_values_spread_over_the_whole_amplitude() -> None:
    values = GeneratedTable(rows=4096, dim=32, seed=1).values(np.arange(4096))
    assert -1 <= values.min() < -0.999 < 0.999 < values.max() < 1
    assert abs(values.mean()) < 0.01
    assert values.std() == pytest.approx(3**-0.5, rel=0.01)


def test_tables_seeds_rows_and_columns_all_change_the_value() -> None:
    rows = [
        GeneratedTable(rows=9, dim=8, seed=seed, table=table).integers(np.array([row]))
        for seed in (0, 1)
        for table in (0, 1)
        for row in (0, 1)
    ]
    assert len(np.unique(np.stack(rows))) == 64


@pytest.mark.parametrize(("rows", "dim"), [(0, 4), (4, 0), (-1, 4)])
def test_rejects_an_empty_table(rows: int, dim: int) -> None:
    with pytest.raises(ValueError, match="rows and dim must be at least 1, not"):
        GeneratedEmbedding(rows, dim)
