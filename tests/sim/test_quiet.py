"""Which signals wake the memory side, read off Verilator's code."""

from pathlib import Path

import pytest

from microduet_sim.quiet import quiet_header

HEADER = """
    VL_IN8(clk,0,0);
    VL_IN8(mem_clk,0,0);
    VL_IN8(m_axi_00___05Frvalid,0,0);
    VL_IN8(s_axis_load___05Ftvalid,0,0);
    VlUnpacked<VlWide<4>/*127:0*/, 2000> bank;
    VlUnpacked<QData/*32:0*/, 16> queue;
    VlUnpacked<QData/*63:0*/, 1> __VnbaTriggered;
"""

SOURCE = """
void V___024root___eval_ico(V___024root* vlSelf) {
    vlSelfRef.follows = vlSelfRef.s_axis_load___05Ftvalid;
    vlSelfRef.unread = 1U;
}
void V___024root___eval_triggers_vec__act(V___024root* vlSelf) {
    x = ((((IData)(vlSelfRef.mem_clk) & (~ (IData)(vlSelfRef.__Vtrigprevexpr___TOP__mem_clk__0))) << 1U)
         | ((IData)(vlSelfRef.clk) & (~ (IData)(vlSelfRef.__Vtrigprevexpr___TOP__clk__0))));
}
void V___024root___nba_sequent__TOP__0(V___024root* vlSelf) {
    if (vlSelfRef.taken) {
        vlSelfRef.memory_own = (vlSelfRef.follows + vlSelfRef.m_axi_00___05Frvalid);
    }
    VL_ASSIGN_W(64, vlSelfRef.memory_wide, vlSelfRef.engine_wide);
}
void V___024root___nba_sequent__TOP__1(V___024root* vlSelf) {
    vlSelfRef.taken = (1U == vlSelfRef.engine_own);
    vlSelfRef.engine_own = vlSelfRef.memory_own;
    VL_ASSIGN_W(64, vlSelfRef.engine_wide, vlSelfRef.memory_wide);
}
void V___024root___eval_nba(V___024root* vlSelf) {
    // Body
    if ((2ULL & vlSelfRef.__VnbaTriggered[0U])) {
        V___024root___nba_sequent__TOP__0(vlSelf);
    }
    if ((1ULL & vlSelfRef.__VnbaTriggered[0U])) {
        V___024root___nba_sequent__TOP__1(vlSelf);
    }
    if ((3ULL & vlSelfRef.__VnbaTriggered[0U])) {
        vlSelfRef.both = vlSelfRef.engine_own;
    }
}
"""


def lists(folder: Path, *, header: str = HEADER, source: str = SOURCE) -> dict[str, str]:
    (folder / "V___024root.h").write_text(header)
    (folder / "V___024root__0.cpp").write_text(source)
    text = quiet_header(folder, prefix="V", clock="clk", other="mem_clk", inputs=("m_axi_",))
    lines = [line.split(" ", 2) for line in text.splitlines()[1:]]
    return {name.removeprefix("MICRODUET_").removesuffix("(VISIT)"): rest for _, name, rest in lines}


def test_names_what_comes_from_elsewhere(tmp_path: Path) -> None:
    assert lists(tmp_path) == {
        "QUIET": "1",
        "CROSSING": "VISIT(engine_wide) VISIT(memory_wide) VISIT(taken)",  # an argument may be an output
        "SETTLED": "VISIT(follows)",
        "LARGE": "VISIT(bank)",
    }


def test_other_sides_inputs_count_as_crossing(tmp_path: Path) -> None:
    source = SOURCE.replace("(vlSelfRef.taken)", "(vlSelfRef.s_axis_load___05Ftvalid)")
    assert "VISIT(s_axis_load___05Ftvalid)" in lists(tmp_path, source=source)["CROSSING"]


@pytest.mark.parametrize(
    "source",
    [
        SOURCE.replace("___eval_nba", "___eval_other"),
        SOURCE.replace("mem_clk__0))) << 1U", "mem_clk__0))) << 2U"),
        SOURCE.replace("vlSelfRef.engine_own = ", "vlSelfRef.queue[0U] = ").replace("follows + ", "queue[1U] + "),
    ],
)
def test_gives_up_on_what_it_does_not_know(tmp_path: Path, source: str) -> None:
    assert lists(tmp_path, source=source) == {"QUIET": "0", "CROSSING": "", "SETTLED": "", "LARGE": ""}
