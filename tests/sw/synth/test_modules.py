"""Verilog taken apart: what is one piece, how often it is in the whole, and that names do not matter."""

import re

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out

from microduet import gateware
from microduet.errors import InputError
from microduet.synth.modules import Design
from microduet_hw.export import export, module_name
from microduet_hw.generate import convert
from tests.sw.vitis.kernels import config_for


class Count(Component):
    """A counter in steps of `step`."""

    value: Out(8)

    def __init__(self, step):
        self._step = step
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.value.eq(self.value + self._step)
        return m


class Row(Component):
    """Three equal counters, another one, and a sum."""

    total: Out(8)
    extra: In(8)

    def elaborate(self, platform):
        m = Module()
        counts = [Count(step) for step in (1, 1, 1, 5)]
        for k, count in enumerate(counts):
            m.submodules[f"count_{k}"] = count
        kept = Signal(8)
        m.d.sync += kept.eq(sum(count.value for count in counts) ^ self.extra)
        m.d.comb += self.total.eq(kept)
        return m


@pytest.fixture
def design():
    return Design([convert(Row(), "row")])


def test_equal_modules_are_one_piece(design):
    pieces = design.count("row", limit=0)
    assert sorted(pieces.values()) == [1, 1, 3]
    own = next(piece for piece in pieces if not piece.whole)
    assert own.name == "row"
    assert own.text.count("(* blackbox *)") == 4


def test_what_is_small_is_one_piece_with_all_in_it(design):
    [(piece, instances)] = design.count("row").items()
    assert piece.whole
    assert instances == 1
    assert "blackbox" not in piece.text


def test_names_do_not_matter():
    first = Design([convert(Row(), "row")]).count("row", limit=0)
    second = Design([convert(Row(), "other")]).count("other", limit=0)
    assert {piece.text for piece in first} == {piece.text for piece in second}


def test_a_piece_names_no_module_that_it_lacks(design):
    for limit in (0, 10**6):
        for piece in design.count("row", limit=limit):
            defined = set(re.findall(r"^module (\w+)", piece.text, re.MULTILINE))
            assert set(re.findall(r"^  (module_\d+) ", piece.text, re.MULTILINE)) <= defined
            assert piece.top in defined


def test_pairs_of_processing_elements_are_one_piece():
    config = config_for("u55c")
    files = export(config, engine=gateware.verilog(config))
    design = Design(text for name, text in files.items() if name.endswith(".v"))
    pieces = design.count(module_name(config), limit=20_000)
    pairs = {piece.name: count for piece, count in pieces.items() if piece.name.startswith("pe_pair")}
    assert pairs == {f"pe_pair_{k}": array.pes // 2 for k, array in enumerate(config.arrays)}
    every = sum(len(piece.text) * count for piece, count in pieces.items())
    assert every > 3 * len(files["pe_pair_0.v"])


def test_a_module_with_parameters_stays_where_it_is_used():
    ram = "module ram #(\n  parameter WIDTH = 1\n) (\n  input clk\n);\nendmodule\n"
    body = "module top(clk);\n  input clk;\n  ram #(\n    .WIDTH(32'd4)\n  ) one (\n    .clk(clk)\n  );\nendmodule\n"
    [(piece, _)] = Design([ram, body]).count("top", limit=0).items()
    assert "parameter WIDTH" in piece.text
    assert "blackbox" not in piece.text


def test_unknown_and_doubled_modules_are_refused(design):
    with pytest.raises(InputError, match="there is no module 'column'"):
        design.count("column")
    with pytest.raises(InputError, match="module row is there twice"):
        Design([convert(Row(), "row")] * 2)
