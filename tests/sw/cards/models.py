"""Small models whose tables lie on several cards."""

import numpy as np
import torch

from microduet.models import GeneratedEmbedding
from microduet.shape import ModelShape


class Alike(torch.nn.Module):
    """Six pairs of a large table and a small pooled one, and dense features: equal cards if there are 2, 3 or 6."""

    def __init__(self, *, rows: int = 5000) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.large = torch.nn.ModuleList([GeneratedEmbedding(rows, 4, 2, number) for number in range(6)])
        self.pooled = torch.nn.ModuleList([torch.nn.EmbeddingBag(300, 4, mode="sum") for _ in range(6)])
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(51, 24), torch.nn.ReLU(), torch.nn.Linear(24, 1), torch.nn.Sigmoid()
        )

    def forward(self, sparse: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        rows = [table(sparse[:, number]) for number, table in enumerate(self.large)]
        sums = [table(sparse[:, 6 + 2 * k : 8 + 2 * k]) for k, table in enumerate(self.pooled)]
        return self.mlp(torch.cat([*rows, dense, *sums], dim=1))


class Wide(torch.nn.Module):
    """A generated and a stored table of 2.4 MiB each in fixed16, and a small one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.generated = GeneratedEmbedding(40_000, 32, 3, 1)
        self.stored = torch.nn.Embedding(40_000, 32)
        self.small = torch.nn.Embedding(5000, 4)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(68, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        rows = [self.generated(sparse[:, 0]), self.small(sparse[:, 1]), self.stored(sparse[:, 2])]
        return self.mlp(torch.cat(rows, dim=1))


SMALL_BOARD = """
name = "small-card"
dsp = 9024
bram36 = 2016
uram = 960
onchip_share = 0

[[channels]]
kind = "hbm"
count = 2
mebibytes = 1
"""
"""Of 2 MiB, none of it on chip."""


def batch(shape: ModelShape, items: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Random items."""
    generator = np.random.default_rng(seed)
    rows = [feature.rows for feature in shape.features for _ in range(feature.lookups)]
    dense = generator.standard_normal((items, shape.dense), np.float32) if shape.dense else None
    return generator.integers(0, rows, (items, len(rows))), dense
