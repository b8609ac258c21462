"""Small engines for tests of the driver, built in seconds, their inputs, and the golden model's word on them."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch

import microduet as md
from microduet.boards import find
from microduet.bundle import Bundle
from microduet.device import Batch
from microduet.measure import compare
from microduet.placement import place
from microduet.presets import engine_config
from microduet.trace import trace
from microduet.traffic import make_ids
from microduet_hw.config import Array, Precision
from tests.sw.cases import Mixed

CHANNEL = 0
"""The source that holds the generated table: one read of it per item."""
USER, ITEM, USERS, ITEMS = 0, 1, 40, 300_000
"""Columns of `sparse` and rows of their tables: the first lies on chip, the second in the channel."""
PRECISIONS = [str(precision) for precision in Precision]


class Wide(torch.nn.Module):
    """No hidden layer, no sigmoid: one dot product."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.users, self.out = torch.nn.Embedding(4000, 9), torch.nn.Linear(9, 1)

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return self.out(self.users(sparse[:, 0]))


@functools.cache
def compiled(kind: str, precision: str = "fixed16", seed: int = 0) -> Bundle:
    """A bundle with small arrays, whose simulator is built in seconds."""
    traced = trace(Mixed(seed=seed) if kind == "mixed" else Wide())
    shape, board = traced.shape, find("u280")
    arrays = (Array(pes=8, lanes=4, drain=4, layers=(0, 1)),) if shape.hidden else ()
    plan = place(shape, precision=Precision(precision), board=board)
    config = engine_config(shape, precision=Precision(precision), arrays=arrays, plan=plan)
    folder = Path(tempfile.mkdtemp(prefix="microduet-test-"))
    return md.compile(traced, precision=precision, config=config, out=folder / "bundle")


def inputs(bundle: Bundle, items: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    sparse = make_ids(bundle.config, items=items, traffic="uniform", seed=seed)
    dense = np.random.default_rng(seed).standard_normal((items, bundle.config.dense), np.float32)
    return sparse, dense if bundle.config.dense else None


def check(bundle: Bundle, batch: Batch, sparse: np.ndarray, dense: np.ndarray | None) -> None:
    mismatches, count = compare(bundle, batch, sparse, dense)
    assert count == 0, [str(mismatch) for mismatch in mismatches]
