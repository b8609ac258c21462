"""What a user may name as a click log."""

import pytest

from microduet.data import open_data
from microduet.duet import zoo
from microduet.errors import InputError

SHAPE = zoo.shape_of("rm5").with_rows(100)


@pytest.mark.parametrize(("spec", "rows"), [("generated", 1_000_000), ("generated:20_000", 20_000)])
def test_opens_a_generated_log(spec: str, rows: int) -> None:
    log = open_data(spec, SHAPE)
    assert log.rows("train") == rows
    assert log.rows("test") == 1_000_000


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("generated:many", "ROWS must be a number, not 'many'"),
        ("generated:-3", "not '-3'"),
        ("generated:0", "rows must be 1 to"),
    ],
)
def test_refuses(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_data(spec, SHAPE)


def test_a_generated_log_needs_a_shape() -> None:
    with pytest.raises(InputError, match="a model is needed"):
        open_data("generated")
