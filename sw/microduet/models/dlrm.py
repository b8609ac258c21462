"""Models of DLRM's form, uncut: features summed, one concatenation with the bottom MLP's outputs, a top MLP."""

import torch

from microduet.duet.shape import DlrmShape
from microduet.duet.zoo import DlrmModelSpec
from microduet.models.layers import EmbeddingSums, deviations, initialise, linears, mlp, spread
from microduet.models.ranking import LOGIT_DEVIATION, LOGIT_MEAN

SAMPLE = 64
"""Random items over which the last layer is scaled."""


class DlrmModel(torch.nn.Module):
    """An uncut model; two outputs are scored by their softmax, which is sigmoid(z1 - z0).

    Parameters
    ----------
    spec : shape, seed and storage of the tables; its split must be None
    """

    def __init__(self, spec: DlrmModelSpec) -> None:
        super().__init__()
        self.spec, self.shape, self.name = spec, spec.shape, spec.shape.name
        shape = self.shape
        self.embeddings = EmbeddingSums(shape, seed=spec.seed, storage=spec.tables)
        self.bottom = mlp(shape.bottom, last_relu=True) if shape.bottom else None
        self.top = mlp((shape.top_inputs, *shape.top), last_relu=False)
        generator = torch.Generator().manual_seed(spec.seed)
        for layer in linears(self.bottom):
            initialise(layer, generator)
        first, *others = linears(self.top)
        scales = [deviations(shape, range(len(shape.features))), torch.ones(shape.bottom_outputs)]
        initialise(first, generator, torch.cat(scales))
        for layer in others:
            initialise(layer, generator)
        head = (others or [first])[-1]
        with torch.no_grad():
            logits = self.logits(*random_inputs(shape, SAMPLE, generator))
        spread(head, logits, mean=LOGIT_MEAN, deviation=LOGIT_DEVIATION)

    def forward(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        """Scores float32 (items,) of sparse int64 (items, lookups) and dense float32 (items, dense)."""
        return scores(self.logits(sparse, dense))

    def logits(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        """Outputs of the last layer, float32 (items, 1 or 2)."""
        return self.top(self.vector(sparse, dense))

    def vector(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        """What the top MLP reads, float32 (items, elements): features in order, then the bottom MLP's outputs."""
        sums = self.embeddings(self.shape, range(len(self.shape.features)), sparse)
        return sums if self.bottom is None else torch.cat([sums, self.bottom(dense)], 1)


def scores(logits: torch.Tensor) -> torch.Tensor:
    """Probability of a click, float32 (items,), from (items, 1) or (items, 2) logits."""
    return torch.sigmoid(logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0])


def random_inputs(shape: DlrmShape, items: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Uniform ids int64 (items, lookups); dense inputs, if any, from a standard normal distribution."""
    rows = torch.tensor([shape.tables[f.table].rows for f in shape.features for _ in range(f.lookups)])
    ids = (torch.rand(items, len(rows), generator=generator, dtype=torch.float64) * rows).to(torch.int64)
    return ids, torch.randn(items, shape.dense, generator=generator) if shape.dense else None
