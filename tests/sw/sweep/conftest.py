"""A sweep of eight points that take no time, and where its calls are counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from microduet.sweep.pools import LocalPool

SWEEP = """
[sweep]
name = "eight"
output = "out.parquet"
measure = "search"

[axes]
model = "microrec-small"
multipliers = { from = 100, to = 107 }
"""


@pytest.fixture
def eight(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SWEEP_CALLS", str(tmp_path))
    path = tmp_path / "eight.toml"
    path.write_text(SWEEP)
    return path


@contextmanager
def local(evaluate, *, workers: int = 2) -> Iterator[LocalPool]:
    pool = LocalPool(workers=workers, evaluate=evaluate)
    try:
        yield pool
    finally:
        pool.close()
