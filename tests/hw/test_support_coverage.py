"""Coverage of benches: points have the source's names, what was not reached is missed, and waivers need an argument."""

import json
from collections import Counter
from pathlib import Path

import cocotb
import pytest

from microduet_hw.store import Store
from tests.support.bench import run_bench
from tests.support.coverage import owners
from tests.support.coverage_merge import main, merge, ranges
from tests.support.coverage_points import points
from tests.support.environment import REPOSITORY
from tests.support.flow import Bare, begin, cycle
from tests.support.waivers import Waiver, read_waivers, waived

VERILOG = """\
module \\top.part (i, clk);
  (* src = "/a/part.py:7" *)
  wire \\$1 ;
  input i;
  wire idle;
  assign idle = 1'h0;
  always @* begin
    if (\\$auto$verilog_backend.cc:1$1 ) begin end
    \\$2  = \\state$4 ;
    if (\\$1 ) begin
      \\$2  = i;
    end
  end
  always @(posedge clk)
    \\state$4  <= \\$2 ;
  assign \\$3  = 1'h0;
  always @* begin
    kept_1 = i;
    if (\\$3 ) begin
      kept_1 = i;
      if (i) begin
        kept_1 = 1'h0;
      end
    end else if (i) begin
      casez (kept_0)
        3'h02:
          kept_1 = 1'h1;
      endcase
    end
  end
  wire [31:0] \\counts[0] ;
  wire [31:0] \\counts$7[1] ;
  always @*
    \\$4 [1:0] = word[1:0];
  always @*
    \\$5 [3] = word[3];
  always @(posedge clk)
    word <= \\$4 ;
endmodule
"""


def counted(*entries: tuple[int, str, str, int]) -> str:
    """Text as Verilator's: line, page, comment, count."""
    lines = [
        f"C '\x01f\x02top.v\x01l\x02{line}\x01n\x021\x01page\x02v_{page}/x\x01o\x02{said}\x01h\x02t' {count}"
        for line, page, said, count in entries
    ]
    return "\n".join(["# SystemC::Coverage-3", *lines])


