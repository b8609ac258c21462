"""The zoo's models: lookups, one concatenation, a perceptron."""

import typing

import torch

from microduet import zoo
from microduet.models.embedding import make_table

LOGIT_MEAN, LOGIT_DEVIATION = -0.75, 1.5
"""Of the zoo's logits over uniform ids: scores then spread usefully over (0, 1)."""


class RankingModel(torch.nn.Module):
    """A model of the zoo.

    Parameters
    ----------
    spec : shape, seed and storage of the tables; equal specs give equal weights
    """

    def __init__(self, spec: zoo.ZooModel) -> None:
        super().__init__()
        self.spec = spec
        self.name = spec.shape.name
        shape = spec.shape
        self.tables = torch.nn.ModuleList(
            make_table(feature.rows, feature.dim, seed=spec.seed, number=number, storage=spec.tables)
            for number, feature in enumerate(shape.features)
        )
        modules: list[torch.nn.Module] = []
        for layer in shape.layers:
            modules.append(torch.nn.Linear(layer.inputs, layer.outputs))
            if layer.relu:
                modules.append(torch.nn.ReLU())
        if shape.sigmoid:
            modules.append(torch.nn.Sigmoid())
        self.mlp = torch.nn.Sequential(*modules)
        self._initialise()

    def forward(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        """Scores float32 (items,) of sparse int64 (items, lookups); the zoo's models take no dense features."""
        return self.mlp(self.vector(sparse)).squeeze(1)

    def vector(self, sparse: torch.Tensor) -> torch.Tensor:
        """The concatenated vector, float32 (items, elements)."""
        pieces: list[torch.Tensor] = []
        column = 0
        for feature, table in zip(self.spec.shape.features, self.tables, strict=True):
            if feature.lookups == 1:
                pieces.append(table(sparse[:, column]))
            else:
                pieces.append(table(sparse[:, column : column + feature.lookups]).sum(1))
            column += feature.lookups
        return torch.cat(pieces, 1)

    @torch.no_grad()
    def _initialise(self) -> None:
        generator = torch.Generator().manual_seed(self.spec.seed)
        layers = [module for module in self.mlp if isinstance(module, torch.nn.Linear)]
        for layer in layers:
            layer.weight.normal_(0, (2 / layer.in_features) ** 0.5, generator=generator)
            layer.bias.uniform_(-0.1, 0.1, generator=generator)
        rows = torch.tensor([f.rows for f in self.spec.shape.features for _ in range(f.lookups)])
        ids = (torch.rand(512, len(rows), generator=generator, dtype=torch.float64) * rows).to(torch.int64)
        logit = torch.nn.Sequential(*list(self.mlp)[: 2 * len(layers) - 1])(self.vector(ids))
        # Coarse steps, so that a different order of summation on another machine gives the same weights.
        gain = round(LOGIT_DEVIATION / float(logit.std()) * 16) / 16
        layers[-1].weight.mul_(gain)
        layers[-1].bias.fill_(round((LOGIT_MEAN - gain * float(logit.mean() - layers[-1].bias)) * 16) / 16)


def build(spec: zoo.ZooModel) -> RankingModel:
    """The torch module of a zoo entry."""
    return RankingModel(spec)


def microrec_small(*, seed: int = 0, tables: zoo.Storage = "generated") -> RankingModel:
    """MicroRec's small model: 47 tables, 352 elements, 1.41 GB in float32."""
    return build(zoo.microrec("small", seed=seed, tables=tables))


def microrec_large(*, seed: int = 0, tables: zoo.Storage = "generated") -> RankingModel:
    """MicroRec's large model: 98 tables, 876 elements, 15.1 GB in float32."""
    return build(zoo.microrec("large", seed=seed, tables=tables))


def rmc2(
    *, tables: typing.Literal[8, 12] = 8, dim: int = 32, seed: int = 0, storage: zoo.Storage = "generated"
) -> RankingModel:
    """RMC2: 8 or 12 tables of 500,000 rows, four lookups each, summed."""
    return build(zoo.rmc2(tables=tables, dim=dim, seed=seed, storage=storage))
