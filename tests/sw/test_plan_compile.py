"""Compiled plans: products, rows in steps, copies and banks give the golden model's scores, bit for bit."""

import numpy as np
import pytest

import microduet as md
from microduet import boards
from microduet.bundle import Bundle
from microduet.errors import ModelError, PlacementError
from microduet.placement import Plan, PlannedSource, place
from microduet.planner import pieces
from microduet.planner.physical import physical_shape
from microduet.trace import trace
from microduet_hw.config import Precision
from tests.sw.cases import Mixed
from tests.sw.command_line import TINY, run

BOARD = boards.find("u280")


def joined(precision: Precision, *products: tuple[int, int]) -> Plan:
    """Every physical table of `Mixed` on a channel of its own, the first on the largest."""
    shape = trace(Mixed()).shape
    tables = physical_shape(shape, products).features
    held = [pieces.whole(number, table, precision) for number, table in enumerate(tables)]
    sources: list[PlannedSource] = []
    channels = sorted(BOARD.channels, key=lambda channel: -channel.size)
    for channel, piece in zip(channels, held, strict=False):
        laid = pieces.one_after_another([piece])
        sources.append(pieces.planned(channel, laid, tables=tables, precision=precision))
    return Plan(
        model=shape.name, board="u280", precision=precision, products=products, planned=tuple(sources), mode="by hand"
    )


def ids(bundle: Bundle, items: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    rows = [feature.rows for feature in bundle.shape.features for _ in range(feature.lookups)]
    dense = generator.standard_normal((items, bundle.shape.dense), dtype=np.float32)
    return generator.integers(0, rows, (items, len(rows)), dtype=np.int64), dense


def expect_golden(bundle: Bundle) -> None:
    sparse, dense = ids(bundle, 40)
    with md.open(bundle) as device:
        batch = device.run(sparse, dense)
    golden = bundle.golden().run(sparse, dense)
    np.testing.assert_array_equal(batch.status, 0)
    np.testing.assert_array_equal(batch.logits, golden.logits)


@pytest.mark.parametrize(
    ("precision", "product"),
    [
        (Precision.INT8, (1, 0)),
        pytest.param(Precision.FIXED16, (0, 1), marks=pytest.mark.nightly),
        pytest.param(Precision.FIXED32, (1, 0), marks=pytest.mark.nightly),
    ],
)
def test_a_product_gives_the_scores_of_its_factors(tmp_path, precision, product):
    bundle = md.compile(Mixed(), precision=precision, plan=joined(precision, product), out=tmp_path / "joined")
    plain = md.compile(Mixed(), precision=precision, out=tmp_path / "plain")
    assert len(bundle.config.features) == len(plain.config.features) - 1
    assert sorted(bundle.vector_order) == list(range(18))
    sparse, dense = ids(bundle, 40)
    expected = plain.golden().run(sparse, dense).logits
    np.testing.assert_array_equal(bundle.golden().run(sparse, dense).logits, expected)
    expect_golden(bundle)


def test_rows_of_a_product_are_those_of_its_factors(tmp_path):
    bundle = md.compile(Mixed(), plan=joined(Precision.FIXED16, (0, 1)), out=tmp_path / "joined")
    plain = md.compile(Mixed(), out=tmp_path / "plain")
    rows = bundle.shape.features[1].rows
    expected = np.concatenate([plain.rows(0, 3, 1), plain.rows(1, 7, 1)], axis=1)
    np.testing.assert_array_equal(bundle.rows(0, 3 * rows + 7, 1), expected)


def test_a_bundle_with_products_is_read_back(tmp_path):
    made = md.compile(Mixed(), plan=joined(Precision.FIXED16, (0, 1)), out=tmp_path / "b")
    again = Bundle.read(tmp_path / "b")
    assert again.shape == made.shape == trace(Mixed()).shape
    assert again.plan.products == ((0, 1),)


def test_run_takes_a_saved_plan(tmp_path, capsys):
    path = tmp_path / "plan.json"
    assert run("plan", TINY, "--out", path) == 0
    assert run("run", TINY, "--plan", path, "--items", 20) == 0
    assert "mismatches" in capsys.readouterr().out


def test_refuses_a_plan_of_another_model_precision_or_board():
    plan = place(trace(Mixed()).shape, precision=Precision.INT8, board=BOARD)
    with pytest.raises(ModelError, match="the plan is for int8 on u280, not fixed16 on u280"):
        md.compile(Mixed(), plan=plan)
    with pytest.raises(PlacementError, match="the plan is for other on u280, not Mixed on u280"):
        md.compile(Mixed(), precision="int8", plan=plan.replace(model="other"))
