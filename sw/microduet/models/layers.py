"""Perceptrons and sums of embeddings, as the models of DLRM's form share them."""

import itertools
import math
from collections.abc import Sequence

import torch

from microduet import zoo
from microduet.duet.shape import DlrmShape
from microduet.models.embedding import GeneratedEmbedding, make_table

GENERATED_AT_ONCE = 1 << 21
"""Elements of a generated table that are computed together: the hash needs several times the room of its result."""


class EmbeddingSums(torch.nn.Module):
    """The tables of a model and their sums.

    Parameters
    ----------
    shape : whose tables and features these are
    seed, storage : of the tables
    """

    def __init__(self, shape: DlrmShape, *, seed: int, storage: zoo.Storage) -> None:
        super().__init__()
        self.tables = torch.nn.ModuleList(
            make_table(
                one.rows, one.dim, seed=seed, number=number, storage=storage, amplitude_log2=_amplitude(shape, number)
            )
            for number, one in enumerate(shape.tables)
        )

    def forward(self, shape: DlrmShape, features: Sequence[int], sparse: torch.Tensor) -> torch.Tensor:
        """Sums of `features` side by side, float32 (items, elements).

        `sparse` is int64 (items, lookups of these features), in their order; an id of -1 is an empty place of a short
        history and adds nothing.
        """
        pieces: list[torch.Tensor] = []
        first = 0
        for number in features:
            feature = shape.features[number]
            pieces.append(_sums(self.tables[feature.table], sparse[:, first : first + feature.lookups]))
            first += feature.lookups
        return torch.cat(pieces, 1)


def _amplitude(shape: DlrmShape, number: int) -> int:
    """Halvings of a table's values that keep the sum of its longest feature near 1."""
    most = max((feature.lookups for feature in shape.features if feature.table == number), default=1)
    return round(math.log2(most) / 2)


def _sums(embedding: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    known = (ids >= 0).to(torch.float32).unsqueeze(-1)
    if not isinstance(embedding, GeneratedEmbedding):
        return (embedding(ids.clamp(min=0)) * known).sum(1)
    step = max(1, GENERATED_AT_ONCE // (ids.shape[1] * embedding.rule.dim))
    pieces = zip(ids.split(step), known.split(step), strict=True)
    return torch.cat([(embedding(some.clamp(min=0)) * mask).sum(1) for some, mask in pieces])


def deviations(shape: DlrmShape, features: Sequence[int]) -> torch.Tensor:
    """Standard deviation of every element of the sums of `features` over uniform ids: values are uniform."""
    return torch.cat(
        [
            torch.full((shape.dim(k),), 2.0 ** -_amplitude(shape, feature.table) * math.sqrt(feature.lookups / 3))
            for k in features
            for feature in [shape.features[k]]
        ]
    )


def mlp(widths: Sequence[int], *, last_relu: bool) -> torch.nn.Sequential:
    """Fully connected layers of `widths`, inputs first; ReLU after each, after the last one only if asked for."""
    modules: list[torch.nn.Module] = []
    for before, after in itertools.pairwise(widths):
        modules += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*(modules if last_relu else modules[:-1]))


def linears(module: torch.nn.Module | None) -> list[torch.nn.Linear]:
    """The fully connected layers of `module` in order."""
    return [one for one in module.modules() if isinstance(one, torch.nn.Linear)] if module is not None else []


@torch.no_grad()
def initialise(layer: torch.nn.Linear, generator: torch.Generator, scales: torch.Tensor | None = None) -> None:
    """He's normal weights (2 / inputs), for inputs of deviation `scales` (1 if not given), and small biases."""
    layer.weight.normal_(0, (2 / layer.in_features) ** 0.5, generator=generator)
    if scales is not None:
        layer.weight.div_(scales)
    if layer.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
        layer.bias.uniform_(-0.1, 0.1, generator=generator)


@torch.no_grad()
def spread(last: torch.nn.Linear, logits: torch.Tensor, *, mean: float, deviation: float) -> None:
    """Scale `last`, whose outputs over a batch are `logits` (items, outputs), to scores that spread over (0, 1).

    Steps are coarse, so that another order of summation on another machine gives the same weights.
    """
    values = logits[:, -1] - (logits[:, 0] if logits.shape[1] == 2 else 0)
    bias = last.bias[-1] - (last.bias[0] if logits.shape[1] == 2 else 0)
    gain = max(1, round(deviation / float(values.std()) * 16)) / 16
    last.weight.mul_(gain)
    last.bias.fill_(0)
    last.bias[-1] = round((mean - gain * float(values.mean() - bias)) * 16) / 16
