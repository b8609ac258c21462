"""Small models and engines that several tests share."""

import numpy as np
import torch

from microduet.generated import GeneratedTable
from microduet.golden import Golden
from microduet.models import GeneratedEmbedding
from microduet.presets import compile_config
from microduet.quantise import quantise
from microduet.quantised import Quantised
from microduet.trace import trace
from microduet.traced import TracedModel
from microduet_hw.config import EngineConfig, Precision


class Mixed(torch.nn.Module):
    """Generated, stored and pooled tables, dense features in the middle, ReLU on some layers only."""

    def __init__(self, *, seed: int = 0, outputs: int = 1, sigmoid: bool = True) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.items = GeneratedEmbedding(300_000, 6, 3, 1)
        self.users = torch.nn.Embedding(40, 4)
        self.history = torch.nn.EmbeddingBag(300, 5, mode="sum")
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(18, 24), torch.nn.ReLU(), torch.nn.Linear(24, 12), torch.nn.Linear(12, outputs)
        )
        self.last = torch.nn.Sigmoid() if sigmoid else torch.nn.Identity()

    def forward(self, sparse: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        user, item, clicks = self.users(sparse[:, 0]), self.items(sparse[:, 1]), self.history(sparse[:, 2:6])
        return self.last(self.mlp(torch.cat([item, dense, user, clicks], dim=1)))


def batch(model: TracedModel, items: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    generator = np.random.default_rng(seed)
    rows = [feature.rows for feature in model.shape.features for _ in range(feature.lookups)]
    dense = generator.standard_normal((items, model.shape.dense), dtype=np.float32) if model.shape.dense else None
    return generator.integers(0, rows, (items, len(rows)), dtype=np.int64), dense


def quantised_tables(model: TracedModel, quantised: Quantised) -> tuple:
    return tuple(
        table if isinstance(table, GeneratedTable) else quantised.input.integers(table.weight.detach().numpy())
        for table in model.tables
    )


def engine(
    module: torch.nn.Module | None = None, *, precision: str = "fixed16"
) -> tuple[TracedModel, EngineConfig, Quantised, Golden]:
    model = trace(module or Mixed())
    quantised = quantise(model, precision=Precision(precision))
    config = compile_config(model.shape, precision=precision)
    tables = quantised_tables(model, quantised)
    return model, config, quantised, Golden(config=config, model=quantised.model, input=quantised.input, tables=tables)
