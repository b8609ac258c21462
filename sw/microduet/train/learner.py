"""One model being trained: a step on a batch, and its scores."""

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from microduet.duet import zoo
from microduet.errors import InputError
from microduet.models.dlrm import DlrmModel, scores
from microduet.models.layers import initialise, linears
from microduet.models.split import SplitModel
from microduet.train.batches import Batch
from microduet.train.checkpoint import restore
from microduet.train.tables import Tables


class Rates(typing.NamedTuple):
    """Sizes of steps of the layers and of the tables."""

    dense: float
    tables: float


RATES = Rates(dense=4e-3, tables=0.006)
"""Of Adam for layers of up to FULL_RATE outputs, and of row-wise Adagrad for the tables."""

FULL_RATE = 128
"""Outputs of a model's widest layer from which Adam's rate falls, with the root of this width."""

FIRST_LOGITS = 0.3
"""Of the last layer's first weights, over the others': scores start near 0.5."""

ROWS_AT_ONCE = 2048
"""Of a batch, whose activations and their gradients then stay in the processor's caches."""

PRECISIONS = ("auto", "bfloat16", "float32")


class Learner:
    """A model, its tables in one array, and the optimisers of both.

    Parameters
    ----------
    spec : model and split; its seed is that of all first weights
    precision : of the layers' products in training, whose sums and weights are float32: bfloat16, float32, or auto
        for bfloat16 where the processor multiplies it

    Raises
    ------
    InputError
        If there is no such precision.
    """

    def __init__(self, spec: zoo.DlrmModelSpec, *, precision: str = "float32") -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision must be {', '.join(PRECISIONS)}, not {precision!r}")
        self.precision = ("bfloat16" if _multiplies_bfloat16() else "float32") if precision == "auto" else precision
        self._products = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        self.spec = spec
        self.tables = Tables(spec.shape, seed=spec.seed)
        self._kept = torch.empty(0, self.tables.elements)
        self.model = _built(spec, self.tables)
        self.layers = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._rate = RATES.dense * min(
            1.0, (FULL_RATE / max(layer.out_features for layer in linears(self.model))) ** 0.5
        )
        self.optimiser = torch.optim.Adam(self.layers, lr=self._rate, fused=True)

    def step(self, batch: Batch, *, scale: float = 1.0) -> float:
        """Learn one batch at `scale` of the usual rates; the mean log-loss before it, in nats."""
        rows = len(batch.labels)
        gradient, lost = self._gradients(rows), 0.0
        for first in range(0, rows, ROWS_AT_ONCE):
            lost += self._learn(batch, range(first, min(first + ROWS_AT_ONCE, rows)), gradient)
        self.optimiser.param_groups[0]["lr"] = self._rate * scale
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.tables.update(batch.bags, gradient, RATES.tables * scale)
        return lost

    def _learn(self, batch: Batch, rows: range, gradient: torch.Tensor) -> float:
        """Add the gradients of `rows` to those of the layers, and put those of their sums in `gradient`."""
        own = slice(rows.start, rows.stop)
        sums = self.tables.sums(batch.bags, rows=rows).to(self._products).requires_grad_()
        logits = self._logits(sums, None if batch.dense is None else batch.dense[own])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.labels[own])
        loss *= len(rows) / len(batch.labels)
        changes = torch.autograd.grad(loss, [sums, *self.layers])
        gradient[own] = changes[0]
        for weight, change in zip(self.layers, changes[1:], strict=True):
            weight.grad = change if weight.grad is None else weight.grad.add_(change)
        return float(loss.detach())

    def _gradients(self, rows: int) -> torch.Tensor:
        """Room for the gradients of all sums, which is kept: new pages cost more than what is written to them."""
        if len(self._kept) < rows:
            self._kept = torch.empty(rows, self.tables.elements)
        return self._kept[:rows]

    @torch.no_grad()
    def score(
        self, batch: Batch, model: DlrmModel | SplitModel | None = None, *, sums: torch.Tensor | None = None
    ) -> npt.NDArray[np.float32]:
        """Probabilities of a click, float32 (rows,), in float32 throughout; of another model's layers if given.

        `sums` are those of all features, if they are known already.
        """
        own = self.tables.sums(batch.bags) if sums is None else sums
        return scores(head(model or self.model, own, batch.dense)).numpy()

    def scores(self, batches: Iterator[Batch]) -> npt.NDArray[np.float32]:
        """The same of all `batches`, one after the other."""
        return np.concatenate([self.score(batch) for batch in batches])

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "squares": [width.squares for width in self.tables.widths],
        }

    def load_state(self, path: Path, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; raises CheckpointError, naming `path`, if it is of another model."""
        restore(path, self.model, state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for width, squares in zip(self.tables.widths, state["squares"], strict=True):
            width.squares.copy_(squares)

    def _logits(self, sums: torch.Tensor, dense: torch.Tensor | None) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            found = head(self.model, sums, dense).float()
        return found[:, 0] if found.shape[1] == 1 else found[:, 1] - found[:, 0]


def head(model: DlrmModel | SplitModel, sums: torch.Tensor, dense: torch.Tensor | None) -> torch.Tensor:
    """Logits (rows, 1 or 2) of `model` from the sums of all its features, float32 (rows, elements)."""
    if isinstance(model, DlrmModel):
        return model.top(sums if model.bottom is None else torch.cat([sums, model.bottom(dense)], 1))
    shape = model.shape
    static, context = dense_parts(model, dense)
    user = model.user_model(sums[:, shape.positions(shape.user.features)], static, context)
    return model.combined_model(user, model.item_model(sums[:, shape.positions(shape.item_features)]))


def dense_parts(model: SplitModel, dense: torch.Tensor | None) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Static and context columns of `dense`, None where the model has none."""
    user = model.shape.user
    static = dense[:, list(user.static)] if dense is not None and user.static else None
    context = dense[:, list(user.context)] if dense is not None and user.context else None
    return static, context


def _built(spec: zoo.DlrmModelSpec, tables: Tables) -> DlrmModel | SplitModel:
    """The model with new tables. An exact split is initialised as any split: it is trained, not cut."""
    light = spec.replace(tables="generated")
    model = DlrmModel(light) if spec.split is None else SplitModel(light)
    model.spec = spec.replace(tables="dense")
    model.embeddings.tables = tables.modules()
    generator = torch.Generator().manual_seed(spec.seed)
    layers = linears(model)
    for layer in layers:  # the zoo's own are scaled to spread the scores of generated tables
        initialise(layer, generator)
    with torch.no_grad():
        layers[-1].weight.mul_(FIRST_LOGITS)
        layers[-1].bias.zero_()
    return model


def _multiplies_bfloat16() -> bool:
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))  # older torch has no such call
