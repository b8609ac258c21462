// Evaluates a Verilated model by its phases, to leave out those in which nothing can change.
//
// Verilator's eval() first brings logic up to date that hangs on inputs, whether one has changed or not, then looks for
// clock edges until there are none. Here the runtime knows both. Every phase is Verilator's own function.
#pragma once

#include "Vmodel.h"
#include "Vmodel___024root.h"
#include "clocks.h"

bool Vmodel___024root___eval_phase__ico(Vmodel___024root* vlSelf);
bool Vmodel___024root___eval_phase__act(Vmodel___024root* vlSelf);
bool Vmodel___024root___eval_phase__nba(Vmodel___024root* vlSelf);

namespace microduet {

// The clock pins stay high, and the model is told that they were low: falling edges, at which nothing happens, need no
// evaluation.
inline void rise_by_phases(Vmodel& top, Edge edge, bool changed) {
    Vmodel___024root* root = top.rootp;
    top.clk = top.mem_clk = 1;
    root->__Vtrigprevexpr___TOP__clk__0 = !edge.engine;
    root->__Vtrigprevexpr___TOP__mem_clk__0 = !edge.memory;
    if (changed) {
        root->__VicoFirstIteration = 1;
        Vmodel___024root___eval_phase__ico(root);
        root->__VicoFirstIteration = 0;
    }
    Vmodel___024root___eval_phase__act(root);
    Vmodel___024root___eval_phase__nba(root);
}

}  // namespace microduet
