"""Files that describe sweeps, and those that are refused in one line."""

import pytest

from microduet.errors import InputError
from microduet.sweep import config

FILE = """
[sweep]
name = "a"
output = "a.parquet"
measure = "{measure}"
{sweep}

[axes]
{axes}

{rest}
"""


def _file(tmp_path, *, axes='model = "rm1"', measure="search", sweep="", rest=""):
    path = tmp_path / "sweep.toml"
    path.write_text(FILE.format(measure=measure, sweep=sweep, axes=axes, rest=rest))
    return path


def test_axes_are_multiplied_and_excluded_points_left_out(tmp_path):
    axes = 'model = ["rm1", "rm2"]\nprecision = ["int8", "fixed16"]\nmultipliers = { from = 100, to = 300, step = 100 }'
    rest = '[[exclude]]\nmodel = "rm1"\nmultipliers = [100, 200]\n[[exclude]]\nprecision = "int8"'
    sweep = config.read(_file(tmp_path, axes=axes, rest=rest))
    assert [(point.model, point.precision, point.multipliers) for point in sweep.points] == [
        ("rm1", "fixed16", 300),
        ("rm2", "fixed16", 100),
        ("rm2", "fixed16", 200),
        ("rm2", "fixed16", 300),
    ]
    assert (sweep.output, sweep.plot, sweep.retries) == (tmp_path / "a.parquet", None, 1)


def test_measures_have_their_own_axes(tmp_path):
    axes = 'model = "rm1-duet"\nn = [4, 8]\nchannels = 8\nmemory_mhz = 300\nengine_mhz = 100\narrays = "8x4[0,1]/4"'
    points = config.read(_file(tmp_path, axes=axes, measure="query")).points
    assert [(point.n, point.channels, point.memory_mhz, point.engine_mhz) for point in points] == [
        (4, 8, 300, 100),
        (8, 8, 300, 100),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"axes": "model = 'rm1'\nlanes = 3"},
            "axes.lanes: axes of measure search are model, precision, board, arrays",
        ),
        ({"axes": "model = 'rm1'\nchannels = 3"}, "axes.channels: axes of measure search are"),
        ({"axes": "model = 'rm1'\nitems = 0", "measure": "engine"}, "axes.items: Expected `int` >= 1"),
        ({"axes": "model = 'rm1'\nitems = 2.5", "measure": "engine"}, "axes.items: Expected `int`, got `float`"),
        ({"axes": "model = 'rm1'\nitems = {from = 3}", "measure": "engine"}, "axes.items: .* missing required .*`to`"),
        ({"axes": "model = 'rm1'\nitems = {from = 3, to = 2}", "measure": "engine"}, "at least one value"),
        ({"axes": "model = 'rm1'\nprecision = ['int8', 'int8']"}, "each once"),
        ({"axes": "model = 'rm1'\nprecision = 'int4'"}, "axes.precision: Invalid enum value 'int4'"),
        ({"axes": "model = 'rm9'"}, "model must be microrec-small, .*, not 'rm9'"),
        ({"axes": "model = 'no.json'"}, "axes.model: no.json: no such file"),
        ({"axes": "model = 'no.py:Model'"}, "axes.model: no.py: no such file"),
        ({"axes": "precision = 'int8'"}, "axes.model is missing"),
        ({"axes": "model = 'rm1'\nboard = 'v80'"}, "board must be u280, u55c or"),
        ({"axes": "model = 'rm1'\nchannels = 35", "measure": "engine"}, "channels of u280 must be 1 to 34, not 35"),
        ({"axes": "model = 'rm1'\narrays = '8x8'"}, "arrays must be PESxLANES"),
        ({"axes": "model = 'rm1'\narrays = '8x8[0]'\nmultipliers = 9"}, "exclude each other"),
        ({"axes": "model = 'rm1'\nmultipliers = { from = 1, to = 10001 }"}, "more than 10000 points"),
        ({"axes": "model = 'rm1'\nmultipliers = { from = 1, to = 9000000000000000000 }"}, "more than 10000 points"),
        ({"rest": "[[exclude]]\nprecision = 'int8'"}, "exclude must name some of the axes model, not precision"),
        ({"rest": "[[exclude]]\nmodel = 'rm1'"}, "exclude leaves no point"),
        ({"measure": "energy"}, "Invalid enum value 'energy'"),
        ({"sweep": "retry = 1"}, "unknown field `retry`"),
        ({"sweep": "retries = -1"}, "Expected `int` >= 0"),
        ({"rest": "["}, "sweep.toml: "),
    ],
)
def test_names_the_key_and_what_is_allowed(tmp_path, given, message):
    with pytest.raises(InputError, match=message) as refused:
        config.read(_file(tmp_path, **given))
    assert "\n" not in str(refused.value)


def test_file_that_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"no\.toml: cannot be read: No such file"):
        config.read(tmp_path / "no.toml")