def keys(*entries: tuple[int, str, str, int]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for point in points(verilog=VERILOG, counts=counted(*entries)):
        found[point.key] += point.count
    return dict(found)


def test_a_branch_is_called_by_its_register_and_the_place_of_its_condition():
    assert keys((10, "branch", "if", 3), (10, "branch", "else", 0)) == {
        "branch: state > if (part.py:7) begin (if)": 3,
        "branch: state > if (part.py:7) begin (else)": 0,
    }


def test_bits_are_called_by_their_signal():
    assert keys((4, "toggle", "i:0->1", 2), (4, "toggle", "i[3]:1->0", 0), (4, "toggle", "a___05Fb:0->1", 1)) == {
        "toggle: i[0] rise": 2,
        "toggle: i[3] fall": 0,
        "toggle: a__b[0] rise": 1,
    }


def test_what_a_loop_makes_alike_is_one_and_numbers_have_no_width():
    assert keys((26, "line", "case", 1), (4, "toggle", "kept_12[3]:0->1", 2), (4, "toggle", "kept_4_1:0->1", 0)) == {
        "line: kept_# > end else if (i) begin > casez (kept_#) > 'h2: (case)": 1,
        "toggle: kept_#[3] rise": 2,
        "toggle: kept_#_1[0] rise": 0,
    }


def test_elements_of_an_array_are_alike():
    assert keys((4, "toggle", "counts[65]:0->1", 0), (4, "toggle", "counts__0247[33]:0->1", 2)) == {
        "toggle: counts[#][1] rise": 2
    }


def test_a_bit_that_its_register_does_not_always_keep_is_a_point():
    assert keys((4, "toggle", "word[2]:0->1", 0), (4, "toggle", "word[3]:0->1", 0)) == {
        "toggle: word[2] rise": 0,
        "toggle: word[3] rise": 0,
    }


@pytest.mark.parametrize(
    "entry",
    [
        (8, "branch", "if", 0),
        (19, "branch", "if", 0),
        (21, "branch", "if", 0),
        (5, "toggle", "idle:0->1", 0),
        (3, "toggle", "__0241:0->1", 0),
        (4, "toggle", "i__02efield:0->1", 0),
        (4, "toggle", "word[1]:0->1", 0),
    ],
    ids=[
        "what Yosys writes into a block",
        "a condition that is a constant",
        "a condition behind one",
        "a constant",
        "a net without a name",
        "a field of a signal",
        "a bit that a register always keeps",
    ],
)
def test_what_nobody_wrote_is_no_point(entry):
    assert keys(entry) == {}


@cocotb.test()
async def only_writes(dut):
    await begin(dut, i_read=0, i_write=0, i_row=0, i_data=0, i_read_row=0)
    for row in (0, 1, 0, 1):
        await cycle(dut, i_write=1, i_row=row, i_data=row)
        assert dut.i_row.value == row


def test_a_bench_that_never_reads_misses_the_reads(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MICRODUET_COVERAGE", "1")
    monkeypatch.setattr("tests.support.coverage.output_folder", lambda _: tmp_path)
    run_bench(Bare(Store(rows=2, bits=1)), module=__name__, scenarios=["only_writes"])
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "store.Store" in said
    assert "branch: _0_ > if (read__en) begin (if)" in said
    assert "if (i_write) (if)" not in said
    assert "toggle: i_read[0] rise" in said
    assert "toggle: i_data[0] rise" not in said


def test_what_a_test_wraps_round_a_component_belongs_to_nobody():
    assert owners(Bare(Store(rows=2, bits=1)))["top.bare"] == ("store.Store", 0)
    assert "top" not in owners(Bare(Store(rows=2, bits=1)))


def bench(test: str, depth: int, **found: int) -> dict:
    return {"test": test, "classes": {"store.Store": {"depth": depth, "points": found}}}


def test_benches_add_up_and_waived_points_do_not_count():
    benches = [
        bench("tests/a.py::test_a[1]", 0, **{"branch: a": 1, "branch: b": 0, "toggle: c[0] rise": 0}),
        bench("tests/a.py::test_a[2]", 0, **{"branch: a": 0, "branch: b": 0}),
        bench("tests/b.py::test_b", 1, **{"toggle: c[0] rise": 2, "toggle: c[1] rise": 0}),
    ]
    one = merge(benches, waivers=[Waiver(component="store.Store", points="branch: b", argument="")])["store.Store"]
    assert (one.percent("line"), one.percent("branch"), one.percent("toggle")) == (None, 100, 50)
    assert one.missed == ["toggle: c[1] rise"]
    assert (one.own_benches, one.other_benches) == (["tests/a.py::test_a"], ["tests/b.py::test_b"])


def test_neighbouring_bits_stand_in_one_entry():
    bits = [f"toggle: a[{bit}] fall" for bit in (5, 3, 4, 9)]
    assert ranges(["branch: b", *bits]) == ["branch: b", "toggle: a[5:3] fall", "toggle: a[9] fall"]


def test_nothing_to_join_is_said(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path)])
    assert "no bench left its coverage there; run make coverage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[waiver]]\ncomponent = "a"\npoints = "b"\n', "waiver 1 must have component, points and argument"),
        ('[[waiver]]\ncomponent = "a"\npoints = "b"\nargument = "so"\n', "argument of waiver 1 must have 30"),
    ],
)
def test_waivers_without_an_argument_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "w.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_waivers(tmp_path / "w.toml")


def test_waivers_of_another_component_do_not_count():
    waivers = [Waiver(component="a.A", points="x.*", argument="")]
    assert waived(waivers, "a.A", ["x1", "y"]) == {"x1"}
    assert waived(waivers, "b.B", ["x1"]) == set()


def test_waived_points_are_at_most_two_percent_of_a_component():
    kept = json.loads((REPOSITORY / "tests/data/coverage.json").read_text())
    for name, one in kept.items():
        assert sum(one["waived"].values()) <= 0.02 * sum(one["total"].values()), name
