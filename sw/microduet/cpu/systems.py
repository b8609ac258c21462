"""System (a), the whole model for every candidate, and system (b), the item's half; both in PyTorch on a processor."""

import dataclasses
import typing
from collections.abc import Callable

import torch

from microduet.cpu.tables import EmbeddingBags, TableKind
from microduet.duet import zoo
from microduet.duet.shape import DlrmShape
from microduet.models.dlrm import DlrmModel
from microduet.models.split import SplitModel

LayerKind = typing.Literal["float32", "bfloat16"]
LAYER_KINDS: tuple[LayerKind, ...] = typing.get_args(LayerKind)

Inputs = tuple[torch.Tensor, torch.Tensor | None]


class Whole(torch.nn.Module):
    """System (a): ids (N, lookups) and dense inputs (N, D) of N candidates to logits (N,)."""

    def __init__(self, shape: DlrmShape, *, tables: TableKind, seed: int = 0) -> None:
        super().__init__()
        layers = DlrmModel(zoo.DlrmModelSpec(shape=shape, seed=seed))
        self.bags = EmbeddingBags(shape, range(len(shape.features)), kind=tables, seed=seed)
        self.bottom, self.top = layers.bottom, layers.top

    def forward(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        sums = self.bags(sparse)
        return _logit(self.top(sums if self.bottom is None else torch.cat([sums, self.bottom(dense)], 1)))

    def parts(self, sparse: torch.Tensor, dense: torch.Tensor | None) -> dict[str, Callable[[], object]]:
        """Embeddings, bottom MLP and top MLP, each by itself, of inputs as `forward`'s."""
        sums = self.bags(sparse)
        bottom = self.bottom
        top = sums if bottom is None else torch.cat([sums, bottom(dense)], 1)
        found: dict[str, Callable[[], object]] = {"embedding": lambda: self.bags(sparse)}
        if bottom is not None:
            found["bottom"] = lambda: bottom(dense)
        return found | {"top": lambda: self.top(top)}


class ItemHalf(torch.nn.Module):
    """System (b), before the user vector comes: ids (N, item lookups) to items' vectors (N, width)."""

    def __init__(self, model: SplitModel, *, tables: TableKind, seed: int = 0) -> None:
        super().__init__()
        self.bags = EmbeddingBags(model.shape, model.shape.item_features, kind=tables, seed=seed)
        self.layers = model.item_model

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return self.layers(self.bags(sparse))


class Combined(torch.nn.Module):
    """System (b), when it has come: a user vector (1, width) and items' vectors to logits (N,)."""

    def __init__(self, model: SplitModel) -> None:
        super().__init__()
        self.layers = model.combined_model

    def forward(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return _logit(self.layers(user, items))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
    """One query's tensors.

    Members
    -------
    sparse : int64 (N, all lookups), the user's the same in every row
    dense : float32 (N, D), the same in every row, or None
    items : int64 (N, lookups of the item's features)
    user : float32 (1, width of the user vector)
    """

    sparse: torch.Tensor
    dense: torch.Tensor | None
    items: torch.Tensor
    user: torch.Tensor


def random_query(shape: DlrmShape, split: SplitModel, *, n: int, seed: int) -> Query:
    """A query of `n` candidates with uniform ids; `shape` is the uncut model's."""
    generator = torch.Generator().manual_seed(seed)

    def ids(features: tuple[int, ...], rows: int) -> torch.Tensor:
        columns = [
            torch.randint(
                shape.tables[shape.features[k].table].rows, (rows, shape.features[k].lookups), generator=generator
            )
            for k in features
        ]
        return torch.cat(columns, 1)

    user, items = ids(shape.user.features, 1), ids(shape.item_features, n)
    assert (*shape.user.features, *shape.item_features) == tuple(range(len(shape.features))), "so the zoo has them"
    sparse = torch.cat([user.expand(n, -1), items], 1)
    dense = torch.randn(1, shape.dense, generator=generator).expand(n, -1).contiguous() if shape.dense else None
    user_vector = torch.rand(1, split.split.user_top[-1], generator=generator)
    return Query(sparse=sparse, dense=dense, items=items, user=user_vector)


def in_batches(
    model: Callable[..., torch.Tensor], batch: int, *, layers: LayerKind
) -> Callable[[Inputs], torch.Tensor]:
    """`model` over pieces of `batch` rows, its layers in `layers`; float32 logits or vectors of all."""

    def run(inputs: Inputs) -> torch.Tensor:
        sparse, dense = inputs
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=layers == "bfloat16"):
            if dense is None:
                found = [model(some) for some in sparse.split(batch)]
            else:
                found = [model(some, more) for some, more in zip(sparse.split(batch), dense.split(batch), strict=True)]
        return torch.cat(found).float() if len(found) > 1 else found[0].float()

    return run


def _logit(outputs: torch.Tensor) -> torch.Tensor:
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
