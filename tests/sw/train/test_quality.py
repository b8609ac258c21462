"""A base model learns what the generated log has to teach, and integers keep it."""

from pathlib import Path

import pytest

from microduet.data.click_model import ClickShares
from microduet.data.generated import GeneratedLog
from microduet.duet.shape import DlrmShape, Lookups, TableShape, UserSide
from microduet.train.compare import Comparison, Plan, compare
from microduet.train.run import Settings

SHAPE = DlrmShape(
    name="quality",
    tables=(TableShape(rows=1000, dim=8),) * 4,
    features=(
        Lookups(table=0, lookups=20),
        Lookups(table=1, lookups=20),
        Lookups(table=0),
        Lookups(table=2, lookups=8),
    ),
    bottom=(16, 16, 8),
    top=(64, 32, 1),
    user=UserSide(features=(0, 1), static=tuple(range(14)), context=(14, 15)),
)

ROWS = 200_000


def compared(folder: Path, shares: ClickShares) -> Comparison:
    log = GeneratedLog(SHAPE, rows=ROWS, seed=1, test=50_000, shares=shares)
    settings = Settings(rows=ROWS, points=2)
    plan = Plan(
        shape=SHAPE,
        data=log,
        split="duet",
        settings=settings,
        seeds=(0,),
        test_rows=50_000,
        folder=folder,
        replicates=50,
    )
    return compare(plan, lambda *_: None)


@pytest.mark.parametrize("interaction", [0.1, 0.0])
def test_comes_near_the_best_possible_auc_and_a_split_loses_what_neither_half_sees(
    tmp_path: Path, interaction: float
) -> None:
    found = compared(tmp_path, ClickShares(interaction=interaction))
    assert found.best_auc is not None
    auc = {kind: figures["auc"].mean for kind, figures in found.figures.items()}
    print(found.best_auc, auc)
    assert found.best_auc - auc["base"] < 0.01
    assert abs(auc["split"] - auc["int8"]) < 0.0005
    assert (auc["base"] - auc["split"] > 0.002) == (interaction > 0)
