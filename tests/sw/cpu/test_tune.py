"""The models on a processor: all kernels compute the same, the fastest variant wins, what fails says why."""

import functools
import time

import numpy as np
import pytest
import torch

from microduet.cpu.systems import Combined, ItemHalf, Whole, random_query
from microduet.cpu.tables import TABLE_KINDS, EmbeddingBags, TableKind, table_bytes
from microduet.cpu.timing import summary
from microduet.cpu.tune import COMPILED, tune
from microduet.duet import zoo
from microduet.duet.shape import DlrmShape
from microduet.errors import MicroduetError
from microduet.models.split import SplitModel

ROWS = 500


def quiet(what: str, done: int, of: int) -> None:
    """Progress that nobody looks at."""


def shape_of(name: str) -> DlrmShape:
    return zoo.shape_of(name).with_rows(ROWS)


@pytest.mark.parametrize("kind", TABLE_KINDS)
def test_kernels_sum_the_same_rows(kind: TableKind) -> None:
    shape = shape_of("rm3")
    bags = EmbeddingBags(shape, range(10), kind=kind, seed=3)
    ids = torch.randint(ROWS, (7, 200), generator=torch.Generator().manual_seed(1))
    plain = [
        torch.empty(ROWS, 32).uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(3 + k)) for k in range(10)
    ]
    wanted = torch.cat([table[some].sum(1) for table, some in zip(plain, ids.split(20, 1), strict=True)], 1)
    assert torch.allclose(bags(ids), wanted, atol=1e-6 if kind == "float32" else 0.02)


@pytest.mark.parametrize(("kind", "wanted"), [("float32", 500 * 32 * 4), ("float16", 500 * 64), ("int8", 500 * 40)])
def test_table_bytes_count_each_table_once(kind: TableKind, wanted: int) -> None:
    assert table_bytes(shape_of("rm3"), range(10), kind) == 10 * wanted
    assert table_bytes(shape_of("rm5"), range(5)) == 3 * ROWS * 18 * 4  # five features of three tables


@pytest.mark.parametrize("name", ["rm1", "rm5"])
def test_tuning_tries_every_variant_and_keeps_the_fastest(name: str) -> None:
    shape = shape_of(name)
    model = SplitModel(zoo.spec(name, split="duet", rows=ROWS))
    query = random_query(shape, model, n=16, seed=0)
    tuned = tune(
        lambda kind: Whole(shape, tables=kind),
        (query.sparse, query.dense),
        compiles=False,
        progress=quiet,
        quick_s=0.01,
        thorough_s=0.01,
    )
    assert {one.variant.tables for one in tuned.grid} == set(TABLE_KINDS)
    assert not [one.failed for one in tuned.grid if one.failed]
    first = [one for one in tuned.grid if one.variant.tables == tuned.variant.tables]
    assert min(one.times.median_ms for one in tuned.grid if one.times) == min(
        o.times.median_ms for o in first if o.times
    )
    assert tuned.run().shape == (16,)


def test_the_fastest_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, dynamic: model)
    slow = {"float32": 0.02, "float16": 0.0, "int8": 0.05}

    class Slow(torch.nn.Module):
        def __init__(self, kind: TableKind) -> None:
            super().__init__()
            self.kind = kind

        def forward(self, sparse: torch.Tensor) -> torch.Tensor:
            time.sleep(slow[self.kind])
            return sparse[:, 0].float()

    ids = torch.arange(8).reshape(4, 2)
    tuned = tune(Slow, (ids, None), progress=quiet, quick_s=0.01, thorough_s=0.01)
    first = [one.variant for one in tuned.grid[: 2 * len(TABLE_KINDS) + COMPILED]]
    assert [variant.compiled for variant in first] == [False] * (2 * len(TABLE_KINDS)) + [True] * COMPILED
    assert {variant.tables for variant in first if variant.compiled} == {"float16"}


def test_halves_give_what_the_split_model_gives() -> None:
    model = SplitModel(zoo.spec("rm1", split="duet", rows=ROWS)).eval()
    query = random_query(shape_of("rm1"), model, n=8, seed=2)
    half = ItemHalf(model, tables="float32")
    with torch.inference_mode():
        items = half(query.items)
        wanted = model.combined_model(query.user, model.item_model(half.bags(query.items)))[:, 0]
        assert torch.equal(Combined(model)(query.user, items), wanted)


def test_a_kernel_that_does_not_run_is_named_and_passed_over() -> None:
    class Refuses(torch.nn.Module):
        def __init__(self, kind: TableKind) -> None:
            super().__init__()
            self.kind = kind

        def forward(self, sparse: torch.Tensor) -> torch.Tensor:
            if self.kind != "float32":
                raise NotImplementedError(f"no {self.kind} here")
            return sparse[:, 0].float()

    ids = torch.arange(8).reshape(4, 2)
    tuned = tune(Refuses, (ids, None), compiles=False, progress=quiet, quick_s=0.01, thorough_s=0.01)
    assert tuned.variant.tables == "float32"
    assert {one.failed for one in tuned.grid if one.variant.tables == "int8"} == {"no int8 here"}


def test_a_variant_that_computes_something_else_is_an_error() -> None:
    class Wrong(torch.nn.Module):
        def __init__(self, kind: TableKind) -> None:
            super().__init__()
            self.factor = 2.0 if kind == "int8" else 1.0

        def forward(self, sparse: torch.Tensor) -> torch.Tensor:
            return sparse[:, 0].float() * self.factor

    ids = torch.arange(8).reshape(4, 2)
    with pytest.raises(MicroduetError, match=r"int8 tables, .*: outputs differ from float32's"):
        tune(Wrong, (ids, None), compiles=False, progress=quiet, quick_s=0.01, thorough_s=0.01)


def test_nothing_that_runs_is_an_error() -> None:
    class Never(torch.nn.Module):
        def __init__(self, kind: TableKind) -> None:
            super().__init__()

        def forward(self, sparse: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("broken")

    with pytest.raises(MicroduetError, match="no variant runs on this processor: broken"):
        tune(Never, (torch.zeros(2, 1).long(), None), compiles=False, progress=quiet)


def test_a_summary_is_of_percentiles() -> None:
    found = summary(np.arange(101.0))
    assert (found.p25_ms, found.median_ms, found.p75_ms, found.p99_ms, found.calls) == (25, 50, 75, 99, 101)


def test_compiles_for_every_size_of_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's limit of eight compilations per function would leave later sizes, and models, uncompiled."""
    compiled: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        compiled.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    model = _Doubled()
    for n in range(1, 14):
        before = len(compiled)
        ids = torch.arange(n)[:, None]
        tune(lambda _: model, (ids, None), kinds=("float32",), progress=quiet, quick_s=0.0, thorough_s=0.0)
        assert len(compiled) > before, f"{n} candidates ran uncompiled"


class _Doubled(torch.nn.Module):
    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return sparse[:, 0] * 2.0
