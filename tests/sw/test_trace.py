"""Which modules are recognised, what they become, and what is said of the others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from microduet import models, zoo
from microduet.errors import ModelError
from microduet.trace import load, trace
from microduet.traced import TracedModel
from tests.sw.cases import Mixed, batch

Forward = Callable[..., torch.Tensor]


class Case(nn.Module):
    """Two tables, a pooled one, and layers that a case's `forward` puts together."""

    def __init__(self, forward: Forward, *, lookups: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b = nn.Embedding(50, 4), models.GeneratedEmbedding(70, 3, 5, 2)
        self.bag = nn.EmbeddingBag(20, 2, mode="sum")
        self.mean = nn.EmbeddingBag(20, 2, mode="mean")
        self.l7, self.l10, self.l8 = nn.Linear(7, 5), nn.Linear(10, 5), nn.Linear(8, 5, bias=False)
        self.out, self.two, self.three = nn.Linear(5, 1), nn.Linear(5, 2), nn.Linear(5, 3)
        self.l5 = nn.Linear(5, 5)
        self.relu, self.gelu, self.drop, self.norm = nn.ReLU(), nn.GELU(), nn.Dropout(), nn.LayerNorm(5)
        self.flat, self.sig, self.soft = nn.Flatten(), nn.Sigmoid(), nn.Softmax(-1)
        self.extra = nn.Parameter(torch.ones(5))
        self.run = forward
        if lookups:
            self.lookups = lookups

    def forward(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        return self.run(self, sparse, dense)


def ab(m: Case, s: torch.Tensor) -> torch.Tensor:
    return torch.cat([m.a(s[:, 0]), m.b(s[:, 1])], 1)


def head(m: Case, x: torch.Tensor) -> torch.Tensor:
    return m.out(m.relu(m.l7(x)))


SUPPORTED: dict[str, Forward] = {
    "plain": lambda m, s, d: head(m, ab(m, s)),
    "order reversed": lambda m, s, d: head(m, torch.cat([m.b(s[:, 1]), m.a(s[:, 0])], dim=1)),
    "columns reversed": lambda m, s, d: head(m, torch.cat([m.a(s[:, 1]), m.b(s[:, 0])], dim=-1)),
    "sigmoid": lambda m, s, d: m.sig(head(m, ab(m, s))).squeeze(1),
    "functional": lambda m, s, d: torch.sigmoid(m.out(F.relu(m.l7(ab(m, s)))))[:, 0],
    "methods": lambda m, s, d: m.out(m.l7(ab(m, s)).relu()).sigmoid().flatten(),
    "dropout is nothing": lambda m, s, d: m.out(m.drop(m.relu(m.l7(ab(m, s))))),
    "no relu between layers": lambda m, s, d: m.out(m.l5(m.l7(ab(m, s)))),
    "flatten": lambda m, s, d: head(m, m.flat(ab(m, s).unsqueeze(1))),
    "view by the batch": lambda m, s, d: head(m, ab(m, s).view(s.shape[0], 1, -1).view(-1, 7)),
    "reshape by size": lambda m, s, d: head(m, ab(m, s).reshape(s.size(0), -1)),
    "view to items": lambda m, s, d: head(m, ab(m, s)).view(-1),
    "two columns of one table": lambda m, s, d: m.out(m.relu(m.l8(m.a(s[:, 0:2]).flatten(1)))),
    "stack": lambda m, s, d: m.out(m.l8(torch.stack([m.a(s[:, 0]), m.a(s[:, 1])], dim=1).reshape(-1, 8))),
    "one column as a slice": lambda m, s, d: head(m, torch.cat([m.a(s[:, 0:1]).squeeze(1), m.b(s[:, 1])], 1)),
    "embedding bag": lambda m, s, d: head(m, torch.cat([m.bag(s[:, 0:3]), m.bag(s[:, 3:5]), m.b(s[:, 5])], 1)),
    "summed embedding": lambda m, s, d: head(m, torch.cat([m.a(s[:, 2:6]).sum(1), m.b(s[:, 0:2]).sum(dim=1)], 1)),
    "kept dimension": lambda m, s, d: head(m, torch.cat([m.a(s[:, 0:2]).sum(1, keepdim=True), m.b(s[:, 2:3])], 2)),
    "dense first": lambda m, s, d: m.out(m.relu(m.l10(torch.cat([d, ab(m, s)], 1)))),
    "dense between": lambda m, s, d: m.out(m.l10(torch.cat([m.b(s[:, 1]), d, m.a(s[:, 0])], 1))),
    "dense if given": lambda m, s, d: m.out(m.l10(ab(m, s) if d is None else torch.cat([ab(m, s), d], 1))),
    "two outputs": lambda m, s, d: m.two(m.relu(m.l7(ab(m, s)))),
    "softmax of two": lambda m, s, d: m.soft(m.two(m.relu(m.l7(ab(m, s)))))[:, 1],
    "ids converted": lambda m, s, d: head(m, ab(m, s.long())),
    "joined twice": lambda m, s, d: head(m, torch.cat([torch.cat([m.a(s[:, 0])], 1), m.b(s[:, 1])], 1)),
}


def expected(module: nn.Module, sparse: np.ndarray, dense: np.ndarray | None) -> np.ndarray:
    with torch.no_grad():
        result = module.eval()(torch.from_numpy(sparse), None if dense is None else torch.from_numpy(dense))
    return result.double().numpy().reshape(len(sparse), -1)


def scores(model: TracedModel, sparse: np.ndarray, dense: np.ndarray | None) -> np.ndarray:
    logits = model.layers(model.vector(sparse, dense))[-1]
    return (torch.sigmoid(logits) if model.shape.sigmoid else logits).numpy()


@pytest.mark.parametrize("name", SUPPORTED)
def test_computes_what_the_module_computes(name: str) -> None:
    module = Case(SUPPORTED[name])
    model = trace(module)
    sparse, dense = batch(model, 20)
    wanted = expected(module, sparse, dense)
    if wanted.shape[1] == 2:
        wanted = 1 / (1 + np.exp(wanted[:, :1] - wanted[:, 1:]))
    np.testing.assert_allclose(scores(model, sparse, dense), wanted, atol=1e-6)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_recognises_the_zoo(name: str) -> None:
    spec = zoo.find(name)
    module = models.build(spec)
    model = trace(module)
    assert model.shape == spec.shape
    sparse, dense = batch(model, 10)
    np.testing.assert_allclose(scores(model, sparse, dense), expected(module, sparse, dense), atol=1e-5)


def test_mixed_module_keeps_its_order_and_dense_place() -> None:
    shape = trace(Mixed()).shape
    assert [(f.rows, f.dim, f.lookups, f.position) for f in shape.features] == [
        (40, 4, 1, 9),
        (300_000, 6, 1, 0),
        (300, 5, 4, 13),
    ]
    assert (shape.dense, shape.dense_position) == (3, 6)
    assert [layer.relu for layer in shape.layers] == [True, False, False]


def test_an_attribute_says_how_many_columns_there_are() -> None:
    module = Case(lambda m, s, d: head(m, torch.cat([m.a(s[:, -1]), m.b(s[:, :-1]).sum(1)], 1)), lookups=4)
    assert [f.lookups for f in trace(module).shape.features] == [3, 1]


REFUSED: list[tuple[str, Forward, str]] = [
    ("gelu", lambda m, s, d: m.out(m.gelu(m.l7(ab(m, s)))), r"gelu: GELU is not supported; .* nn\.ReLU"),
    ("norm", lambda m, s, d: m.out(m.norm(m.l7(ab(m, s)))), r"norm: LayerNorm is not supported; .* nn\.Linear"),
    ("tanh", lambda m, s, d: m.out(torch.tanh(m.l7(ab(m, s)))), r"tanh is not supported; .* nn\.ReLU"),
    ("mean bag", lambda m, s, d: m.out(m.mean(s[:, 0:2])), "mode 'mean' is not supported; .* mode 'sum'"),
    ("mean", lambda m, s, d: m.a(s[:, 0:2]).mean(1), "mean is not supported; .* a sum over the lookups of one table"),
    ("product", lambda m, s, d: m.a(s[:, 0]) * m.a(s[:, 1]), r"mul is not supported; .* torch\.cat"),
    ("residual", lambda m, s, d: m.out(m.l5(m.l7(ab(m, s))) + m.l7(ab(m, s))), r"add is not supported"),
    ("parameter", lambda m, s, d: m.out(m.l7(ab(m, s)) + m.extra), "a parameter used outside a layer"),
    ("relu of rows", lambda m, s, d: head(m, m.relu(ab(m, s))), "ReLU of an embedding is not supported; .* nn.Linear"),
    ("bottom mlp", lambda m, s, d: m.l5(d), "nn.Linear of the dense features alone"),
    ("sum of tables", lambda m, s, d: torch.stack([m.a(s[:, 0]), m.b(s[:, 1])], 1).sum(1), "a concatenation along"),
    ("three outputs", lambda m, s, d: m.three(m.l7(ab(m, s))), "one output or two, not 3"),
    ("relu last", lambda m, s, d: m.relu(head(m, ab(m, s))), "ReLU after the last layer"),
    ("sigmoid inside", lambda m, s, d: m.out(m.sig(m.l7(ab(m, s)))), "a sigmoid of 5 outputs"),
    ("sigmoid of two", lambda m, s, d: m.sig(m.two(m.l7(ab(m, s)))), "a sigmoid of 2 outputs"),
    ("no layer", lambda m, s, d: ab(m, s), "must end in a Linear layer .* not in an embedding"),
    ("wrong width", lambda m, s, d: m.out(m.l8(ab(m, s))), r"nn.Linear\(8, ...\) of 7 elements"),
    ("mixes items", lambda m, s, d: m.l7(ab(m, s).view(7, -1)), "one that keeps items apart"),
    ("across items", lambda m, s, d: torch.cat([m.a(s[:, 0]), m.a(s[:, 1])], 0), "a concatenation along dimension 0"),
    ("all of sparse", lambda m, s, d: m.bag(s), r"a lookup by all of sparse .* attribute `lookups`"),
    ("open slice", lambda m, s, d: m.bag(s[:, 1:]), r"sparse\[:, slice\(1, None, None\)\] is not supported"),
    ("rows of sparse", lambda m, s, d: m.a(s[0]), r"of sparse is not supported; .* sparse\[:, a\]"),
    ("column twice", lambda m, s, d: head(m, torch.cat([m.a(s[:, 0]), m.b(s[:, 0])], 1)), "column 0 of sparse is used"),
    ("gap", lambda m, s, d: head(m, torch.cat([m.a(s[:, 0]), m.b(s[:, 2])], 1)), "column 1 of sparse is not used"),
    ("lookup of dense", lambda m, s, d: m.a(d), "a lookup by an embedding"),
    ("control flow", lambda m, s, d: head(m, ab(m, s)) if s.sum() > 0 else m.out(m.l7(ab(m, s))), "cannot be traced"),
    ("dense twice", lambda m, s, d: m.l10(torch.cat([d, d, ab(m, s)], 1)), "dense features used twice"),
    ("nothing", lambda m, s, d: None, "must end in a Linear layer .* not in nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "forward", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_names_what_is_not_supported_and_the_nearest_that_is(name: str, forward: Forward, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        trace(Case(forward))
    assert "\n" not in str(caught.value)


def test_loads_a_factory_from_a_file(tmp_path: Path) -> None:
    source = "import torch\nfrom tests.sw.cases import Mixed\ndef make():\n    return Mixed(seed=4)\n"
    (tmp_path / "mine.py").write_text(source)
    assert load(f"{tmp_path}/mine.py:make").shape.name == "Mixed"


@pytest.mark.parametrize(
    ("reference", "source", "message"),
    [
        ("mine.py", "", "is given as module.py:factory, not"),
        ("other.py:make", "", "other.py: no such file"),
        ("mine.py:make", "", "has no function 'make'"),
        ("mine.py:make", "make = 3", "has no function 'make'"),
        ("mine.py:make", "def make(): return 3", "must return a torch.nn.Module, not int"),
        ("mine.py:make", "def make(): return 1 / 0", "ZeroDivisionError"),
        ("mine.py:make", "def make(", "SyntaxError"),
    ],
)
def test_says_why_a_factory_cannot_be_used(tmp_path: Path, reference: str, source: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(ModelError, match=message):
        load(f"{tmp_path}/{reference}")


def test_refuses_what_is_no_module() -> None:
    with pytest.raises(ModelError, match=r"must be a torch\.nn\.Module, not int"):
        trace(3)
