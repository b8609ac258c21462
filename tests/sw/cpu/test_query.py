"""Systems (a) and (b) on a small model: all is measured, both see the same grid."""

import pytest

from microduet.cpu.query import CpuModel
from microduet.duet import zoo
from microduet.models.split import SplitModel


def quiet(what: str, done: int, of: int) -> None:
    """Progress that nobody looks at."""


@pytest.mark.parametrize("name", ["rm1", "rm5"])
def test_both_systems_are_tuned_over_the_same_grid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microduet.cpu.query.THROUGHPUT_S", 0.05)
    for constant in ("QUICK_S", "THOROUGH_S"):
        monkeypatch.setattr(f"microduet.cpu.tune.{constant}", 0.01)
    shape, split = zoo.shape_of(name).with_rows(300), SplitModel(zoo.spec(name, split="duet", rows=300))
    model = CpuModel(shape, split, seed=1, compiles=False, progress=quiet)
    a, b = model.system_a(n=16, k=4), model.system_b(n=16, k=4)
    assert a.combine is None
    assert set(a.parts_ms) == ({"embedding", "bottom", "top"} if shape.dense else {"embedding", "top"})
    assert b.combine is not None
    assert min(a.per_s, b.per_s, a.times.median_ms, b.times.median_ms) > 0
    tried = [{(v.variant.tables, v.variant.layers) for v in system.grid} for system in (a, b)]
    assert tried[0] == tried[1]
    assert a.variant
    assert "combined" in b.variant
